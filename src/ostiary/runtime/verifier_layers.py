"""The shapes of the personal verifier f: one list of layers an architecture, and how its weights lie in a row.

A user's f is nothing but a row of numbers, theta: layer by layer the weight (out, in / groups, k, k) in C order,
then the bias. Networks, templates and exported graphs all read this list, so that none can drift from another.

After Rozner et al. 2023 (arXiv 2312.13240): "23k parameters", "5M floating point operations". The paper's text
gives no layers that we could read; the tables, the activation and the input are ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError
from ostiary.faces.preprocess import Preprocess

Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution with a bias; ``side`` is that of the square map it gives, ``relu`` what follows it."""

    name: str
    channels: int
    out: int
    kernel: int
    stride: int
    padding: int
    groups: int
    side: int
    relu: bool

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the weight: (out, channels / groups, kernel, kernel)."""
        return self.out, self.channels // self.groups, self.kernel, self.kernel

    @property
    def fan_in(self) -> int:
        """Numbers of one filter."""
        return self.channels // self.groups * self.kernel**2

    @property
    def weights(self) -> int:
        """Numbers of the weight, without the bias."""
        return self.out * self.fan_in

    @property
    def parameters(self) -> int:
        """Numbers of the weight and the bias."""
        return self.weights + self.out

    @property
    def macs(self) -> int:
        """Multiply-adds of the weight for one picture."""
        return self.weights * self.side**2


@dataclass(frozen=True)
class Architecture:
    """A verifier's layers, in order, and the side of the aligned crop that it sees."""

    name: str
    size: int
    layers: tuple[Layer, ...]

    @property
    def preprocess(self) -> Preprocess:
        """How a crop becomes the input: aligned RGB, (x - 127.5) / 64."""
        return Preprocess(crop="aligned", size=self.size, mean=(_MEAN,) * 3, std=(_STD,) * 3)

    @property
    def parameters(self) -> int:
        """Numbers of one theta."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def filters(self) -> int:
        """Output channels of all layers, which is the number of biases."""
        return sum(layer.out for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-adds for one picture: the operations, if a multiply-add counts once and a bias nothing."""
        return sum(layer.macs for layer in self.layers)

    @property
    def flops(self) -> int:
        """Operations by the stricter reading: two a multiply-add and one a bias; ReLU is free in either."""
        return 2 * self.macs + sum(layer.out * layer.side**2 for layer in self.layers)

    @cached_property
    def digest(self) -> bytes:
        """8 bytes that change with whatever would give the same theta another meaning."""
        said = "|".join(
            f"{x.name} {x.channels} {x.out} {x.kernel} {x.stride} {x.padding} {x.groups} {x.relu}"
            for x in self.layers
        )
        said = f"aligned RGB {self.size} {_MEAN} {_STD}|{said}"
        return hashlib.sha256(said.encode()).digest()[:8]

    def places(self) -> Iterator[tuple[Layer, slice, slice]]:
        """Each layer, and where in theta its weight and its bias lie."""
        at = 0
        for layer in self.layers:
            middle, end = at + layer.weights, at + layer.parameters
            yield layer, slice(at, middle), slice(middle, end)
            at = end

    def parts(self, theta: NDArray[Number]) -> dict[str, tuple[NDArray[Number], NDArray[Number]]]:
        """Weight and bias of each layer by its name, as views of a theta (parameters,)."""
        return {
            layer.name: (theta[weight].reshape(layer.shape), theta[bias]) for layer, weight, bias in self.places()
        }


def architecture_named(name: str) -> Architecture:
    """The architecture of this name, or a ConfigurationError that lists what there is."""
    if name not in ARCHITECTURES:
        raise ConfigurationError(f"There is no verifier {name!r}; choose one of: {', '.join(ARCHITECTURES)}.")
    return ARCHITECTURES[name]


_MEAN, _STD = 127.5, 64.0


def _chain(name: str, size: int, stem: int, rows: tuple[tuple[int, int], ...]) -> Architecture:
    """A stem at half resolution; for each row a 3x3 depthwise of its stride and a pointwise to its width; a
    depthwise over the whole map, which weights places; one logit. No activation follows the last two.
    """
    side = size // 2
    layers = [Layer("stem", 3, stem, 3, 2, 1, 1, side, True)]
    channels = stem
    for number, (out, stride) in enumerate(rows):
        side //= stride
        layers.append(Layer(f"dw{number}", channels, channels, 3, stride, 1, channels, side, True))
        layers.append(Layer(f"pw{number}", channels, out, 1, 1, 0, 1, side, True))
        channels = out
    layers.append(Layer("gdc", channels, channels, side, 1, 0, channels, 1, False))
    layers.append(Layer("fc", channels, 1, 1, 1, 0, 1, 1, False))
    return Architecture(name, size, tuple(layers))


F112 = _chain("f112", 112, 8, ((24, 2), (48, 2), (48, 1), (88, 2), (88, 1)))
"""Within 5M operations by both readings."""

F112W = _chain("f112w", 112, 12, ((28, 2), (28, 1), (48, 2), (48, 1), (48, 1), (72, 2), (72, 1)))
"""Within 5M if a multiply-add counts once; above it if twice."""

F64 = _chain("f64", 64, 12, ((32, 2), (56, 2), (56, 1), (88, 2), (88, 1)))
"""Less than half the cost of f112, for the smallest devices."""

ARCHITECTURES = {architecture.name: architecture for architecture in (F112, F112W, F64)}
