"""Squeeze-and-excitation without leaving the runtime's blocked layout.

Two things in it break that layout: PReLU in its middle, and the product with a gate of one pixel a channel.
"""

from __future__ import annotations

from typing import Literal, cast

from torch import Tensor, nn

from ostiary.export.rewrites.prelu import Bent, sign_of
from ostiary.export.rewrites.sums import Channels, Sums, full
from ostiary.export.rewrites.weights import multiply_columns, multiply_rows, taken
from ostiary.networks.face_network import SqueezeExcite

Gate = Literal["broadcast", "upsample"]
"""How the gate meets the pixels: a product that repeats it, or one with a gate enlarged to their number."""


class Gated(nn.Module):
    """Squeeze-and-excitation of a tensor (N, channels, side, side) in parts; its PReLU as in ``bend``."""

    def __init__(self, squeeze: SqueezeExcite, parts: list[Channels], side: int, gate: Gate) -> None:
        super().__init__()
        slopes = cast(Tensor, squeeze.act.weight).detach()
        sign = sign_of(1 - slopes)
        multiply_rows(squeeze.reduce, sign)
        multiply_columns(squeeze.restore, sign)
        inside = full(list(range(len(slopes))))
        self.reduce = Sums(parts, squeeze.reduce, [inside])
        self.act = Bent(taken(slopes - 1, 0, inside))
        self.restore = Sums([inside], squeeze.restore, parts)
        self.gate = nn.Sigmoid()
        self.enlarge = nn.Upsample(scale_factor=side) if gate == "upsample" else nn.Identity()

    def forward(self, parts: list[Tensor]) -> list[Tensor]:
        """Each part (N, its channels, side, side) -> the same shape."""
        (inside,) = self.reduce([part.mean((2, 3), keepdim=True) for part in parts])
        gates = self.restore([self.act(inside)])
        return [part * self.enlarge(self.gate(gate)) for part, gate in zip(parts, gates, strict=True)]
