"""PReLU by operations that stay in the runtime's blocked layout, where PReLU itself does not.

With a slope ``a`` for each channel, ``PReLU(x) = a x + (1 - a) ReLU(x) = x + (1 - a) ReLU(-x)``. A factor for each
channel is a depthwise 1x1 convolution, and the runtime does an addition, or a ReLU, in the same sweep as the
convolution before it. Four ways come of that; ``export/rewrite.py`` says which is used where.

A ReLU can only take in a factor that is not negative, and ``1 - a`` is negative where a slope is above 1. There
the two last ways compute ``-PReLU(x)``, and the sign goes into the weights of whoever reads it (and, in
:func:`bend`, of the convolution before).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ostiary.export.rewrites.dense import dense
from ostiary.export.rewrites.places import Place, places
from ostiary.export.rewrites.weights import convolution, multiply_rows, scaling
from ostiary.networks.face_network import ConvUnit, FaceNetwork


def blend(network: FaceNetwork) -> FaceNetwork:
    """``a x + (1 - a) ReLU(x)``: two factors, a ReLU and a sum in place of each PReLU."""
    network = dense(network)
    _blend_the_rest(network)
    return network


def fold(network: FaceNetwork) -> FaceNetwork:
    """As :func:`blend`, but where a depthwise convolution follows it takes the factors into its weights.

    There are two of it then, one of ``x`` and one of ``ReLU(x)``.
    """
    network = dense(network)
    for place in places(network, nn.PReLU):
        if place.next_depthwise is not None:
            place.next_depthwise.add_module("conv", _Folded(place.next_depthwise.conv, _slopes(place)))
            place.unit.act = nn.Identity()
    _blend_the_rest(network)
    return network


def rectify(network: FaceNetwork) -> FaceNetwork:
    """``s PReLU(x) = s a x + ReLU(|1 - a| x)``, s the sign of 1 - a: two factors, ReLU and sum inside them."""
    network = dense(network)
    for place in places(network, nn.PReLU):
        slopes = _slopes(place)
        sign = sign_of(1 - slopes)
        place.read_times(sign)
        place.unit.act = _Rectified(sign * slopes, (1 - slopes).abs())
    _blend_the_rest(network)
    return network


def bend(network: FaceNetwork) -> FaceNetwork:
    """``s PReLU(x) = y + ReLU((a - 1) y)`` of ``y = s x``: one factor, ReLU inside it, and a sum."""
    network = dense(network)
    for place in places(network, nn.PReLU):
        slopes = _slopes(place)
        sign = sign_of(1 - slopes)
        place.read_times(sign)
        multiply_rows(place.unit.conv, sign)
        place.unit.act = Bent(slopes - 1)
    _blend_the_rest(network)
    return network


def sign_of(values: Tensor) -> Tensor:
    """-1 where a value is negative, otherwise 1."""
    return torch.where(values < 0, -1.0, 1.0).to(values.dtype)


class Bent(nn.Module):
    """``x + ReLU(factor x)``, a factor a channel: PReLU of :func:`bend`, where the factors are slopes less 1."""

    def __init__(self, factors: Tensor) -> None:
        super().__init__()
        self.factors = scaling(factors)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> the same shape."""
        result: Tensor = torch.relu(self.factors(x)) + x
        return result


class _Blended(nn.Module):
    def __init__(self, slopes: Tensor) -> None:
        super().__init__()
        self.linear, self.rectified = scaling(slopes), scaling(1 - slopes)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.linear(x) + self.rectified(torch.relu(x))
        return result


class _Folded(nn.Module):
    def __init__(self, conv: nn.Conv2d, slopes: Tensor) -> None:
        super().__init__()
        self.stride = conv.stride
        slopes = slopes[:, None, None, None]
        self.linear = convolution(conv.weight * slopes, conv.bias, conv)
        self.rectified = convolution(conv.weight * (1 - slopes), None, conv)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.linear(x) + self.rectified(torch.relu(x))
        return result


class _Rectified(nn.Module):
    def __init__(self, linear: Tensor, rectified: Tensor) -> None:
        super().__init__()
        self.linear, self.rectified = scaling(linear), scaling(rectified)

    def forward(self, x: Tensor) -> Tensor:
        # In this order: the second convolution adds the first one's result while it writes its own.
        result: Tensor = torch.relu(self.rectified(x)) + self.linear(x)
        return result


def _slopes(place: Place) -> Tensor:
    return cast(nn.PReLU, place.unit.act).weight.detach()


def _blend_the_rest(network: FaceNetwork) -> None:
    for unit in network.modules():
        if isinstance(unit, ConvUnit) and isinstance(getattr(unit, "act", None), nn.PReLU):
            unit.act = _Blended(cast(nn.PReLU, unit.act).weight.detach())
