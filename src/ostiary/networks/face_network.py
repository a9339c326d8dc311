"""The shape that all face embedding networks here share, with an argument for each thing in which they differ.

MobileFaceNet (Chen et al. 2018) and SeesawFaceNets (Zhang 2019) are the same chain: a stem at half
resolution, three groups of inverted residuals, a 1x1 convolution to 512, a global depthwise convolution, a
linear layer, an L2 norm. A :class:`Layout` is the chain's table of widths, a :class:`Style` how one block of
it is made. Layers are named so that a checkpoint reads like the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from ostiary.errors import ConfigurationError

SIDE = 112
"""Pixels of the aligned crop; the global depthwise convolution ties the networks to it."""

_LAST = SIDE // 16


class Row(NamedTuple):
    """A group of blocks: width inside, width of the output, how many, stride of the first."""

    wide: int
    channels: int
    repeats: int
    stride: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Width of the stem and the rows after it; ``pointwise`` is that of a 1x1 convolution between, 0 for none."""

    stem: int
    rows: tuple[Row, ...]
    last: int = 512
    pointwise: int = 0


Activation = Literal["prelu", "swish", "relu", "relu6"]
Pointwise = Literal["dense", "uneven", "uneven_crossed"]
Shortcut = Literal["none", "convolution", "pool"]
Choice = TypeVar("Choice")


@dataclass(frozen=True, slots=True)
class Style:
    """How a block is made.

    ``expand`` and ``project`` are the two 1x1 convolutions: ``uneven`` works on the first quarter of the
    channels and on the rest apart, ``uneven_crossed`` on the first three quarters and on the rest.
    ``shuffle`` mixes the two parts after ``expand``. ``squeeze`` says in which rows squeeze-and-excitation
    stands. ``shortcut`` is what a block of stride 2 is added to, if anything.

    A tuple has an entry for each row, the last one for all rows that follow. The stem is as the first row, and
    what comes after the rows is as the last.
    """

    activation: Activation | tuple[Activation, ...]
    expand: Pointwise | tuple[Pointwise, ...] = "dense"
    shuffle: bool | tuple[bool, ...] = False
    project: Pointwise | tuple[Pointwise, ...] = "dense"
    squeeze: bool | tuple[bool, ...] = False
    shortcut: Shortcut = "none"


def of_row(choice: Choice | tuple[Choice, ...], row: int) -> Choice:
    """What a style says of a row, the first being 0."""
    return choice[min(row, len(choice) - 1)] if isinstance(choice, tuple) else choice


class FaceNetwork(nn.Module):
    """Aligned RGB crops (N, 3, 112, 112), normalised -> embeddings (N, dimension) of unit length.

    Raises:
        ConfigurationError: an input of another size.

    """

    def __init__(self, layout: Layout, style: Style, dimension: int = 512) -> None:
        super().__init__()
        self.layout, self.style = layout, style
        activation = _ACTIVATIONS[of_row(style.activation, 0)]
        self.stem = ConvUnit(3, layout.stem, 3, 2, activation=activation)
        self.stem_depthwise = ConvUnit(layout.stem, layout.stem, 3, 1, layout.stem, activation)
        self.stem_pointwise: nn.Module = nn.Identity()
        channels = layout.stem
        if layout.pointwise:
            self.stem_pointwise = ConvUnit(channels, layout.pointwise, 1, activation=activation)
            channels = layout.pointwise
        groups = []
        for number, row in enumerate(layout.rows):
            squeeze = of_row(style.squeeze, number)
            blocks = []
            for place in range(row.repeats):
                stride = row.stride if place == 0 else 1
                blocks.append(Block(channels, row.wide, row.channels, stride, style, squeeze, number))
                channels = row.channels
            groups.append(nn.Sequential(*blocks))
        self.groups = nn.Sequential(*groups)
        activation = _ACTIVATIONS[of_row(style.activation, len(layout.rows) - 1)]
        self.last = ConvUnit(channels, layout.last, 1, activation=activation)
        self.global_depthwise = ConvUnit(layout.last, layout.last, _LAST, groups=layout.last, padding=0)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(layout.last, dimension, bias=False)
        self.norm = nn.BatchNorm1d(dimension)
        self.unit = UnitLength()
        self.register_forward_pre_hook(_check_size)

    def forward(self, x: Tensor) -> Tensor:
        """Crops (N, 3, 112, 112) -> (N, dimension), unit length."""
        return self.head(self.groups(self.begin(x)))

    def begin(self, x: Tensor) -> Tensor:
        """Crops (N, 3, 112, 112) -> what the rows are given, (N, C, 56, 56)."""
        begun: Tensor = self.stem_pointwise(self.stem_depthwise(self.stem(x)))
        return begun

    def maps(self, x: Tensor) -> list[Tensor]:
        """Crops (N, 3, 112, 112) -> what each group of blocks gives, (N, C, side, side)."""
        x = self.begin(x)
        found = []
        for group in self.groups:
            x = group(x)
            found.append(x)
        return found

    def head(self, x: Tensor) -> Tensor:
        """The last group's map (N, C, 7, 7) -> embeddings (N, dimension)."""
        embeddings: Tensor = self.unit(self.norm(self.linear(self.pool(x))))
        return embeddings

    def pool(self, x: Tensor) -> Tensor:
        """The last group's map (N, C, 7, 7) -> what the last linear layer is given, (N, last)."""
        pooled: Tensor = self.flatten(self.global_depthwise(self.last(x)))
        return pooled


class Block(nn.Module):
    """1x1 to the wide, (shuffle,) 3x3 depthwise, (squeeze-and-excitation,) 1x1 back without activation."""

    def __init__(
        self, channels: int, wide: int, out: int, stride: int, style: Style, squeeze: bool, row: int = 0
    ) -> None:
        super().__init__()
        activation = _ACTIVATIONS[of_row(style.activation, row)]
        self.expand = _pointwise(of_row(style.expand, row), channels, wide, activation)
        self.mix = Shuffle(wide) if of_row(style.shuffle, row) else nn.Identity()
        self.depthwise = ConvUnit(wide, wide, 3, stride, wide, activation)
        self.squeeze = SqueezeExcite(wide) if squeeze else nn.Identity()
        self.project = _pointwise(of_row(style.project, row), wide, out, None)
        self.skip: nn.Module | None = None
        if stride == 1 and channels == out:
            self.skip = nn.Identity()
        elif stride == 2 and style.shortcut == "convolution":
            self.skip = ConvUnit(channels, out, 1, 2, activation=activation)
        elif stride == 2 and style.shortcut == "pool":
            self.skip = nn.Sequential(nn.MaxPool2d(2), ConvUnit(channels, out, 1, activation=activation))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, out, H/stride, W/stride)."""
        y: Tensor = self.project(self.squeeze(self.depthwise(self.mix(self.expand(x)))))
        return y if self.skip is None else self.skip(x) + y


class ConvUnit(nn.Sequential):
    """A convolution without bias, batch normalisation, and an activation where there is one."""

    def __init__(
        self,
        channels: int,
        out: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        activation: Callable[[int], nn.Module] | None = None,
        padding: int | None = None,
    ) -> None:
        super().__init__()
        inside = kernel // 2 if padding is None else padding
        self.conv = nn.Conv2d(channels, out, kernel, stride, inside, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(out)
        if activation is not None:
            self.act = activation(out)


class UnevenPointwise(nn.Module):
    """Two 1x1 convolutions, one on ``share`` quarters of the channels and one on the rest: 5/8 of the cost."""

    def __init__(self, channels: int, out: int, share: int, activation: Callable[[int], nn.Module] | None) -> None:
        super().__init__()
        if channels % 4 or out % 4:
            raise ConfigurationError(f"An uneven pair cuts widths into quarters: {channels} or {out} has none.")
        self.cut = [channels * share // 4, channels - channels * share // 4]
        first = out * share // 4
        self.first = ConvUnit(self.cut[0], first, 1, activation=activation)
        self.second = ConvUnit(self.cut[1], out - first, 1, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, out, H, W)."""
        first, second = torch.split(x, self.cut, 1)
        return torch.cat([self.first(first), self.second(second)], 1)


class Shuffle(nn.ChannelShuffle):
    """Channels of the two halves in turn: ``out[2 i + half] = in[half * channels / 2 + i]``."""

    def __init__(self, channels: int) -> None:
        if channels % 2:
            raise ConfigurationError(f"A shuffle takes two halves: {channels} channels have none.")
        super().__init__(2)


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate in (0, 1) made from the means of all channels, a quarter as wide inside."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // 4, 1)
        self.act = nn.PReLU(channels // 4)
        self.restore = nn.Conv2d(channels // 4, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> the same shape."""
        scale: Tensor = self.gate(self.restore(self.act(self.reduce(x.mean((2, 3), keepdim=True)))))
        return x * scale


class UnitLength(nn.Module):
    """Each row (N, D) over its Euclidean length."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, D) -> (N, D)."""
        unit: Tensor = nn.functional.normalize(x, dim=1)
        return unit


def _check_size(_network: nn.Module, inputs: Sequence[Tensor]) -> None:
    if inputs[0].shape[1:] != (3, SIDE, SIDE):
        raise ConfigurationError(
            f"A face network takes aligned RGB crops (N, 3, {SIDE}, {SIDE}); got {tuple(inputs[0].shape)}."
        )


_ACTIVATIONS: dict[Activation, Callable[[int], nn.Module]] = {
    "prelu": nn.PReLU,
    "swish": lambda _channels: nn.SiLU(inplace=True),
    "relu": lambda _channels: nn.ReLU(inplace=True),
    "relu6": lambda _channels: nn.ReLU6(inplace=True),
}


def _pointwise(
    kind: Pointwise, channels: int, out: int, activation: Callable[[int], nn.Module] | None
) -> nn.Module:
    if kind == "dense":
        return ConvUnit(channels, out, 1, activation=activation)
    return UnevenPointwise(channels, out, 1 if kind == "uneven" else 3, activation)
