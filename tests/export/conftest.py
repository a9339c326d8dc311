"""One network with lively statistics, exported in both forms once for all tests of this folder."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
import torch
from torch import nn

from ostiary.adaptive import BatchStatistics, words
from ostiary.export.card import Card
from ostiary.export.onnx import export_liveness
from ostiary.faces.preprocess import Preprocess
from ostiary.networks.mobilenet_v2 import MobileNetV2, pta_mobilenet_v2

# Name of the blocks' places in the network: layers behind them see their letters.
BLOCKS = ("blocks.3.2", "blocks.4.1", "blocks.5.1")
SIZE = 64


@pytest.fixture(scope="session")
def card() -> Card:
    preprocess = Preprocess(crop="loose", size=SIZE, scale=1.5, mean=(127.5,) * 3, std=(127.5,) * 3)
    return Card(
        name="test", version="1", licence="none", data=["noise"], preprocess=preprocess,
        training_commit="unknown", default_configuration="HHH",
    )  # fmt: skip


@pytest.fixture(scope="session")
def net() -> MobileNetV2:
    torch.manual_seed(0)
    torch.set_num_threads(1)  # more threads than idle cores would slow these small networks down
    made = pta_mobilenet_v2().eval()
    with torch.no_grad():
        for layer in made.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.3)
                layer.running_var.uniform_(0.5, 2)
                layer.weight.uniform_(0.6, 1.4)
                layer.bias.normal_(0, 0.3)
        made.classifier.weight.normal_(0, 0.1)
    return made


@pytest.fixture(scope="session")
def statistics(net: MobileNetV2) -> dict[str, BatchStatistics]:
    """Statistics that differ with every letter upstream of a layer, and with nothing else."""
    return {word: _statistics(net, word) for word in words(net)}


@pytest.fixture(scope="session", params=["shared", "per_configuration"])
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def files(
    net: MobileNetV2, card: Card, statistics: dict[str, BatchStatistics], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("exported")
    return {
        "shared": export_liveness(net, folder / "shared.onnx", card),
        "per_configuration": export_liveness(net, folder / "per.onnx", card, statistics=statistics),
    }


def _statistics(net: MobileNetV2, word: str) -> BatchStatistics:
    found = {}
    for name, layer in net.named_modules():
        if isinstance(layer, nn.BatchNorm2d):
            key = f"{name} {word[: _upstream(name)]}"
            generator = torch.Generator().manual_seed(zlib.crc32(key.encode()))
            shift = torch.randn(layer.num_features, generator=generator) * 0.2
            factor = torch.rand(layer.num_features, generator=generator) + 0.5
            found[name] = (layer.running_mean + shift, layer.running_var * factor)
    return found


def _upstream(layer: str) -> int:
    """Adaptive blocks before a layer: the last stages' second entry is a block, the head comes after all."""
    if layer in ("bn1", "bn2"):
        return 3 if layer == "bn2" else 0
    return sum(layer.split(".")[:3] > block.split(".") for block in BLOCKS)
