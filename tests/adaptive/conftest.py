"""Small networks of several kinds, none of them made for faces."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from ostiary.adaptive import make_adaptive


class BasicBlock(nn.Module):
    """ResNet's block: two 3x3 convolutions, a skip, a projection where the shape changes."""

    def __init__(self, channels: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        same = stride == 1 and channels == out
        projection = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        self.skip = nn.Identity() if same else projection

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.skip(x))


class ResNet(nn.Module):
    def __init__(self, repeats: tuple[int, ...], widths: tuple[int, ...], classes: int = 2) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, widths[0], 3, 2, 1, bias=False), nn.BatchNorm2d(widths[0]))
        firsts = [BasicBlock(widths[0], widths[0])]
        firsts += [BasicBlock(before, width, 2) for before, width in pairwise(widths)]
        self.stages = nn.Sequential(
            *(
                nn.Sequential(first, *(BasicBlock(width, width) for _ in range(count - 1)))
                for first, width, count in zip(firsts, widths, repeats, strict=True)
            )
        )
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stages(torch.relu(self.stem(x))).mean((2, 3)))


class SqueezeBlock(nn.Module):
    """An inverted residual with squeeze-excite and hard-swish, as in MobileNetV3."""

    def __init__(self, channels: int, out: int, stride: int = 1) -> None:
        super().__init__()
        wide = 4 * channels
        self.expand = nn.Sequential(nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide))
        self.depthwise = nn.Conv2d(wide, wide, 5, stride, 2, groups=wide, bias=False)
        self.norm = nn.BatchNorm2d(wide)
        self.squeeze = nn.Conv2d(wide, wide // 4, 1)
        self.excite = nn.Conv2d(wide // 4, wide, 1)
        self.project = nn.Sequential(nn.Conv2d(wide, out, 1, bias=False), nn.BatchNorm2d(out))
        self.skip = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        wide = nn.functional.hardswish(self.expand(x))
        wide = nn.functional.hardswish(self.norm(self.depthwise(wide)))
        gate = self.excite(torch.relu(self.squeeze(wide.mean((2, 3), keepdim=True))))
        y = self.project(wide * nn.functional.hardsigmoid(gate))
        return x + y if self.skip else y


def randomise_statistics(net: nn.Module) -> None:
    """BatchNorm that has seen something: without it, errors in the handling of statistics would not show."""
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)


@pytest.fixture
def resnet() -> nn.Module:
    torch.manual_seed(0)
    net = ResNet((2, 3, 4, 3), (32, 64, 128, 256))
    randomise_statistics(net)
    return net.eval()


@pytest.fixture
def squeeze_net() -> nn.Sequential:
    """Its root is a Sequential, and its two runs lie in one Sequential, behind one another."""
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        SqueezeBlock(8, 8),
        SqueezeBlock(8, 8),
        SqueezeBlock(8, 8),
        SqueezeBlock(8, 16, 2),
        SqueezeBlock(16, 16),
        SqueezeBlock(16, 16),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 5),
    )
    randomise_statistics(net)
    return net.eval()


@pytest.fixture
def image() -> Tensor:
    return torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def adaptive(squeeze_net: nn.Sequential, image: Tensor) -> nn.Sequential:
    """Two adaptive blocks, nine words."""
    net = make_adaptive(squeeze_net, image)
    randomise_statistics(net)
    return net


@pytest.fixture
def batch() -> Tensor:
    return torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(3))
