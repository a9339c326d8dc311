"""The network as any exporter would write it; every rewrite begins here.

Batch normalisation is folded into the layer before it, in double precision, so that what is left of a rewrite's
difference is the runtime's own rounding. Shuffles are spelled out as the reshapes and the transposition that
they are elsewhere.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from ostiary.networks.face_network import SIDE, ConvUnit, FaceNetwork


def plain(network: FaceNetwork) -> FaceNetwork:
    """A copy in evaluation mode, in double precision, without batch normalisation; of a plain one just a copy."""
    network = copy.deepcopy(network).cpu().eval().double()
    for unit in network.modules():
        if isinstance(unit, ConvUnit) and hasattr(unit, "norm"):
            unit.conv = fuse_conv_bn_eval(unit.conv, unit.norm)
            del unit.norm
    if isinstance(network.norm, nn.BatchNorm1d):
        network.linear = fuse_linear_bn_eval(network.linear, network.norm)
        network.add_module("norm", nn.Identity())
    _spell_shuffles(network)
    return network


class SpelledShuffle(nn.Module):
    """A shuffle by reshaping, for inputs (N, channels, height, width) of one size."""

    def __init__(self, groups: int, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.inside = (groups, channels // groups, height, width)
        self.outside = (channels, height, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, height, width) -> the same shape."""
        return x.reshape(-1, *self.inside).permute(0, 2, 1, 3, 4).reshape(-1, *self.outside)


def _spell_shuffles(network: FaceNetwork) -> None:
    sizes: dict[str, torch.Size] = {}
    hooks = [
        layer.register_forward_hook(lambda _layer, _inputs, y, name=name: sizes.__setitem__(name, y.shape[1:]))
        for name, layer in network.named_modules()
        if isinstance(layer, nn.ChannelShuffle)
    ]
    try:
        with torch.no_grad():
            network(torch.zeros(1, 3, SIDE, SIDE, dtype=torch.float64))
    finally:
        for hook in hooks:
            hook.remove()
    for name, size in sizes.items():
        layer = network.get_submodule(name)
        assert isinstance(layer, nn.ChannelShuffle)
        network.set_submodule(name, SpelledShuffle(layer.groups, *size))
