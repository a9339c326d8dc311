"""Static quantisation of a model: 8-bit weights, a scale a channel, and unsigned 8-bit activations.

Signed activations are slow on x86. Before, pictures of unusual values are left out, channels are given like
ranges, and weights are rounded together; after, the biases make up for what rounding does to the means.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError
from ostiary.export.bias_correction import add_to_bias, correct_biases
from ostiary.export.fitting_ranges import fitting_ranges
from ostiary.export.like_ranges import with_like_ranges
from ostiary.export.like_sums import with_like_sums
from ostiary.export.optimal_rounding import rounded_together
from ostiary.export.usual_pictures import usual_pictures


def quantised(
    model: onnx.ModelProto, calibration: NDArray[np.float32], *, in_float: Sequence[str] = ()
) -> onnx.ModelProto:
    """The model with 8-bit weights and activations.

    Args:
        model: in floating point, with one input ``input``.
        calibration: its inputs float32 (N, 3, S, S), a few hundred; the ranges of activations are theirs.
        in_float: names of nodes that stay as they are.

    Raises:
        ConfigurationError: no calibration pictures.

    """
    calibration = _usual(model, calibration)
    ready = rounded_together(_alike(model, calibration), calibration, in_float)
    return _rounded(ready, calibration, in_float, fitting_ranges(ready, calibration, in_float))[0]


def made_ready(
    model: onnx.ModelProto, calibration: NDArray[np.float32], *, scaled: bool = True
) -> onnx.ModelProto:
    """The model still in floating point, for a quantiser of others that rounds as ours does.

    Its channels have like ranges, where they may be ``scaled``, and its biases make up for what rounding will do.

    Raises:
        ConfigurationError: no calibration pictures.

    """
    calibration = _usual(model, calibration)
    ready = onnx.ModelProto()
    ready.CopyFrom(_alike(model, calibration) if scaled else model)
    stem = [node.name for node in ready.graph.node[:2]]
    for bias, amount in _rounded(ready, calibration, stem)[1].items():
        add_to_bias(ready.graph, bias, amount)
    return ready


def _usual(model: onnx.ModelProto, calibration: NDArray[np.float32]) -> NDArray[np.float32]:
    if len(calibration) == 0:
        raise ConfigurationError("there are no pictures to calibrate on: give an index with faces.")
    return usual_pictures(model, calibration)


def _alike(model: onnx.ModelProto, calibration: NDArray[np.float32]) -> onnx.ModelProto:
    return with_like_sums(with_like_ranges(model, calibration), calibration)


def _rounded(
    model: onnx.ModelProto,
    calibration: NDArray[np.float32],
    in_float: Sequence[str],
    ranges: dict[str, list[dict[str, Any]]] | None = None,
) -> tuple[onnx.ModelProto, dict[str, NDArray[np.float64]]]:
    """The 8-bit model, and what its biases were changed by, by name."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        source, output = f"{folder}/plain.onnx", f"{folder}/int8.onnx"
        quant_pre_process(model, source, skip_optimization=True, skip_symbolic_shape=True)
        quantize_static(
            source,
            output,
            _Reader(calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=list(in_float),
            extra_options={"TensorQuantOverrides": ranges or {}},
        )
        small: onnx.ModelProto = onnx.load(output)
        added = correct_biases(small, onnx.load(source), calibration)
    small.producer_name, small.producer_version = "ostiary", ""
    return small, added


class _Reader:
    """Feeds crops one by one; the quantiser's own base class is not typed."""

    def __init__(self, inputs: NDArray[np.float32]) -> None:
        self._feeds: Iterator[dict[str, Any]] = ({"input": one[None]} for one in inputs)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)
