"""Weights files of small networks: an adaptive one for liveness, one of all other layers for faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ostiary.adaptive import largest, make_adaptive
from ostiary.export.card import Card, EmbeddingCard, sealed
from ostiary.export.onnx import export_liveness, liveness_model
from ostiary.faces.preprocess import Preprocess
from ostiary.runtime.liveness_record import Threshold

SIZE = 32
LOOSE = Preprocess(crop="loose", size=SIZE, scale=1.3, mean=(128.0,) * 3, std=(128.0,) * 3)


class Unit(nn.Module):
    """An inverted residual: a picture (N, 8, H, W) to one of its shape."""

    def __init__(self) -> None:
        super().__init__()
        self.widen, self.bn1 = nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16)
        self.spread, self.bn2 = nn.Conv2d(16, 16, 3, 1, 1, groups=16, bias=False), nn.BatchNorm2d(16)
        self.narrow, self.bn3 = nn.Conv2d(16, 8, 1, bias=False), nn.BatchNorm2d(8)
        self.act = nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        wide = self.act(self.bn1(self.widen(x)))
        return x + self.bn3(self.narrow(self.act(self.bn2(self.spread(wide)))))


class Small(nn.Module):
    """A stem of stride 2, a run of three units, a head, as the paper's network has them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn, self.act = nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6()
        self.units = nn.Sequential(*(Unit() for _ in range(3)))
        self.classifier = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.units(self.act(self.bn(self.stem(x))))
        answer: Tensor = self.classifier(x.mean((2, 3)))
        return answer


class SmallFace(nn.Module):
    """What face networks have besides: PReLU, a gate enlarged to the picture, parts laid together, unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bend = nn.Conv2d(3, 8, 3, 2, 1), nn.PReLU(8)
        self.pool, self.shrink = nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1)
        self.gate, self.enlarge = nn.Sigmoid(), nn.Upsample(scale_factor=SIZE // 2, mode="nearest")
        self.left, self.right, self.act = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1), nn.ReLU()
        self.whole, self.flatten = nn.Conv2d(16, 16, SIZE // 2, groups=16), nn.Flatten()
        self.embedding = nn.Linear(16, 12)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bend(self.stem(x))
        x = x * self.enlarge(self.gate(self.shrink(self.pool(x))))
        x = torch.cat([self.act(self.left(x)), self.right(x)], 1)
        return functional.normalize(self.embedding(self.flatten(self.whole(x))), dim=1)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Words H, L and B, a threshold for each, and a channel without weights, as trainings leave some."""
    torch.manual_seed(0)
    net = Small().eval()
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.3)
                layer.running_var.uniform_(0.1, 0.5)
                layer.bias.normal_(0, 0.3)
        net.classifier.weight.normal_(0, 0.7)
        net.bn.weight[2], net.bn.bias[2] = 0.0, 5.0
    threshold = Threshold(value=0.5, target="eer", rate=0.1, n_bona_fide=10, n_attack=10, data="noise")
    card = Card(
        name="small", version="1", licence="none", data=["noise"], preprocess=LOOSE, training_commit="unknown",
        default_configuration="H", thresholds=dict.fromkeys("HLB", threshold),
    )  # fmt: skip
    adaptive = make_adaptive(net, torch.zeros(1, 3, SIZE, SIZE), choose=largest(1))
    return export_liveness(adaptive, tmp_path_factory.mktemp("small") / "small.onnx", card)


@pytest.fixture(scope="session")
def face_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    net = SmallFace().eval()
    preprocess = Preprocess(crop="aligned", size=SIZE, mean=(127.5,) * 3, std=(127.5,) * 3)
    card = EmbeddingCard(
        name="face", version="1", licence="none", data=["noise"], preprocess=preprocess,
        training_commit="unknown", network="none",
    )  # fmt: skip
    path = tmp_path_factory.mktemp("face") / "face.onnx"
    path.write_bytes(sealed(liveness_model(net, preprocess), card.metadata(net)))
    return path


@pytest.fixture(scope="session")
def crops() -> NDArray[np.uint8]:
    """Smooth pictures, since 8-bit ranges of pure noise say little."""
    drawn = np.random.default_rng(3).integers(0, 256, (12, 4, 4, 3))
    return drawn.repeat(SIZE // 4, axis=1).repeat(SIZE // 4, axis=2).astype(np.uint8)
