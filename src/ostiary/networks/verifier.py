"""The personal verifier f as a function of a picture and of its own weights.

Nobody trains f: its weights theta are what a hypernetwork gives for one person (Rozner et al. 2023). So f is no
module but a function, and theta may carry a leading axis of users: then all users judge the same pictures in one
pass of grouped convolutions. Layers that are not personal run once for all users, as far as possible.
The shapes stand in ``runtime/verifier_layers.py``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostiary.errors import ConfigurationError
from ostiary.runtime.verifier_layers import F112, Architecture, Layer

Layers = Mapping[str, tuple[Tensor, Tensor]]
"""Weight and bias by layer: (out, in / groups, k, k) and (out,), or with an axis of users before them."""


def verifier(x: Tensor, theta: Tensor | Layers, architecture: Architecture = F112) -> Tensor:
    """Logits: higher is more the person that theta was made of.

    Args:
        x: crops (N, 3, S, S), normalised by ``architecture.preprocess``.
        theta: one user's (P,), or (M, P) of M users, who all see the same crops; or layers of which each is
            personal or shared.
        architecture: what theta is the weights of.

    Returns:
        (N,) for one theta, or layers of which none is personal; else (M, N).

    Raises:
        ConfigurationError: crops or a theta of another shape.

    """
    size = architecture.size
    if x.dim() != 4 or x.shape[1:] != (3, size, size):
        raise ConfigurationError(
            f"The verifier {architecture.name} takes aligned RGB crops (N, 3, {size}, {size}); "
            f"got {tuple(x.shape)}."
        )
    layers = split(theta, architecture) if isinstance(theta, Tensor) else theta
    users = 0
    for layer in architecture.layers:
        x, users = _convolved(x, users, layer, *layers[layer.name])
        if layer.relu:
            x = functional.relu(x)
    return x.flatten(1).T if users else x.flatten()


def split(theta: Tensor, architecture: Architecture = F112) -> dict[str, tuple[Tensor, Tensor]]:
    """Theta (P,) or (M, P), layer by layer.

    Raises:
        ConfigurationError: theta has another number of numbers than the architecture has.

    """
    if theta.dim() not in (1, 2) or theta.shape[-1] != architecture.parameters:
        raise ConfigurationError(
            f"A theta of shape {tuple(theta.shape)} is not of the verifier {architecture.name}, which has "
            f"{architecture.parameters} parameters; give (P,) or (M, P)."
        )
    users = theta.shape[:-1]
    return {
        layer.name: (theta[..., weight].reshape(*users, *layer.shape), theta[..., bias])
        for layer, weight, bias in architecture.places()
    }


def join(layers: Layers, architecture: Architecture = F112) -> Tensor:
    """The opposite of :func:`split`: (M, P) if any layer is personal, in which the shared ones are repeated."""
    counts = {len(bias) for _, bias in layers.values() if bias.dim() == 2}
    users = tuple(counts)
    parts = []
    for layer in architecture.layers:
        weight, bias = layers[layer.name]
        for part in (weight.flatten(-4), bias):
            parts.append(part.expand(*users, part.shape[-1]))
    return torch.cat(parts, -1)


def to_module(theta: Tensor, architecture: Architecture = F112) -> nn.Sequential:
    """One user's f as ordinary convolutions: crops (N, 3, S, S) -> logits (N, 1)."""
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    layers = split(theta.detach().clone(), architecture)
    for layer in architecture.layers:
        weight, bias = layers[layer.name]
        conv = nn.Conv2d(layer.channels, layer.out, layer.kernel, layer.stride, layer.padding, groups=layer.groups)
        conv.weight, conv.bias = nn.Parameter(weight), nn.Parameter(bias)
        modules[layer.name] = conv
        if layer.relu:
            modules[f"{layer.name}_act"] = nn.ReLU()
    modules["flatten"] = nn.Flatten()
    return nn.Sequential(modules)


def _convolved(x: Tensor, users: int, layer: Layer, weight: Tensor, bias: Tensor) -> tuple[Tensor, int]:
    """One layer, and how many users the channels of its output are divided into; 0 where all still share them."""
    personal = weight.dim() == 5
    if not personal and not users:
        return functional.conv2d(x, weight, bias, layer.stride, layer.padding, groups=layer.groups), 0
    count = users or len(weight)
    if not personal:
        weight, bias = weight.expand(count, *layer.shape), bias.expand(count, layer.out)
    if users or layer.groups == 1:
        # A dense layer that still sees what all users share needs no groups, only as many more filters.
        groups = users * layer.groups or 1
    else:
        x, groups = x.repeat(1, count, 1, 1), count * layer.groups
    stacked = weight.reshape(-1, *layer.shape[1:])
    return functional.conv2d(x, stacked, bias.reshape(-1), layer.stride, layer.padding, groups=groups), count
