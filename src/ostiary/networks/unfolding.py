"""Networks that were published with BatchNorm folded into their convolutions, made trainable again.

Without BatchNorm they can be run but hardly trained on. So BatchNorm is unfolded: with m and v the mean and
variance of a convolution's output over some pictures, running mean m, running variance v, weight sqrt(v + eps) and
bias (folded bias + m) compute the same function, and in training the batch's own statistics keep it nearly so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from ostiary.errors import ConfigurationError

Layer = tuple[nn.Conv2d | nn.Linear, nn.BatchNorm1d | nn.BatchNorm2d]
"""A convolution or linear layer without a bias, and the BatchNorm after it."""


class Folded(NamedTuple):
    """What a layer and its BatchNorm come to together."""

    weight: Tensor
    bias: Tensor


def convolutions(net: nn.Module) -> dict[str, tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Each convolution, by name, with the BatchNorm after it; they are registered in the order of computation."""
    convs = [(name, module) for name, module in net.named_modules() if isinstance(module, nn.Conv2d)]
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    return {name: (conv, norm) for (name, conv), norm in zip(convs, norms, strict=True)}


def fill(layers: Sequence[Layer], folded: Sequence[Folded]) -> None:
    """Let each layer compute what the folded one does: the BatchNorm adds the bias and does nothing else."""
    with torch.no_grad():
        for (layer, norm), given in zip(layers, folded, strict=True):
            layer.weight.copy_(given.weight)
            plain = torch.full_like(given.bias, 1 - norm.eps)
            _set(norm, mean=torch.zeros_like(given.bias), variance=plain, bias=given.bias)


def unfold(layers: Sequence[Layer], run: Callable[[Tensor], object], pictures: Iterable[Tensor]) -> None:
    """Give layers that were filled the statistics of what they see; what they compute stays the same.

    Args:
        layers: as they were filled, of a network in eval mode.
        run: the network, or the part of it that they stand in.
        pictures: batches of its inputs; a few hundred pictures suffice.

    Raises:
        ConfigurationError: there are no pictures.

    """
    moments = [_Moments() for _ in layers]
    handles = [layer.register_forward_hook(each.add) for (layer, _), each in zip(layers, moments, strict=True)]
    try:
        with torch.no_grad():
            for batch in pictures:
                run(batch.to(layers[0][0].weight.device))
    finally:
        for handle in handles:
            handle.remove()
    if moments[0].count == 0:
        raise ConfigurationError("No pictures were given to measure the pretrained trunk with; give hundreds.")
    with torch.no_grad():
        for (_, norm), each in zip(layers, moments, strict=True):
            mean, variance = each.mean_and_variance()
            _set(norm, mean=mean, variance=variance, bias=norm.bias + mean)


def _set(norm: nn.BatchNorm1d | nn.BatchNorm2d, *, mean: Tensor, variance: Tensor, bias: Tensor) -> None:
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
        """A forward hook: take in an output (N, C) or (N, C, H, W)."""
        over = [axis for axis in range(output.ndim) if axis != 1]
        variance, mean = torch.var_mean(output, dim=over, correction=0)
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
