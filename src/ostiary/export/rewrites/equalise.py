"""Channels of like range before PReLU, whose rewritten forms hide from the graph where factors can be moved.

What like ranges are good for stands in :mod:`ostiary.export.like_ranges`, which makes them alike behind ReLU and
ReLU6. PReLU is positively homogeneous as well (``f(c x) = c f(x)`` for c > 0), but is spelled in several nodes
when the graph is written, so that its factors are moved before.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ostiary.export.like_ranges import NARROWEST
from ostiary.export.rewrites.dense import dense
from ostiary.export.rewrites.places import Place, places
from ostiary.export.rewrites.weights import multiply_rows
from ostiary.networks.face_network import FaceNetwork

_BATCH = 8


def equalise(network: FaceNetwork, samples: Tensor) -> FaceNetwork:
    """The network in dense form with like ranges on these inputs (N, 3, 112, 112), normalised."""
    network = dense(network)
    found = places(network, nn.PReLU)
    for place, spread in zip(found, _ranges(network, found, samples), strict=True):
        spread = spread.clamp(min=float(NARROWEST * spread.max()))
        factors = (spread.max() / spread) ** (1.0 if place.next_depthwise is not None else 0.5)
        multiply_rows(place.unit.conv, factors)
        place.read_times(1 / factors)
    return network


def _ranges(network: FaceNetwork, found: list[Place], samples: Tensor) -> list[Tensor]:
    """The largest magnitude of each channel before the activation."""
    largest = [torch.zeros(place.unit.conv.out_channels, dtype=torch.float64) for place in found]

    def watch(number: int, values: Tensor) -> None:
        torch.maximum(largest[number], values.abs().amax((0, 2, 3)), out=largest[number])

    hooks = [
        place.unit.conv.register_forward_hook(lambda _layer, _inputs, y, number=number: watch(number, y))
        for number, place in enumerate(found)
    ]
    try:
        with torch.no_grad():
            for start in range(0, len(samples), _BATCH):
                network(samples[start : start + _BATCH].double())
    finally:
        for hook in hooks:
            hook.remove()
    return largest
