"""A network of uneven pairs as streams that stay apart: no split, no shuffle, no multiplication by zero.

Seen as one convolution (dense.py), an uneven pair is a matrix with blocks of zeros. Here the channels are cut
where those blocks end, each part is a tensor of its own, and a convolution is the sum of its blocks that are
not zero. Which parts there are is read off the weights: nothing here knows a shuffle from a share.
"""

from __future__ import annotations

from itertools import accumulate, groupby, pairwise
from typing import Literal, cast

import torch
from torch import Tensor, nn

from ostiary.adaptive.block import Mean
from ostiary.errors import ConfigurationError
from ostiary.export.rewrites.squeeze import Gate, Gated
from ostiary.export.rewrites.sums import Channels, Each, Sums, chosen, full
from ostiary.export.rewrites.weights import convolution, taken
from ostiary.networks.face_network import SIDE, Block, ConvUnit, FaceNetwork, SqueezeExcite

Row = Literal["apart", "one_wide", "whole"]
"""How the channels of a row lie: in streams all the way; in streams between blocks, but in one tensor inside a
block, from which each stream is projected with zeros; or in one tensor, as in the dense form."""


class Streams(nn.Module):
    """Crops (N, 3, 112, 112) -> embeddings (N, dimension), as the network that it was made from.

    Args:
        network: in its dense form (dense.py, prelu.py).
        rows: how each row lies; the last one holds for all that follow, and the stem lies as the first.
        shares: the shares of the streams between blocks, in quarters of the channels.
        gate: see squeeze.py.

    """

    def __init__(self, network: FaceNetwork, rows: tuple[Row, ...], shares: tuple[int, ...], gate: Gate) -> None:
        super().__init__()
        streams = _narrow(network.stem.conv.out_channels, rows[0], shares)
        self.stem = nn.Sequential(
            Sums([[0, 1, 2]], network.stem.conv, streams),
            chosen(network.stem.act, streams),
            chosen(network.stem_depthwise.conv, streams),
            chosen(network.stem_depthwise.act, streams),
        )
        groups, side = [], SIDE // 2
        for number, group in enumerate(network.groups):
            chain = _Chain(group, streams, side, rows[min(number, len(rows) - 1)], shares, gate)
            groups.append(chain)
            streams, side = chain.streams, chain.side
        self.groups = nn.Sequential(*groups)
        self.last = Sums(streams, network.last.conv, [list(range(network.last.conv.out_channels))])
        self.head = nn.Sequential(
            network.last.act, network.global_depthwise, network.flatten, network.linear, network.unit
        )

    def forward(self, x: Tensor) -> Tensor:
        """Crops (N, 3, 112, 112) -> (N, dimension), unit length."""
        (last,) = self.last(self.groups(self.stem([x])))
        embeddings: Tensor = self.head(last)
        return embeddings


class _Chain(nn.Module):
    """Blocks one after the other, and means of two such chains; ``streams`` and ``side`` are those behind it."""

    streams: list[Channels]
    side: int

    def __init__(
        self,
        chain: nn.Module,
        streams: list[Channels],
        side: int,
        row: Row,
        shares: tuple[int, ...],
        gate: Gate,
    ) -> None:
        super().__init__()
        links: list[nn.Module] = []
        for link in chain if isinstance(chain, nn.Sequential) else [chain]:
            if isinstance(link, Block):
                side //= link.depthwise.conv.stride[0]
                out = _narrow(cast(ConvUnit, link.project).conv.out_channels, row, shares)
                links.append(_Block(link, streams, _wide(link, streams, out, row), out, side, gate))
                streams = out
                continue
            branches = [link.heavy, link.light] if type(link) is Mean else [link]
            if branches == [chain]:
                raise ConfigurationError(
                    f"a rewrite knows chains of blocks only, not {type(link).__name__}: specialise an adaptive "
                    "network to one word first."
                )
            chains = [_Chain(branch, streams, side, row, shares, gate) for branch in branches]
            links.append(chains[0] if len(chains) == 1 else _Halves(chains))
            streams, side = chains[0].streams, chains[0].side
        self.links = nn.Sequential(*links)
        self.streams, self.side = streams, side

    def forward(self, streams: list[Tensor]) -> list[Tensor]:
        results: list[Tensor] = self.links(streams)
        return results


class _Halves(nn.Module):
    """The mean of two chains."""

    def __init__(self, chains: list[_Chain]) -> None:
        super().__init__()
        self.first, self.second = chains

    def forward(self, streams: list[Tensor]) -> list[Tensor]:
        return [(one + other) / 2 for one, other in zip(self.first(streams), self.second(streams), strict=True)]


class _Block(nn.Module):
    def __init__(
        self,
        block: Block,
        into: list[Channels],
        parts: list[list[Channels]],
        out: list[Channels],
        side: int,
        gate: Gate,
    ) -> None:
        super().__init__()
        expand, depthwise, project = cast(ConvUnit, block.expand), block.depthwise, cast(ConvUnit, block.project)
        pieces = [piece for part in parts for piece in part]
        wide = [[channel for piece in part for channel in piece] for part in parts]
        join = _Join([len(part) for part in parts])
        inside: list[nn.Module] = [Sums(into, expand.conv, pieces)]
        if depthwise.conv.stride[0] == 1:
            inside += [join, chosen(expand.act, wide), chosen(depthwise.conv, wide)]
        else:  # joined where the picture is smaller
            inside += [chosen(expand.act, pieces), chosen(depthwise.conv, pieces), join]
        inside.append(chosen(depthwise.act, wide))
        if isinstance(block.squeeze, SqueezeExcite):
            inside.append(Gated(block.squeeze, wide, side, gate))
        self.inside = nn.Sequential(*inside)
        self.project = Sums(wide, project.conv, out)
        self.skip = None if block.skip is None else _skip(block.skip, into, out)

    def forward(self, streams: list[Tensor]) -> list[Tensor]:
        added = None if self.skip is None else self.skip(streams)
        results: list[Tensor] = self.project(self.inside(streams), added)
        return results


def _skip(skip: nn.Module, into: list[Channels], out: list[Channels]) -> nn.Module:
    """What is added to a block's result: a convolution, pooling and a convolution, or the block's input."""
    if isinstance(skip, ConvUnit):
        return nn.Sequential(Sums(into, skip.conv, out), chosen(skip.act, out))
    if isinstance(skip, nn.Sequential):
        pool, unit = skip
        return nn.Sequential(Each([pool] * len(into)), _skip(unit, into, out))
    if into == out:
        return nn.Identity()
    # Behind a row that lies otherwise, the same channels in other parts.
    width = 1 + max(channel for part in into for channel in part)
    same = torch.eye(width, dtype=torch.float64)[..., None, None]
    return Sums(into, convolution(same, torch.zeros(width, dtype=torch.float64)), out)


class _Join(nn.Module):
    """Every so many pieces to one part."""

    def __init__(self, counts: list[int]) -> None:
        super().__init__()
        self.counts = counts

    def forward(self, pieces: list[Tensor]) -> list[Tensor]:
        parts, start = [], 0
        for count in self.counts:
            parts.append(pieces[start] if count == 1 else torch.cat(pieces[start : start + count], 1))
            start += count
        return parts


def _narrow(width: int, row: Row, shares: tuple[int, ...]) -> list[Channels]:
    """The channels of each stream behind a block."""
    if row == "whole":
        return [list(range(width))]
    edges = [width * quarters // 4 for quarters in accumulate(shares, initial=0)]
    return [full(list(range(*pair))) for pair in pairwise(edges)]


def _wide(block: Block, into: list[Channels], out: list[Channels], row: Row) -> list[list[Channels]]:
    """The channels inside a block, as parts of pieces: a piece reads the same streams, a part is read by the same.

    Looked at by eighths, the finest cut that quarters and a shuffle of two make.
    """
    expand, project = (cast(ConvUnit, unit).conv.weight for unit in (block.expand, block.project))
    if row == "whole":
        return [[list(range(len(expand)))]]

    def key(channels: Tensor) -> tuple[tuple[bool, ...], tuple[bool, ...]]:
        sources = tuple(bool(taken(expand[channels], 1, part).any()) for part in into)
        readers = tuple(bool(taken(project[:, channels], 0, part).any()) for part in out)
        return (readers if row == "apart" else ()), sources

    eighths = torch.arange(len(expand)).chunk(8)
    keyed = sorted(((key(channels), channels.tolist()) for channels in eighths), key=lambda pair: pair[0])
    return [
        [
            full([channel for _, channels in piece for channel in channels])
            for _, piece in groupby(part, lambda pair: pair[0][1])
        ]
        for _, part in groupby(keyed, lambda pair: pair[0][0])
    ]
