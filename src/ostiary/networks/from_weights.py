"""A liveness network out of its weights file, trainable again: who has the file can go on with own pictures.

A weights file holds each branch once, under the layer's own name, with BatchNorm folded into the convolution
(``export/graph.py``); `ostiary.networks.unfolding` takes it out again, so that every configuration computes what
the file does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from ostiary.adaptive import blocks, configured
from ostiary.adaptive.modes import evaluating
from ostiary.errors import WeightsError
from ostiary.networks.mobilenet_v2 import MobileNetV2, adapt, mobilenet_v2
from ostiary.networks.unfolding import Folded, convolutions, fill, unfold
from ostiary.runtime.container import read_metadata
from ostiary.runtime.liveness_record import Metadata


def network_from_weights(path: Path, pictures: Iterable[Tensor], dropout: float = 0.2) -> MobileNetV2:
    """The network of a liveness weights file, with adaptive blocks if it has a dial.

    Args:
        path: of a file as ``export_liveness`` writes it, in floating point.
        pictures: batches (N, 3, S, S), normalised as the file says, to measure BatchNorm on; a few hundred
            pictures suffice.
        dropout: before the classifier, in training.

    Raises:
        WeightsError: not a liveness weights file; one of 8 bits, of another network, or with BatchNorm of its own
            for each configuration, whose branches are not those of one network.
        ConfigurationError: no pictures.

    """
    record = read_metadata(path, Metadata)
    if record.precision != "float32" or record.statistics != "shared":
        raise WeightsError(
            f"{path} cannot be trained on: it has 8-bit weights, or BatchNorm of its own for each configuration. "
            "Start from a file in floating point with shared statistics, or from its model.safetensors."
        )
    arrays = {name.rpartition("/")[2]: array for name, array in _arrays(onnx.load(str(path)).graph)}
    net = mobilenet_v2(dropout=dropout)
    if any(".heavy." in name for name in arrays):
        net = adapt(net)
    named = convolutions(net)
    layers = list(named.values())
    with evaluating(net):
        fill(layers, [_folded(arrays, name, conv, path) for name, (conv, _) in named.items()])
        _fill_classifier(net.classifier, arrays, path)
        with configured(net, "B" * len(blocks(net))):  # so that every branch sees the pictures
            unfold(layers, net.features, pictures)
    return net


def _arrays(graph: onnx.GraphProto) -> Iterator[tuple[str, np.ndarray]]:
    """All initialisers, those of the branches included."""
    for tensor in graph.initializer:
        yield tensor.name, numpy_helper.to_array(tensor)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _arrays(attribute.g)


def _folded(arrays: dict[str, np.ndarray], name: str, conv: nn.Conv2d, path: Path) -> Folded:
    weight, bias = arrays.get(f"{name}.weight"), arrays.get(f"{name}.bias")
    if weight is None or bias is None or weight.shape != tuple(conv.weight.shape):
        raise WeightsError(f"{path} holds another network than a MobileNetV2 of width 1: it has no such {name}.")
    return Folded(torch.from_numpy(weight.copy()), torch.from_numpy(bias.copy()))


def _fill_classifier(classifier: nn.Linear, arrays: dict[str, np.ndarray], path: Path) -> None:
    """The file's only linear layer, which it names by its place."""
    for name, array in arrays.items():
        if name.endswith(".weight") and array.shape == tuple(classifier.weight.shape):
            with torch.no_grad():
                classifier.weight.copy_(torch.from_numpy(array.copy()))
                classifier.bias.copy_(torch.from_numpy(arrays[f"{name.removesuffix('.weight')}.bias"].copy()))
            return
    raise WeightsError(f"{path} has no classifier of two classes behind {classifier.in_features} features.")
