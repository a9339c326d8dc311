"""What training leaves behind, gathered for an export.

A run's folder holds ``model.safetensors`` (network and recipe). Two files beside it are optional:
``statistics.safetensors``, batch normalisation of every word (``ostiary.adaptive.to_tensors``), and
``thresholds.json``, a JSON object: word -> ``threshold`` (a :class:`Threshold`) and ``development_error``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from torch import nn

from ostiary.adaptive import from_tensors
from ostiary.errors import WeightsError
from ostiary.export.card import Card
from ostiary.export.tables import Statistics
from ostiary.runtime.container import Threshold
from ostiary.training.run import load_model


class OperatingPoint(BaseModel):
    """What development data said about one word."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: Threshold | None = None
    development_error: float | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A trained network, what to say about it, and its statistics by word if there are any."""

    net: nn.Module
    card: Card
    statistics: Statistics | None


def read_checkpoint(
    path: Path, *, version: str, licence: str, default_configuration: str, notes: str = ""
) -> Checkpoint:
    """Read a run's folder, or its ``model.safetensors``.

    Raises:
        WeightsError: a file is missing or damaged.
        ConfigurationError: statistics with keys of another form.

    """
    model_file = path / "model.safetensors" if path.is_dir() else path
    model = load_model(model_file)
    points = _operating_points(model_file.with_name("thresholds.json"))
    card = Card(
        name=model.recipe.network,
        version=version,
        licence=licence,
        data=list(model.record["data"]),
        preprocess=model.recipe.preprocess,
        training_commit=str(model.record["commit"]),
        default_configuration=default_configuration,
        notes=notes,
        thresholds={word: point.threshold for word, point in points.items() if point.threshold is not None},
        development_errors={
            word: point.development_error
            for word, point in points.items()
            if point.development_error is not None
        },
    )
    return Checkpoint(model.network, card, _statistics(model_file.with_name("statistics.safetensors")))


def _operating_points(path: Path) -> dict[str, OperatingPoint]:
    if not path.is_file():
        return {}
    try:
        return TypeAdapter(dict[str, OperatingPoint]).validate_python(json.loads(path.read_text()))
    except (ValueError, ValidationError):
        raise WeightsError(f"{path} is not a list of thresholds by word; choose them anew.") from None


def _statistics(path: Path) -> Statistics | None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        return None
    try:
        return from_tensors(load_file(path))
    except SafetensorError:
        raise WeightsError(f"{path} is damaged; recalibrate again.") from None
