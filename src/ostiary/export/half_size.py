"""Weights of layers that run in floating point, kept in half the bytes: a runtime widens them as it reads them."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ostiary.export.graph_weights import GraphWeights

SMALLEST = 1024
"""Numbers below which a tensor is not worth a node."""


def in_half_size(model: onnx.ModelProto, layers: Sequence[str]) -> onnx.ModelProto:
    """The model with the weights of named nodes as float16 behind a ``Cast``, which ONNX Runtime folds away."""
    small = copy.deepcopy(model)
    weights = GraphWeights(small.graph)
    names = [
        name
        for node in small.graph.node
        if node.name in layers
        for name in node.input[1:]
        if name in weights and weights[name].dtype == np.float32 and weights[name].size >= SMALLEST
    ]
    casts = []
    for tensor in small.graph.initializer:
        if tensor.name in names:
            halved = numpy_helper.from_array(weights[tensor.name].astype(np.float16), f"{tensor.name}_half")
            casts.append(helper.make_node("Cast", [halved.name], [tensor.name], to=onnx.TensorProto.FLOAT))
            tensor.CopyFrom(halved)
    nodes = [*casts, *small.graph.node]
    del small.graph.node[:]
    small.graph.node.extend(nodes)
    return small
