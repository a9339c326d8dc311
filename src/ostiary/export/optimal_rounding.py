"""Weights that make up for one another's rounding (Frantar et al. 2022, "GPTQ", after Hassibi and Stork 1993).

To the nearest step, each weight errs by itself and the errors of a row add up. Here the weights of a row are
rounded one after the other, and those not yet rounded take up what the last one cost, as far as the inputs of the
layer are alike. For 1x1 convolutions, where most of the weights are; nine weights of a depthwise one have too
little to share (tried, and worse).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from ostiary.export.graph_weights import GraphWeights, attribute
from ostiary.export.inner_values import evenly, inner_values

STEPS = 127
"""Of the largest weight of a row, as the quantiser counts."""
PICTURES = 128
"""Samples that the likeness of inputs is measured on."""
DAMPING = 0.01
"""Of the mean of the inputs' squares, added to each: samples are few."""


def rounded_together(
    model: onnx.ModelProto, samples: NDArray[np.float32], in_float: Sequence[str] = ()
) -> onnx.ModelProto:
    """The model with the weights of its 1x1 convolutions on the steps that a quantiser will find them on.

    Args:
        model: in floating point, with one input ``input``; left as it is.
        samples: its inputs float32 (N, 3, S, S).
        in_float: names of nodes that will not be rounded.

    """
    rounded = copy.deepcopy(model)
    weights = GraphWeights(rounded.graph)
    layers = [
        node
        for node in rounded.graph.node
        if node.op_type == "Conv" and weights.shape(node.input[1])[2:] == (1, 1) and node.name not in in_float
        if attribute(node, "group", 1) == 1 and attribute(node, "strides", [1, 1]) == [1, 1]
    ]
    if not layers:
        return rounded
    moments: list[NDArray[np.float64]] = [np.zeros(())] * len(layers)
    chosen = evenly(samples, PICTURES)
    for maps in inner_values(model, [layer.input[0] for layer in layers], chosen):
        rows = [each[0].reshape(each.shape[1], -1) for each in maps]
        moments = [known + (row @ row.T) / row.shape[1] for known, row in zip(moments, rows, strict=True)]
    for layer, moment in zip(layers, moments, strict=True):
        old = weights[layer.input[1]]
        weights[layer.input[1]] = rounded_rows(old.reshape(len(old), -1), moment).reshape(old.shape)
    return rounded


def rounded_rows(rows: NDArray[np.floating], moment: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights (out, in) on steps of 1/127 of each row's largest; ``moment`` (in, in) is that of the inputs.

    The largest weight of a row stays where it is, and with it the steps.
    """
    count = rows.shape[1]
    level = np.trace(moment) / count
    if level == 0:
        return np.asarray(rows, np.float64)
    order = np.argsort(-np.diag(moment))  # the most important ones first, while there are others to make up for it
    left = np.asarray(rows, np.float64)[:, order]
    steps = np.abs(left).max(axis=1) / STEPS
    steps[steps == 0] = 1
    largest, kept = np.abs(left).argmax(axis=1), left.copy()
    inverse = np.linalg.inv(moment[np.ix_(order, order)] + DAMPING * level * np.eye(count))
    carried = np.linalg.cholesky(inverse).T
    found = np.empty_like(left)
    for place in range(count):
        nearest = steps * np.clip(np.round(left[:, place] / steps), -STEPS, STEPS)
        found[:, place] = np.where(largest == place, kept[:, place], nearest)
        error = (left[:, place] - found[:, place]) / carried[place, place]
        left[:, place + 1 :] -= error[:, None] * carried[place, place + 1 :]
    return found[:, np.argsort(order)]
