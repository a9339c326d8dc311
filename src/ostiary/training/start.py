"""What a liveness run starts from: nothing, a trunk that has seen the world, or a network trained before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, cast

from torch import Tensor

from ostiary.adaptive import blocks
from ostiary.errors import ConfigurationError
from ostiary.faces.preprocess import Preprocess
from ostiary.networks.from_weights import network_from_weights
from ostiary.networks.mobilenet_v2 import MobileNetV2, adapt
from ostiary.networks.pretrained import pretrained_mobilenet_v2
from ostiary.networks.registry import LIVENESS, builder
from ostiary.runtime.container import read_metadata
from ostiary.runtime.liveness_record import Metadata
from ostiary.training.model import load_model
from ostiary.training.recipe import Recipe


class Start(NamedTuple):
    """A network to be trained, and what is to be remembered of where it comes from (empty: nobody else's work).

    ``origin`` has ``name``, ``licence`` (None: not said), ``data`` and ``sha256`` of the file.
    """

    network: MobileNetV2
    origin: dict[str, Any]


def from_scratch(recipe: Recipe) -> Start:
    """The recipe's network with fresh weights."""
    return Start(cast(MobileNetV2, builder(LIVENESS, recipe.network)(dropout=recipe.dropout)), {})


def from_trunk(recipe: Recipe, trunk: Path, pictures: Iterable[Tensor]) -> Start:
    """The recipe's network from the ImageNet trunk; BatchNorm is measured on ``pictures``, batches of faces."""
    stock = pretrained_mobilenet_v2(trunk, pictures, dropout=recipe.dropout)
    return Start(stock if recipe.network == "mobilenet_v2" else adapt(stock, light_init="copy-first"), {})


def from_trained(recipe: Recipe, path: Path, pictures: Iterable[Tensor]) -> Start:
    """The recipe's network with the weights of one that is trained, its classifier included.

    Args:
        path: ``model.safetensors`` of an earlier run, or a weights file (``.onnx``), whose BatchNorm is measured
            on ``pictures``. One without adaptive blocks can start a network with them: each light branch gets the
            first block of its run.

    Raises:
        ConfigurationError: it sees other crops than the recipe makes, or has adaptive blocks and the recipe's
            network has none.
        WeightsError: it cannot be read, or not be trained on.

    """
    if path.suffix == ".onnx":
        record = read_metadata(path, Metadata)
        _check_crops(recipe, record.preprocess, path)
        network = network_from_weights(path, pictures, recipe.dropout)
        name, licence, data = f"{record.name} {record.version}", record.licence, list(record.data)
    else:
        model = load_model(path)
        _check_crops(recipe, model.recipe.preprocess, path)
        network = cast(MobileNetV2, model.network)
        network.drop.p = recipe.dropout
        before = model.record.get("started_from", {})
        name, licence = f"a run of the recipe {model.recipe.name}", before.get("licence")
        data = sorted({*model.record["data"], *before.get("data", [])})
    adaptive = recipe.network != "mobilenet_v2"
    if blocks(network) and not adaptive:
        raise ConfigurationError(
            f"{path} has adaptive blocks, and {recipe.network} has none: train it with --network pta_mobilenet_v2."
        )
    if adaptive and not blocks(network):
        network = adapt(network, light_init="copy-first")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Start(network.train(), {"name": name, "licence": licence, "data": data, "sha256": sha256})


def _check_crops(recipe: Recipe, seen: Preprocess, path: Path) -> None:
    differing = [name for name, value in seen.model_dump().items() if value != getattr(recipe.preprocess, name)]
    if differing:
        raise ConfigurationError(
            f"{path} cannot start this run: it sees other crops than the recipe {recipe.name!r} makes "
            f"({', '.join(differing)}). Use a recipe with the same crops."
        )
