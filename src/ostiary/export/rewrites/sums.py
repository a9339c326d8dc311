"""Layers of tensors that lie in parts: a convolution sums its blocks, other layers take each part by itself."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from functools import reduce
from typing import cast

from torch import Tensor, nn

from ostiary.export.rewrites.weights import ZERO, channels_of, convolution, taken

Channels = list[int]
"""The channels of a part, in its order; ``weights.ZERO`` for one that only fills it up."""

LANES = 16
"""Channels that the blocked layout keeps together on a processor with AVX-512; elsewhere they are fewer."""


def full(channels: Channels) -> Channels:
    """Filled up with zeros to whole registers, without which the runtime does not take its blocked layout."""
    return [*channels, *[ZERO] * (-len(channels) % LANES)]


class Sums(nn.Module):
    """A convolution from parts to parts, block by block without those of zeros."""

    def __init__(self, into: list[Channels], conv: nn.Conv2d, out: list[Channels]) -> None:
        super().__init__()
        assert conv.bias is not None
        self.sources: list[list[int]] = []
        sums = []
        for rows in out:
            blocks = [taken(taken(conv.weight, 0, rows), 1, columns) for columns in into]
            sources = [place for place, block in enumerate(blocks) if block.any()] or [0]
            bias = taken(conv.bias, 0, rows)
            sums.append(
                nn.ModuleList(
                    convolution(blocks[place], bias if place == sources[0] else None, conv) for place in sources
                )
            )
            self.sources.append(sources)
        self.sums = nn.ModuleList(sums)

    def forward(self, parts: list[Tensor], added: list[Tensor] | None = None) -> list[Tensor]:
        """Each result, on top of what is ``added`` to it."""
        results = []
        for place, (sources, convs) in enumerate(zip(self.sources, self.sums, strict=True)):
            products = [
                conv(parts[source]) for source, conv in zip(sources, cast(nn.ModuleList, convs), strict=True)
            ]
            # One after the other: the runtime adds what there is already while it convolves.
            results.append(reduce(operator.add, products if added is None else [added[place], *products]))
        return results


class Each(nn.Module):
    """To each part its own layer."""

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, parts: list[Tensor]) -> list[Tensor]:
        """Each part through its layer."""
        return [layer(part) for layer, part in zip(self.layers, parts, strict=True)]


def chosen(layer: nn.Module, parts: list[Channels]) -> Each:
    """A layer that treats each channel by itself, cut into parts."""
    return Each(channels_of(layer, part) for part in parts)
