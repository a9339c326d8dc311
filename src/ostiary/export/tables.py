"""Batch normalisation as a scale and a shift, in one row or in a row for each configuration upstream.

The statistics that a layer sees depend only on the letters of the adaptive blocks before it. A layer behind k
blocks therefore needs 3^k rows at most, and layers before the first block one, which is folded away. Scale
and shift (``gamma / sqrt(var + eps)`` and ``beta - mean * scale``) are two numbers a channel and row, where
mean, variance, gamma and beta would be four.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ostiary.adaptive import Adaptive, blocks, configured, words
from ostiary.errors import ConfigurationError

#: Letters in the order of their extent in ``sel`` (runtime/liveness.py) and of the rows.
ROW_LETTERS = "LHB"

#: Word -> layer name -> (running mean, running variance), as ostiary.adaptive.recalibrate gives them.
Statistics = Mapping[str, Mapping[str, tuple[Tensor, Tensor]]]


@dataclass(frozen=True, slots=True)
class Affine:
    """A batch normalisation in evaluation: ``x * scale + shift``.

    ``scale`` and ``shift`` are (rows, channels). One row serves all words; otherwise there are 3^``upstream``
    rows, and the row of a word is its first ``upstream`` letters read as a number of base 3 (L=0, H=1, B=2).
    """

    scale: NDArray[np.float32]
    shift: NDArray[np.float32]
    upstream: int = 0

    @property
    def varies(self) -> bool:
        """Whether the row depends on the configuration."""
        return self.upstream > 0


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a layer stands: how many adaptive blocks come before it, and the letters that use its branch."""

    upstream: int
    letters: str | None  # None: the layer is outside all adaptive blocks


def affine_layers(net: nn.Module, example: Tensor, statistics: Statistics | None) -> dict[str, Affine]:
    """Every BatchNorm2d of a network by name, with its own statistics or those of each configuration.

    A layer whose rows turn out equal gets one row, so that statistics that differ in a few layers only cost
    only there.

    Raises:
        ConfigurationError: a word or layer is missing in ``statistics``, or a layer's statistics differ
            between words that agree upstream of it (not the same pictures in the same order).

    """
    layers = {name: layer for name, layer in net.named_modules() if isinstance(layer, nn.BatchNorm2d)}
    if statistics is None:
        return {name: _one_row(layer) for name, layer in layers.items()}
    missing = sorted(set(words(net)) - set(statistics))
    if missing:
        raise ConfigurationError(f"the statistics lack the configuration {missing[0]}: recalibrate every word.")
    places = _places(net, layers, example)
    return {name: _rows(name, layer, places[name], statistics, words(net)) for name, layer in layers.items()}


def _one_row(layer: nn.BatchNorm2d) -> Affine:
    assert layer.running_mean is not None
    assert layer.running_var is not None
    scale, shift = _scale_and_shift(layer, layer.running_mean, layer.running_var)
    return Affine(scale[None], shift[None])


def _rows(
    name: str, layer: nn.BatchNorm2d, place: _Place, statistics: Statistics, every_word: list[str]
) -> Affine:
    using = [w for w in every_word if place.letters is None or w[place.upstream] in place.letters]
    rows = []
    for prefix in product(ROW_LETTERS, repeat=place.upstream):
        same_upstream = [word for word in using if word.startswith("".join(prefix))]
        try:
            given = [statistics[word][name] for word in same_upstream]
        except KeyError:
            raise ConfigurationError(f"the statistics lack the layer {name}: recalibrate every word.") from None
        if not all(_agree(given[0], other) for other in given[1:]):
            raise ConfigurationError(
                f"the statistics of {name} differ between {' and '.join(same_upstream[:2])}, which are "
                "the same up to that layer: recalibrate every word with the same pictures in the same order."
            )
        rows.append(_scale_and_shift(layer, *given[0]))
    scale = np.stack([row[0] for row in rows])
    shift = np.stack([row[1] for row in rows])
    if (scale == scale[0]).all() and (shift == shift[0]).all():
        return Affine(scale[:1], shift[:1])
    return Affine(scale, shift, place.upstream)


def _agree(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> bool:
    return all(torch.allclose(a, b, rtol=1e-3, atol=1e-5) for a, b in zip(one, other, strict=True))


def _scale_and_shift(
    layer: nn.BatchNorm2d, mean: Tensor, variance: Tensor
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    scale = 1.0 / torch.sqrt(variance.detach().cpu().double() + layer.eps)
    if layer.weight is not None:
        scale = scale * layer.weight.detach().cpu().double()
    shift = -mean.detach().cpu().double() * scale
    if layer.bias is not None:
        shift = shift + layer.bias.detach().cpu().double()
    return scale.numpy().astype(np.float32), shift.numpy().astype(np.float32)


def _places(net: nn.Module, layers: dict[str, nn.BatchNorm2d], example: Tensor) -> dict[str, _Place]:
    """Watch one pass with every branch in use to see what comes before what."""
    places: dict[str, _Place] = {}
    entered: list[Adaptive] = []
    inside = {
        id(layer): (block, letters)
        for block in blocks(net)
        for branch, letters in ((block.heavy, "HB"), (block.light, "LB"))
        for layer in branch.modules()
    }

    def enter(block: nn.Module, *_: Any) -> None:
        assert isinstance(block, Adaptive)
        entered.append(block)

    def pass_layer(name: str, layer: nn.Module, *_: Any) -> None:
        block, letters = inside.get(id(layer), (None, None))
        places[name] = _Place(len(entered) - (block is not None), letters)

    hooks = [block.register_forward_pre_hook(enter) for block in blocks(net)]
    hooks += [layer.register_forward_pre_hook(partial(pass_layer, name)) for name, layer in layers.items()]
    try:
        with torch.no_grad(), configured(net, "B" * len(blocks(net))):
            net(example)
    finally:
        for hook in hooks:
            hook.remove()
    return places
