"""MobileNetV2 (Sandler et al. 2018), and the post-train adaptive one that the transform makes of it.

Layers carry the names of timm's implementation. Each stage is an ``nn.Sequential``, so that
`ostiary.adaptive.find_runs` sees its blocks.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ostiary.adaptive.transform import LightInit, Run, make_adaptive


class Stage(NamedTuple):
    """One row of the paper's table: expansion factor, output channels, blocks, stride of the first block."""

    expansion: int
    channels: int
    repeats: int
    stride: int


STAGES = (
    Stage(1, 16, 1, 1),
    Stage(6, 24, 2, 2),
    Stage(6, 32, 3, 2),
    Stage(6, 64, 4, 2),
    Stage(6, 96, 3, 1),
    Stage(6, 160, 3, 2),
    Stage(6, 320, 1, 1),
)
"""Sandler et al. 2018, Table 2."""

PAPER_RUNS = (
    Run("blocks.3", ("1", "2", "3")),
    Run("blocks.4", ("1", "2")),
    Run("blocks.5", ("1", "2")),
)
"""The runs that Khabarlak 2022, Table 1 replaces: 64, 96 and 160 channels, the last two blocks of each."""

_STEM = 32
_HEAD = 1280


class MobileNetV2(nn.Module):
    """RGB (N, 3, S, S) -> logits (N, classes). S should be a multiple of 32; the papers here use 128."""

    def __init__(self, classes: int = 2, width: float = 1.0, dropout: float = 0.2) -> None:
        super().__init__()
        channels = _rounded(_STEM * width)
        self.conv_stem = nn.Conv2d(3, channels, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = nn.ReLU6(inplace=True)
        stages = []
        for stage in STAGES:
            out = _rounded(stage.channels * width)
            stages.append(_stage(channels, out, stage))
            channels = out
        self.blocks = nn.Sequential(*stages)
        head = _rounded(_HEAD * max(1.0, width))
        self.conv_head = nn.Conv2d(channels, head, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(head)
        self.act2 = nn.ReLU6(inplace=True)
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(dropout)
        self.classifier = nn.Linear(head, classes)
        initialise(self)

    def features(self, x: Tensor) -> Tensor:
        """RGB (N, 3, S, S) -> what the classifier sees, (N, 1280) at width 1."""
        x = self.act1(self.bn1(self.conv_stem(x)))
        x = self.act2(self.bn2(self.conv_head(self.blocks(x))))
        pooled: Tensor = self.global_pool(x).flatten(1)
        return pooled

    def forward(self, x: Tensor) -> Tensor:
        """RGB (N, 3, S, S) -> logits (N, classes)."""
        logits: Tensor = self.classifier(self.drop(self.features(x)))
        return logits


class DepthwiseSeparable(nn.Module):
    """The first block, of expansion 1: 3x3 depthwise, then 1x1 to the output width without activation."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = nn.ReLU6(inplace=True)
        self.conv_pw = nn.Conv2d(channels, out, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.skip = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, out, H/stride, W/stride)."""
        y: Tensor = self.bn2(self.conv_pw(self.act1(self.bn1(self.conv_dw(x)))))
        return x + y if self.skip else y


class InvertedResidual(nn.Module):
    """1x1 to ``expansion`` times the width, 3x3 depthwise, 1x1 back; a skip where the shape stays."""

    def __init__(self, channels: int, out: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.conv_pw = nn.Conv2d(channels, wide, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.act1 = nn.ReLU6(inplace=True)
        self.conv_dw = nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.act2 = nn.ReLU6(inplace=True)
        self.conv_pwl = nn.Conv2d(wide, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.skip = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, out, H/stride, W/stride)."""
        wide = self.act1(self.bn1(self.conv_pw(x)))
        mixed = self.act2(self.bn2(self.conv_dw(wide)))
        y: Tensor = self.bn3(self.conv_pwl(mixed))
        return x + y if self.skip else y

    def reset_parameters(self) -> None:
        """Initialise afresh, as in a new network; the adaptive transform calls it for light branches."""
        initialise(self)


def mobilenet_v2(classes: int = 2, width: float = 1.0, dropout: float = 0.2) -> MobileNetV2:
    """The stock network, freshly initialised: 2,226,434 parameters with the defaults."""
    return MobileNetV2(classes, width, dropout)


def pta_mobilenet_v2(classes: int = 2, dropout: float = 0.2, light_init: LightInit = "fresh") -> MobileNetV2:
    """Post-Train Adaptive MobileNetV2 (Khabarlak 2022): the stock network with three adaptive blocks.

    27 configuration words; HHH computes exactly what `mobilenet_v2` of the same seed does.
    """
    return adapt(mobilenet_v2(classes, dropout=dropout), light_init)


def adapt(stock: MobileNetV2, light_init: LightInit = "copy-first") -> MobileNetV2:
    """The paper's adaptive network from a stock one, whose weights the heavy branches keep."""
    example = torch.zeros(1, 3, 32, 32, device=stock.conv_stem.weight.device)
    return make_adaptive(stock, example, runs=PAPER_RUNS, light_init=light_init)


def initialise(net: nn.Module) -> None:
    """Initialise in place as the reference does: Kaiming by fan-out, plain BatchNorm, small classifier."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)


def _stage(channels: int, out: int, stage: Stage) -> nn.Sequential:
    if stage.expansion == 1:
        return nn.Sequential(DepthwiseSeparable(channels, out, stage.stride))
    first = InvertedResidual(channels, out, stage.stride, stage.expansion)
    rest = [InvertedResidual(out, out, 1, stage.expansion) for _ in range(stage.repeats - 1)]
    return nn.Sequential(first, *rest)


def _rounded(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of ``divisor`` that is at least 90 % of ``channels``: the reference's rounding."""
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * channels else nearest
