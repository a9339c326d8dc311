"""An adaptive liveness network as one ONNX file for all its configurations, checked before it is written."""

from __future__ import annotations

import copy
import logging
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from ostiary.adaptive import count
from ostiary.export.card import Card, example_input, model_of, sealed
from ostiary.export.switch import Switchboard
from ostiary.export.tables import Statistics, affine_layers
from ostiary.export.trunk import Trunk, has_trunk
from ostiary.export.verify import check_export
from ostiary.faces.preprocess import Preprocess
from ostiary.reports.folder import replace_file
from ostiary.runtime.liveness_record import TrunkRecord

log = logging.getLogger(__name__)


def export_liveness(
    net: nn.Module,
    path: Path,
    card: Card,
    *,
    statistics: Statistics | None = None,
    crops: NDArray[np.uint8] | None = None,
) -> Path:
    """Write a network and all its configuration words as one file; each weight is stored once.

    The network may be anything that torch.fx traces, made of the layers in operators.py and of
    :class:`ostiary.adaptive.Adaptive` blocks. The file takes ``input`` (batch, 3, S, S) and ``sel`` (see
    switch.py) and gives ``logits`` (batch, 2); :class:`ostiary.runtime.liveness.LivenessModel` reads it.
    If the network has a trunk (trunk.py), the file also gives its activations and goes on from given ones.

    Args:
        net: the trained network; left as it is.
        path: where to write; only written when the check has passed.
        card: origin, terms, thresholds.
        statistics: batch normalisation of every word (``recalibrate``), or ``None`` to use the network's own
            for all.
        crops: uint8 (N, S, S, 3) for the check, besides random ones.

    Raises:
        ConfigurationError: an operator that the export does not know, or incomplete statistics.
        WeightsError: the exported model differs from torch by more than 1e-4, or would run slowly.

    """
    net = copy.deepcopy(net).cpu().eval()
    model = liveness_model(net, card.preprocess, statistics)
    metadata = card.metadata(net, per_configuration=statistics is not None)
    metadata = metadata.model_copy(update={"trunk": _trunk_record(net, card.preprocess)})
    content = sealed(model, metadata)
    difference = check_export(content, net, _samples(card, crops), statistics)
    replace_file(path, content)
    log.info("%s: %d bytes, largest difference from torch %.2g", path, len(content), difference)
    return path


def liveness_model(
    net: nn.Module, preprocess: Preprocess, statistics: Statistics | None = None
) -> onnx.ModelProto:
    """The model without its record, of any network in evaluation mode, with or without adaptive blocks."""
    example = example_input(preprocess)
    graph = Switchboard(net, affine_layers(net, example, statistics), example).graph()
    model = model_of(graph)
    onnx.checker.check_model(model, full_check=True)
    return model


def _trunk_record(net: nn.Module, preprocess: Preprocess) -> TrunkRecord | None:
    if not has_trunk(net):
        return None
    trunk, example = Trunk(net).eval(), example_input(preprocess)
    with torch.no_grad():
        return TrunkRecord(shape=tuple(trunk(example).shape[1:]), macs=count(trunk, example).macs)


def _samples(card: Card, crops: NDArray[np.uint8] | None) -> NDArray[np.float32]:
    size = card.preprocess.size
    random = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
    return card.preprocess.normalise(random if crops is None else np.concatenate([random, crops]))
