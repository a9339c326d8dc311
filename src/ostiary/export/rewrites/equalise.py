"""Channels of like range, so that the eight bits that they share serve all of them.

8-bit activations have one scale a tensor, and a channel whose values are a hundredth of the largest one's keeps
one or two steps of it. Where an activation is positively homogeneous (``f(c x) = c f(x)`` for c > 0: ReLU, PReLU)
a factor can be moved through it from one convolution into the next, which changes nothing but the ranges (Nagel
et al. 2019, "cross-layer equalisation"). A depthwise convolution has a scale for each channel of its own, so that
what it reads can be made equal without loss; a 1x1 convolution has not, and its inputs meet half-way.

ReLU6 is homogeneous up to its 6. A channel that stays below can be enlarged until it comes near, with some room
for faces that were not among the samples; what would go beyond is cut off, as the 8 bits would do.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ostiary.export.rewrites.dense import dense
from ostiary.export.rewrites.places import Place, places
from ostiary.export.rewrites.weights import multiply_rows
from ostiary.networks.face_network import FaceNetwork

NARROWEST = 1e-2
"""No range counts as smaller than this part of the largest."""

ROOM = 1.2
"""Before ReLU6 a channel may become so many times as large as it was on any sample, and is not cut off."""

_BATCH = 8


def equalise(network: FaceNetwork, samples: Tensor) -> FaceNetwork:
    """The network in dense form with like ranges on these inputs (N, 3, 112, 112), normalised."""
    network = dense(network)
    found = places(network, nn.ReLU, nn.ReLU6, nn.PReLU)
    ranges = _ranges(network, found, samples)
    for place, spread in zip(found, ranges, strict=True):
        full = float(spread.max())
        if isinstance(place.unit.act, nn.ReLU6):
            full, spread = _SIX, (ROOM * spread).clamp(max=_SIX)
        spread = spread.clamp(min=NARROWEST * full)
        factors = (full / spread) ** (1.0 if place.next_depthwise is not None else 0.5)
        multiply_rows(place.unit.conv, factors)
        place.read_times(1 / factors)
    return network


_SIX = 6.0


def _ranges(network: FaceNetwork, found: list[Place], samples: Tensor) -> list[Tensor]:
    """The largest magnitude of each channel before the activation, or behind a ReLU, which the runtime fuses."""
    largest = [torch.zeros(place.unit.conv.out_channels, dtype=torch.float64) for place in found]

    def watch(number: int, values: Tensor) -> None:
        torch.maximum(largest[number], values.abs().amax((0, 2, 3)), out=largest[number])

    hooks = []
    for number, place in enumerate(found):
        watched = place.unit if isinstance(place.unit.act, nn.ReLU | nn.ReLU6) else place.unit.conv
        hooks.append(watched.register_forward_hook(lambda _layer, _inputs, y, number=number: watch(number, y)))
    try:
        with torch.no_grad():
            for start in range(0, len(samples), _BATCH):
                network(samples[start : start + _BATCH].double())
    finally:
        for hook in hooks:
            hook.remove()
    return largest
