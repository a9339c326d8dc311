"""One configuration as an 8-bit file: static quantisation, calibrated on training pictures.

Weights are signed 8-bit a channel, activations unsigned 8-bit (signed ones are slow on x86). The word's plain
graph is quantised, because the quantiser does not enter the branches of an If.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

from ostiary.adaptive import apply_statistics, specialise
from ostiary.errors import ConfigurationError
from ostiary.export.card import Card, sealed
from ostiary.export.onnx import liveness_model
from ostiary.export.tables import Statistics
from ostiary.faces.preprocess import Preprocess


def export_int8(
    net: nn.Module,
    word: str,
    path: Path,
    card: Card,
    calibration: NDArray[np.float32],
    *,
    statistics: Statistics | None = None,
) -> Path:
    """Write one word of a network with 8-bit weights and activations.

    Args:
        net: the trained network; left as it is.
        word: the configuration.
        path: where to write.
        card: as for :func:`ostiary.export.onnx.export_liveness`; its threshold of this word should be chosen
            anew on the 8-bit scores.
        calibration: network inputs float32 (N, 3, S, S) of training data, a few hundred of both classes.
        statistics: batch normalisation of every word, or ``None``.

    Raises:
        ConfigurationError: no calibration pictures, or no such word.

    """
    if len(calibration) == 0:
        raise ConfigurationError("there are no pictures to calibrate on: give an index with faces.")
    net = copy.deepcopy(net).cpu().eval()
    metadata = card.metadata(net, per_configuration=statistics is not None, only=word, precision="int8")
    if statistics is not None:
        apply_statistics(net, dict(statistics[word]))
    model = int8_model(specialise(net, word), card.preprocess, calibration)
    path.write_bytes(sealed(model, metadata))
    return path


def int8_model(plain: nn.Module, preprocess: Preprocess, calibration: NDArray[np.float32]) -> onnx.ModelProto:
    """The 8-bit model of a network without adaptive blocks, without its record."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    graph = liveness_model(plain, preprocess)
    with tempfile.TemporaryDirectory() as folder:
        source, output = f"{folder}/plain.onnx", f"{folder}/int8.onnx"
        quant_pre_process(graph, source, skip_optimization=True, skip_symbolic_shape=True)
        quantize_static(
            source,
            output,
            _Reader(calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_stem(graph.graph),
        )
        model: onnx.ModelProto = onnx.load(output)
    model.producer_name, model.producer_version = "ostiary", ""
    return model


def _stem(graph: onnx.GraphProto) -> list[str]:
    """The first convolution and its activation stay in floating point.

    With three input channels the 8-bit kernels lose time (all of LLL takes 0.54 of the stock network's
    time with them, 0.50 without, on a Zen 5), and rounding does most harm at the input.
    """
    return [node.name for node in graph.node[:2]]


class _Reader:
    """Feeds crops one by one; the quantiser's own base class is not typed."""

    def __init__(self, inputs: NDArray[np.float32]) -> None:
        self._feeds: Iterator[dict[str, Any]] = ({"input": one[None]} for one in inputs)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)
