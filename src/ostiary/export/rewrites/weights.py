"""Layers made of given weights, and layers for chosen channels: what all rewrites are built from."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

ZERO = -1
"""A channel that is not there: its weights are zero."""


def convolution(weight: Tensor, bias: Tensor | None, like: nn.Conv2d | None = None) -> nn.Conv2d:
    """A convolution with these weights; stride, padding and grouping of ``like``, or 1x1."""
    out, inside, height, width = weight.shape
    groups = out if like is not None and like.groups > 1 else 1
    made = nn.Conv2d(inside * groups, out, (height, width), groups=groups, bias=bias is not None)
    if like is not None:
        made.stride, made.padding = like.stride, like.padding
    made.weight = _fixed(weight)
    if bias is not None:
        made.bias = _fixed(bias)
    return made


def scaling(factors: Tensor) -> nn.Conv2d:
    """A factor a channel, as a depthwise 1x1 convolution."""
    made = nn.Conv2d(len(factors), len(factors), 1, groups=len(factors), bias=False)
    made.weight = _fixed(factors[:, None, None, None])
    return made


def prelu(slopes: Tensor) -> nn.PReLU:
    """PReLU with these slopes."""
    layer = nn.PReLU(len(slopes))
    layer.weight = _fixed(slopes)
    return layer


def taken(weight: Tensor, dim: int, channels: Sequence[int]) -> Tensor:
    """Chosen channels along a dimension, in this order; zeros for ``ZERO``."""
    places = torch.tensor(channels)
    shape = [1] * weight.ndim
    shape[dim] = -1
    return weight.index_select(dim, places.clamp(min=0)) * (places >= 0).to(weight.dtype).reshape(shape)


def channels_of(layer: nn.Module, channels: Sequence[int]) -> nn.Module:
    """A layer that treats each channel by itself, for chosen channels.

    It may be made of others; they are depthwise convolutions, PReLU, and what has no weights.
    """
    if isinstance(layer, nn.Conv2d):
        bias = None if layer.bias is None else taken(layer.bias, 0, channels)
        return convolution(taken(layer.weight, 0, channels), bias, layer)
    if isinstance(layer, nn.PReLU):
        return prelu(taken(layer.weight, 0, channels))
    chosen = copy.deepcopy(layer)
    for name, child in layer.named_children():
        chosen.add_module(name, channels_of(child, channels))
    return chosen


def multiply_rows(conv: nn.Conv2d, factors: Tensor) -> None:
    """Multiply the outputs of a convolution, each channel by its factor."""
    conv.weight = _fixed(conv.weight * factors[:, None, None, None])
    if conv.bias is not None:
        conv.bias = _fixed(conv.bias * factors)


def multiply_columns(conv: nn.Conv2d, factors: Tensor) -> None:
    """Make up for inputs of a convolution that have been divided by these factors."""
    places = (slice(None), None) if conv.groups > 1 else (None, slice(None))
    conv.weight = _fixed(conv.weight * factors[places][..., None, None])


def _fixed(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.detach().clone(), requires_grad=False)
