"""Channels of like range, so that the eight bits that they share serve all of them.

8-bit activations have one scale a tensor, and a channel whose values are a hundredth of the largest one's keeps
one or two steps of it. A factor can be moved through a ReLU from one convolution into the next, which changes
nothing but the ranges (Nagel et al. 2019, "cross-layer equalisation"). A depthwise convolution has a scale for
each channel of its own, so that what it reads can be made equal without loss; a 1x1 convolution has not, and its
inputs meet half-way.

ReLU6 is homogeneous up to its 6. A channel that stays below can be enlarged until it comes near, with some room
for pictures that were not among the samples; what would go beyond is cut off, as the 8 bits would do.
"""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from ostiary.export.graph_weights import GraphWeights, attribute
from ostiary.export.inner_values import evenly, inner_values

NARROWEST = 1e-2
"""No range counts as smaller than this part of the largest."""
ROOM = 1.2
"""Before ReLU6 a channel may become so many times as large as it was on any sample, and is not cut off."""
PICTURES = 128
"""Samples that ranges are measured on, evenly chosen."""


@dataclass(frozen=True, slots=True)
class Place:
    """A convolution, the ReLU behind it, and the one convolution that reads that; ``limit`` is 6 for ReLU6."""

    before: onnx.NodeProto
    between: str
    after: onnx.NodeProto
    limit: float
    depthwise: bool


def with_like_ranges(model: onnx.ModelProto, samples: NDArray[np.float32]) -> onnx.ModelProto:
    """The same function with like ranges on these inputs float32 (N, 3, S, S); ``model`` is left as it is."""
    equal = copy.deepcopy(model)
    found = places(equal.graph)
    if not found:
        return equal
    weights = GraphWeights(equal.graph)
    for place, spread in zip(found, _ranges(model, found, samples), strict=True):
        full = float(spread.max())
        if np.isfinite(place.limit):
            full, spread = place.limit, np.minimum(ROOM * spread, place.limit)
        factors = (full / np.maximum(spread, NARROWEST * full)) ** (1.0 if place.depthwise else 0.5)
        for name in place.before.input[1:]:
            weights.multiply(name, factors)
        # A depthwise convolution has the channels it reads along its rows, a dense one along its columns.
        weights.multiply(place.after.input[1], 1 / factors, axis=0 if place.depthwise else 1)
    return equal


def places(graph: onnx.GraphProto) -> list[Place]:
    """Where a factor can be moved: nothing else reads the activation, or the weights on either side."""
    weights = GraphWeights(graph)
    read = Counter(name for node in graph.node for name in node.input)
    reader = {name: node for node in graph.node for name in node.input}
    results = {entry.name for entry in graph.output}
    found = []
    for conv in (node for node in graph.node if node.op_type == "Conv"):
        act = reader.get(conv.output[0])
        limit = None if act is None else _limit(weights, act)
        if act is None or limit is None:
            continue
        after = reader.get(act.output[0])
        if after is None or after.op_type != "Conv" or after.input[0] != act.output[0]:
            continue
        shapes = weights.shape(conv.input[1]), weights.shape(after.input[1])
        alone = all(read[name] == 1 for name in (conv.output[0], act.output[0], *conv.input[1:], after.input[1]))
        groups = attribute(after, "group", 1)
        depthwise = shapes[1][:2] == (groups, 1)
        apart = results.isdisjoint((conv.output[0], act.output[0]))
        if alone and apart and shapes[0] and (depthwise or groups == 1) and shapes[1]:
            found.append(Place(conv, act.output[0], after, limit, depthwise))
    return found


def _limit(weights: GraphWeights, node: onnx.NodeProto) -> float | None:
    """The largest number that a ReLU lets through; None for what is none."""
    if node.op_type == "Relu":
        return float("inf")
    if node.op_type != "Clip" or len(node.input) != 3 or not all(name in weights for name in node.input[1:]):
        return None
    low, high = (float(weights[name]) for name in node.input[1:])
    return high if low == 0 else None


def _ranges(model: onnx.ModelProto, found: list[Place], samples: NDArray[np.float32]) -> list[NDArray[np.float64]]:
    """The largest value of each channel behind each ReLU."""
    largest = [np.zeros(1)] * len(found)
    for maps in inner_values(model, [place.between for place in found], evenly(samples, PICTURES)):
        largest = [
            np.maximum(known, each.max((0, 2, 3)).astype(np.float64))
            for known, each in zip(largest, maps, strict=True)
        ]
    return largest
