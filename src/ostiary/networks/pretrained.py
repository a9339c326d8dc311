"""Start from MobileNetV2's ImageNet trunk, which was published with BatchNorm folded into its convolutions.

The file holds its convolutions in 8 bits, in the order of computation.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ostiary.adaptive.modes import evaluating
from ostiary.errors import WeightsError
from ostiary.networks.mobilenet_v2 import MobileNetV2, adapt, mobilenet_v2
from ostiary.networks.unfolding import Folded, convolutions, fill, unfold


def pretrained_mobilenet_v2(
    path: Path, pictures: Iterable[Tensor], classes: int = 2, dropout: float = 0.2
) -> MobileNetV2:
    """The stock network with the ImageNet trunk and a fresh classifier; see `load_trunk`."""
    net = mobilenet_v2(classes, dropout=dropout)
    load_trunk(net, path, pictures)
    return net


def pretrained_pta_mobilenet_v2(
    path: Path, pictures: Iterable[Tensor], classes: int = 2, dropout: float = 0.2
) -> MobileNetV2:
    """The adaptive network from the trunk: heavy has a trained pair, light a copy of its first block."""
    return adapt(pretrained_mobilenet_v2(path, pictures, classes, dropout), light_init="copy-first")


def load_trunk(net: MobileNetV2, path: Path, pictures: Iterable[Tensor]) -> None:
    """Fill all convolutions and BatchNorms of a stock network from the folded trunk at ``path``, in place.

    ``path`` is an ``.npz`` with ``KK.weight`` (uint8), ``KK.scale``, ``KK.zero_point`` and ``KK.bias`` for
    convolution KK = 00, 01, ... in network order. ``pictures`` gives batches (N, 3, S, S) of RGB as
    (pixel - 128) / 128, the trunk's own convention; a few hundred pictures suffice. The classifier stays
    as it is. WeightsError for an unreadable or unfit file, ConfigurationError for no pictures.
    """
    layers = list(convolutions(net).values())
    folded = _read(path, [conv for conv, _ in layers])
    with evaluating(net):
        fill(layers, folded)
        unfold(layers, net.features, pictures)


# What numpy and the zip reader raise for absent, empty, truncated and foreign files.
_UNREADABLE = (
    OSError, ValueError, EOFError, TypeError, AttributeError, RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def _read(path: Path, convs: list[nn.Conv2d]) -> list[Folded]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except _UNREADABLE as error:
        raise WeightsError(f"{path} is not a readable .npz file of pretrained weights ({error}).") from error
    return [_dequantised(arrays, f"{index:02d}", conv, path) for index, conv in enumerate(convs)]


def _dequantised(arrays: dict[str, NDArray[Any]], key: str, conv: nn.Conv2d, path: Path) -> Folded:
    try:
        quantised, scale, zero, bias = (
            arrays[f"{key}.{part}"] for part in ("weight", "scale", "zero_point", "bias")
        )
    except KeyError as error:
        raise WeightsError(f"{path} has no array {error}; it is not the trunk of a MobileNetV2.") from error
    if quantised.shape != tuple(conv.weight.shape) or bias.shape != (conv.out_channels,):
        raise WeightsError(
            f"{path} has weights of shape {quantised.shape} for convolution {key}, where this network has "
            f"{tuple(conv.weight.shape)}; use a network of width 1.0."
        )
    weight = (quantised.astype(np.float64) - float(zero)) * float(scale)
    return Folded(torch.from_numpy(weight).float(), torch.from_numpy(bias.astype(np.float32)))
