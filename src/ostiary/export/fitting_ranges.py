"""Ranges for 8-bit values that go through no ReLU: where all errors together are least.

Such values have long tails. A range as wide as the tails has wide steps, one that cuts them off errs much on a
few; between the two the sum of squares is least (Banner et al. 2019). Behind a ReLU the ranges were made alike,
channel by channel, and are best kept whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ostiary.export.inner_values import evenly, inner_values

PICTURES = 128
"""Samples that values are counted on."""
_BINS = 2048
_SHARES = np.linspace(0.3, 1, 29)
"""Of the range as it comes, on either side."""
_STEPS = 255


def fitting_ranges(
    model: onnx.ModelProto, samples: NDArray[np.float32], in_float: Sequence[str] = ()
) -> dict[str, list[dict[str, Any]]]:
    """Scale and zero point for each value that a convolution, an addition or a product gives to no ReLU.

    Args:
        model: in floating point, with one input ``input``.
        samples: its inputs float32 (N, 3, S, S).
        in_float: names of nodes that will not be rounded.

    Returns:
        As the quantiser of ONNX Runtime takes it (``TensorQuantOverrides``).

    """
    bent = {name for node in model.graph.node if node.op_type in {"Relu", "Clip"} for name in node.input}
    results = {entry.name for entry in model.graph.output}
    names = [
        node.output[0]
        for node in model.graph.node
        if node.op_type in {"Conv", "Add", "Mul"}
        and node.name not in in_float
        and node.output[0] not in bent | results
    ]
    if not names:
        return {}
    chosen = evenly(samples, PICTURES)
    low, high = np.zeros(len(names)), np.zeros(len(names))
    for maps in inner_values(model, names, chosen):
        low = np.minimum(low, [each.min() for each in maps])
        high = np.maximum(high, [each.max() for each in maps])
    counts = np.zeros((len(names), _BINS))
    for maps in inner_values(model, names, chosen):
        for place, each in enumerate(maps):
            counts[place] += np.histogram(each, _BINS, (low[place], high[place]))[0]
    return {
        name: [_steps(*fitting_range(counts[place], low[place], high[place]))]
        for place, name in enumerate(names)
        if high[place] > low[place]
    }


def fitting_range(counts: NDArray[np.float64], low: float, high: float) -> tuple[float, float]:
    """The part of [low, high], counted in even bins, whose 255 steps err least; 0 stays within."""
    values = low + (np.arange(len(counts)) + 0.5) * (high - low) / len(counts)
    best, least = (low, high), np.inf
    for lower in low * _SHARES:
        below = counts @ np.maximum(lower - values, 0) ** 2
        for upper in high * _SHARES:
            step = (upper - lower) / _STEPS
            error = below + counts @ np.maximum(values - upper, 0) ** 2 + counts.sum() * step**2 / 12
            if error < least:
                best, least = (float(lower), float(upper)), error
    return best


def _steps(low: float, high: float) -> dict[str, Any]:
    scale = (high - low) / _STEPS
    return {"scale": np.array(scale, np.float32), "zero_point": np.array(round(-low / scale), np.uint8)}
