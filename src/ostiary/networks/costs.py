"""What the stock liveness network and each configuration of the adaptive one cost."""

from __future__ import annotations

import torch

from ostiary.adaptive import Cost, configured, count, words
from ostiary.networks.mobilenet_v2 import mobilenet_v2, pta_mobilenet_v2


def liveness_costs(size: int = 128) -> dict[str, Cost]:
    """``"mobilenet_v2"`` and all 27 words, HHH first, at ``size`` x ``size`` pixels (128 in the paper)."""
    example = torch.zeros(1, 3, size, size)
    costs = {"mobilenet_v2": count(mobilenet_v2(), example)}
    net = pta_mobilenet_v2()
    for word in words(net):
        with configured(net, word):
            costs[word] = count(net, example)
    return costs
