"""Channels of like range where blocks add up what they make of it, so that its eight bits serve all of them.

The values between the blocks of a residual network have no activation, and every block of a group reads and adds
to the same ones. A factor for each channel can be moved from all convolutions that write them into all that read
them. ``like_ranges.py`` does the same across an activation.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from ostiary.export.graph_weights import GraphWeights, attribute
from ostiary.export.inner_values import evenly, inner_values
from ostiary.export.like_ranges import NARROWEST

PICTURES = 64
"""Samples that ranges are measured on, evenly chosen."""


@dataclass(frozen=True, slots=True)
class Sum:
    """Values that additions tie to one another, or one value alone; who writes and who reads them."""

    values: list[str]
    writers: list[onnx.NodeProto]
    readers: list[onnx.NodeProto]


def with_like_sums(model: onnx.ModelProto, samples: NDArray[np.float32]) -> onnx.ModelProto:
    """The same function with like ranges on these inputs float32 (N, 3, S, S); ``model`` is left as it is."""
    equal = copy.deepcopy(model)
    weights = GraphWeights(equal.graph)
    found = sums(equal.graph)
    names = [name for each in found for name in each.values]
    largest = dict.fromkeys(names, np.zeros(1))
    if not found:
        return equal
    for maps in inner_values(model, names, evenly(samples, PICTURES)):
        for name, values in zip(names, maps, strict=True):
            largest[name] = np.maximum(largest[name], np.abs(values).max((0, 2, 3)).astype(np.float64))
    for each in found:
        spread = np.max([largest[name] for name in each.values], axis=0)
        if not spread.any():  # silent on all samples
            continue
        factors = spread.max() / np.maximum(spread, NARROWEST * spread.max())
        for writer in each.writers:
            for name in writer.input[1:]:
                weights.multiply(name, factors)
        for reader in each.readers:
            weights.multiply(reader.input[1], 1 / factors, axis=1)
    return equal


def sums(graph: onnx.GraphProto) -> list[Sum]:
    """What can be scaled: written by convolutions alone, and read by dense convolutions and additions alone."""
    weights = GraphWeights(graph)
    made_by = {name: node for node in graph.node for name in node.output}
    read_by: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in graph.node:
        for name in dict.fromkeys(node.input):
            read_by[name].append(node)
    results = {entry.name for entry in graph.output}

    def writes(node: onnx.NodeProto) -> bool:
        """A convolution whose weights are its own."""
        own = node.op_type == "Conv" and all(name in weights for name in node.input[1:])
        return own and all(len(read_by[name]) == 1 for name in node.input[1:])

    found, seen = [], set()
    for begin in (node.output[0] for node in graph.node if writes(node)):
        if begin in seen:
            continue
        values, left = [], [begin]
        while left:  # every value that an addition ties to this one
            name = left.pop()
            if name in seen:
                continue
            seen.add(name)
            values.append(name)
            tied = [node for node in read_by[name] if node.op_type == "Add"]
            if name in made_by and made_by[name].op_type == "Add":
                tied.append(made_by[name])
            left += [other for node in tied for other in (*node.input, *node.output)]
        makers = [made_by.get(name) for name in values]
        writers = [node for node in makers if node is not None and writes(node)]
        readers = [node for name in values for node in read_by[name] if node.op_type != "Add"]
        whole = all(node is not None and (node.op_type == "Add" or writes(node)) for node in makers)
        dense = all(writes(node) and attribute(node, "group", 1) == 1 for node in readers)
        if whole and dense and readers and results.isdisjoint(values):
            found.append(Sum(values, writers, readers))
    return found
