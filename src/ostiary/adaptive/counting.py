"""What the configuration that a network is set to costs: parameters, multiply-adds, operations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from ostiary.adaptive.block import Adaptive
from ostiary.adaptive.modes import evaluating
from ostiary.errors import ConfigurationError


@dataclass(frozen=True)
class Cost:
    """The cost of one example.

    ``parameters`` are those that the configuration uses; BatchNorm's weight and bias count, its running
    statistics do not. ``macs`` are multiply-adds of convolutions and linear layers. ``operations`` follow
    Khabarlak 2022, that is the module-hook counter of ptflops: multiply-adds, one per output element for
    a bias, two per element for BatchNorm (one without affine parameters), one per element for ReLU and
    ReLU6; residual additions, branch means and pooling are free.
    """

    parameters: int
    macs: int
    operations: int

    @property
    def mops(self) -> float:
        """The operations in millions, as the paper prints them."""
        return self.operations / 1e6


def count(net: nn.Module, example: Tensor) -> Cost:
    """The cost of ``net`` as it is configured, for ``example``: a batch of one, of any values.

    Only modules are seen: layers that a network calls as functions cost nothing here. A module that is
    called twice computes twice and has its parameters once. ConfigurationError for a batch of another size.
    """
    if example.shape[:1] != (1,):
        raise ConfigurationError(f"Counting needs a batch of one example, not the shape {tuple(example.shape)}.")
    macs = operations = 0

    def add(module: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal macs, operations
        products, others = _work(module, output)
        macs += products
        operations += products + others

    handles = [module.register_forward_hook(add) for module in net.modules() if isinstance(module, _COUNTED)]
    try:
        with evaluating(net):
            net(example)
    finally:
        for handle in handles:
            handle.remove()
    return Cost(used_parameters(net), macs, operations)


def used_parameters(net: nn.Module) -> int:
    """The number of parameters that the current configuration uses, shared ones once."""
    used = {parameter for module in _active(net) for parameter in module.parameters(recurse=False)}
    return sum(parameter.numel() for parameter in used)


def _active(module: nn.Module) -> Iterator[nn.Module]:
    """The modules of the network without the branches that the configuration leaves out."""
    yield module
    if isinstance(module, Adaptive):
        yield from _active(module.branch())
    else:
        for child in module.children():
            yield from _active(child)


_COUNTED: tuple[type[nn.Module], ...] = (_ConvNd, nn.Linear, _BatchNorm, nn.ReLU, nn.ReLU6)


def _work(module: Any, output: Tensor) -> tuple[int, int]:
    """(multiply-adds, other operations) of one call of a counted layer."""
    elements = output.numel()
    if isinstance(module, _ConvTransposeNd):
        raise ConfigurationError("Counting knows no transposed convolutions; count such a network by other means.")
    if isinstance(module, _ConvNd):
        return elements * (module.in_channels // module.groups) * prod(module.kernel_size), _bias(module, elements)
    if isinstance(module, nn.Linear):
        return elements * module.in_features, _bias(module, elements)
    if isinstance(module, _BatchNorm):
        return 0, elements * (2 if module.affine else 1)
    return 0, elements


def _bias(module: nn.Module, elements: int) -> int:
    return 0 if module.bias is None else elements
