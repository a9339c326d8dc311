"""What a liveness run leaves behind: the network, and how it came about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import nn

from ostiary.errors import WeightsError
from ostiary.networks.registry import LIVENESS, builder
from ostiary.training.checkpoint import load_tensors
from ostiary.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A trained network with the record of how it came about."""

    network: nn.Module
    recipe: Recipe
    record: dict[str, Any]


def load_model(path: Path) -> TrainedModel:
    """Read what ``train_liveness`` wrote; the network is rebuilt from the recipe inside the file.

    Raises:
        WeightsError: no such file, or not a model of ostiary.

    """
    tensors, record = load_tensors(path)
    if "recipe" not in record:
        raise WeightsError(f"{path} is no model.safetensors of a finished run; name that file.")
    try:
        recipe = Recipe.model_validate(record["recipe"])
    except ValidationError:
        raise WeightsError(
            f"{path} is no liveness model, or of another version of ostiary: train it again."
        ) from None
    network = builder(LIVENESS, recipe.network)()
    network.load_state_dict(tensors)
    return TrainedModel(network.eval(), recipe, record)
