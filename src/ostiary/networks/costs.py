"""What the networks cost: each configuration of the liveness network, each face network."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from ostiary.adaptive import Cost, blocks, configured, count, specialise, words
from ostiary.networks.face_network import SIDE
from ostiary.networks.mobilenet_v2 import mobilenet_v2, pta_mobilenet_v2
from ostiary.networks.registry import FACE


def liveness_costs(size: int = 128) -> dict[str, Cost]:
    """``"mobilenet_v2"`` and all 27 words, HHH first, at ``size`` x ``size`` pixels (128 in the paper)."""
    example = torch.zeros(1, 3, size, size)
    costs = {"mobilenet_v2": count(mobilenet_v2(), example)}
    net = pta_mobilenet_v2()
    for word in words(net):
        with configured(net, word):
            costs[word] = count(net, example)
    return costs


class FaceCost(NamedTuple):
    """The cost of one aligned crop.

    ``macs`` are multiply-adds of convolutions and linear layers. ``macs_tsx`` are those that Zhang 2019 prints:
    its counter adds, once each, the scales of batch normalisation and the slopes of PReLU.
    """

    parameters: int
    macs: int
    macs_tsx: int


def face_costs(dimension: int = 512) -> dict[str, FaceCost]:
    """Every face network of the registry, with embeddings of ``dimension`` numbers (512 in the paper).

    Of an adaptive one each word is a network of its own, called ``NAME/WORD``.
    """
    costs = {}
    for name, build in FACE.items():
        network = build(dimension)
        if not blocks(network):
            costs[name] = face_cost(network)
            continue
        for word in words(network):
            costs[f"{name}/{word}"] = face_cost(specialise(network, word))
    return costs


def face_cost(network: nn.Module) -> FaceCost:
    """The cost of one face network."""
    cost = count(network, torch.zeros(1, 3, SIDE, SIDE))
    scales = sum(
        module.weight.numel()
        for module in network.modules()
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.PReLU)
    )
    return FaceCost(cost.parameters, cost.macs, cost.macs + scales)
