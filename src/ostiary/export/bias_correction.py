"""Biases that make up for what rounding does to the mean of each channel (Nagel et al. 2019, "bias correction").

Rounded weights move the mean of a channel by an amount that is the same for every picture, and layers add it up.
So layer by layer, from the first to the last, the bias takes up the difference that is left at its output.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray

from ostiary.export.graph_weights import GraphWeights
from ostiary.export.inner_values import evenly, inner_values

PICTURES = 64
"""Of those for calibration, evenly; a mean over all places of their maps needs no more."""


def correct_biases(
    small: onnx.ModelProto, model: onnx.ModelProto, calibration: NDArray[np.float32]
) -> dict[str, NDArray[np.float64]]:
    """Change the biases of an 8-bit model, in place, until its channels have the means of the model it came from.

    Args:
        small: ``model`` quantised, with the names of its nodes kept.
        model: in floating point, with one input ``input``.
        calibration: its inputs float32 (N, 3, S, S).

    Returns:
        What was added, by the name of the bias in ``model``.

    """
    pictures = evenly(calibration, PICTURES)
    quantised = {node.name: node for node in small.graph.node}
    layers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm") and len(node.input) == 3]
    wanted = _means(model, [layer.output[0] for layer in layers], pictures)
    added = {}
    for layer, mean in zip(layers, wanted, strict=True):
        node = quantised[layer.name]
        found = next(_means(small, [node.output[0]], pictures))
        added[layer.input[2]] = mean - found
        add_to_bias(small.graph, node.input[2], mean - found)
    return added


def _means(
    model: onnx.ModelProto, values: list[str], pictures: NDArray[np.float32]
) -> Iterator[NDArray[np.float64]]:
    """The mean of each channel of inner values over pictures and places."""
    sums = [np.zeros(1)] * len(values)
    for maps in inner_values(model, values, pictures):
        sums = [total + each.mean((0, *range(2, each.ndim))) for total, each in zip(sums, maps, strict=True)]
    return (total / len(pictures) for total in sums)


def add_to_bias(graph: onnx.GraphProto, bias: str, amount: NDArray[np.float64]) -> None:
    """To a bias in floating point, or one in 32-bit steps behind a ``DequantizeLinear``."""
    weights = GraphWeights(graph)
    steps = next((node for node in graph.node if node.output[0] == bias), None)
    name = bias if steps is None else steps.input[0]
    old = weights[name]
    unit = 1.0 if steps is None else weights[steps.input[1]]
    new = old + amount / unit
    weights[name] = np.round(new) if np.issubdtype(old.dtype, np.integer) else new
