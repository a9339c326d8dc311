"""Start from MobileNetV2's ImageNet trunk, which was published with BatchNorm folded into its convolutions.

A trunk without BatchNorm can be run but hardly trained on. So BatchNorm is unfolded: with m and v the mean
and variance of a convolution's output over some pictures, running mean m, running variance v, weight
sqrt(v + eps) and bias (folded bias + m) compute the same function, and in training the batch's own
statistics keep it nearly so.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ostiary.adaptive.modes import evaluating
from ostiary.errors import ConfigurationError, WeightsError
from ostiary.networks.mobilenet_v2 import MobileNetV2, adapt, mobilenet_v2


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
    layers = _layers(net)
    folded = _read(path, [conv for conv, _ in layers])
    with torch.no_grad():
        for (conv, norm), layer in zip(layers, folded, strict=True):
            conv.weight.copy_(layer.weight)
            _make_plain_bias(norm, layer.bias)
        moments = _measure(net, [conv for conv, _ in layers], pictures)
        for (_, norm), layer, (mean, variance) in zip(layers, folded, moments, strict=True):
            _set(norm, mean=mean, variance=variance, bias=layer.bias + mean)


# What numpy and the zip reader raise for absent, empty, truncated and foreign files.
_UNREADABLE = (
    OSError, ValueError, EOFError, TypeError, AttributeError, RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class _Folded(NamedTuple):
    weight: Tensor
    bias: Tensor


def _layers(net: MobileNetV2) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Each convolution with the BatchNorm after it; they are registered in the order of computation."""
    convs = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    return list(zip(convs, norms, strict=True))


def _read(path: Path, convs: list[nn.Conv2d]) -> list[_Folded]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except _UNREADABLE as error:
        raise WeightsError(f"{path} is not a readable .npz file of pretrained weights ({error}).") from error
    return [_dequantised(arrays, f"{index:02d}", conv, path) for index, conv in enumerate(convs)]


def _dequantised(arrays: dict[str, NDArray[Any]], key: str, conv: nn.Conv2d, path: Path) -> _Folded:
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
    return _Folded(torch.from_numpy(weight).float(), torch.from_numpy(bias.astype(np.float32)))


def _make_plain_bias(norm: nn.BatchNorm2d, bias: Tensor) -> None:
    """Let the BatchNorm add ``bias`` and do nothing else, as in the folded network."""
    _set(norm, mean=torch.zeros_like(bias), variance=torch.full_like(bias, 1 - norm.eps), bias=bias)


def _set(norm: nn.BatchNorm2d, *, mean: Tensor, variance: Tensor, bias: Tensor) -> None:
    """Set the statistics, the weight that undoes their division, and the bias."""
    cast(Tensor, norm.running_mean).copy_(mean)
    cast(Tensor, norm.running_var).copy_(variance)
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.copy_(bias)


class _Moments:
    """Collects count, sum and sum of squares per channel over batches, in double precision."""

    def __init__(self) -> None:
        self.count = 0
        self.first: Tensor | float = 0.0
        self.second: Tensor | float = 0.0

    def add(self, _module: nn.Module, _inputs: object, output: Tensor) -> None:
        """A forward hook: take in an output (N, C, H, W)."""
        variance, mean = torch.var_mean(output, dim=(0, 2, 3), correction=0)
        variance, mean = variance.double().cpu(), mean.double().cpu()
        pixels = output.numel() // output.shape[1]
        self.count += pixels
        self.first = self.first + pixels * mean
        self.second = self.second + pixels * (variance + mean.square())

    def mean_and_variance(self) -> tuple[Tensor, Tensor]:
        """(C,) and (C,), float32."""
        mean = torch.as_tensor(self.first) / self.count
        # A dead channel has no variance, and rounding may even make it negative.
        variance = (torch.as_tensor(self.second) / self.count - mean.square()).clamp(min=0)
        return mean.float(), variance.float()


def _measure(net: MobileNetV2, convs: list[nn.Conv2d], pictures: Iterable[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Mean and variance of each channel of each convolution's output over all pictures."""
    moments = [_Moments() for _ in convs]
    handles = [conv.register_forward_hook(each.add) for conv, each in zip(convs, moments, strict=True)]
    try:
        with evaluating(net):
            for batch in pictures:
                net.features(batch.to(convs[0].weight.device))
    finally:
        for handle in handles:
            handle.remove()
    if moments[0].count == 0:
        raise ConfigurationError("No pictures were given to measure the pretrained trunk with; give hundreds.")
    return [each.mean_and_variance() for each in moments]
