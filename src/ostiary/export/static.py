"""Static quantisation of a model: 8-bit weights, a scale a channel, and unsigned 8-bit activations.

Signed activations are slow on x86. The biases make up for what rounding does to the means.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError
from ostiary.export.bias_correction import correct_biases


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
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    if len(calibration) == 0:
        raise ConfigurationError("there are no pictures to calibrate on: give an index with faces.")
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
        )
        small: onnx.ModelProto = onnx.load(output)
        correct_biases(small, onnx.load(source), calibration)
    small.producer_name, small.producer_version = "ostiary", ""
    return small


class _Reader:
    """Feeds crops one by one; the quantiser's own base class is not typed."""

    def __init__(self, inputs: NDArray[np.float32]) -> None:
        self._feeds: Iterator[dict[str, Any]] = ({"input": one[None]} for one in inputs)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)
