"""A tiny switchable weights file, so that tests of the runtime stay fast."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ostiary.adaptive import Adaptive
from ostiary.export.card import Card
from ostiary.export.onnx import export_liveness
from ostiary.faces.preprocess import Preprocess
from ostiary.runtime.liveness_record import Threshold

SIZE = 16


@pytest.fixture(scope="session")
def tiny_card() -> Card:
    threshold = Threshold(value=0.5, target="apcer", rate=0.05, n_bona_fide=9, n_attack=60, data="noise")
    return Card(
        name="tiny", version="1", licence="none", data=["noise"], training_commit="unknown",
        preprocess=Preprocess(crop="loose", size=SIZE, mean=(127.5,) * 3, std=(127.5,) * 3),
        default_configuration="HL", thresholds={"HL": threshold},
    )  # fmt: skip


@pytest.fixture(scope="session")
def tiny_weights(tiny_card: Card, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two adaptive blocks, nine words."""
    torch.manual_seed(0)
    return export_liveness(_Tiny().eval(), tmp_path_factory.mktemp("tiny") / "tiny.onnx", tiny_card)


class _Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU6())
        self.blocks = nn.Sequential(*[Adaptive(_branch(2), _branch(1), position) for position in range(2)])
        self.head = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.blocks(self.stem(x)).mean((2, 3)))
        return logits


def _branch(depth: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU6()]
    return nn.Sequential(*layers)
