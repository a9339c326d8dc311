"""One configuration as an 8-bit file: static quantisation (static.py), calibrated on training pictures.

The word's plain graph is quantised, because the quantiser does not enter the branches of an If.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

from ostiary.adaptive import apply_statistics, specialise
from ostiary.export.card import Card, sealed
from ostiary.export.onnx import liveness_model
from ostiary.export.static import quantised
from ostiary.export.tables import Statistics
from ostiary.faces.preprocess import Preprocess
from ostiary.reports.folder import replace_file


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
    net = copy.deepcopy(net).cpu().eval()
    metadata = card.metadata(net, per_configuration=statistics is not None, only=word, precision="int8")
    if statistics is not None:
        apply_statistics(net, dict(statistics[word]))
    model = int8_model(specialise(net, word), card.preprocess, calibration)
    replace_file(path, sealed(model, metadata))
    return path


def int8_model(plain: nn.Module, preprocess: Preprocess, calibration: NDArray[np.float32]) -> onnx.ModelProto:
    """The 8-bit model of a network without adaptive blocks, without its record."""
    graph = liveness_model(plain, preprocess)
    return quantised(graph, calibration, in_float=_stem(graph.graph))


def _stem(graph: onnx.GraphProto) -> list[str]:
    """The first convolution and its activation stay in floating point.

    With three input channels the 8-bit kernels lose time (all of LLL takes 0.54 of the stock network's
    time with them, 0.50 without, on a Zen 5), and rounding does most harm at the input.
    """
    return [node.name for node in graph.node[:2]]
