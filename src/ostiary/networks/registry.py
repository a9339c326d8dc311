"""The networks by name, as recipes and checkpoints call them. A new network is one line here."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from ostiary.networks.mobilenet_v2 import mobilenet_v2, pta_mobilenet_v2

LIVENESS: dict[str, Callable[..., nn.Module]] = {
    "mobilenet_v2": mobilenet_v2,
    "pta_mobilenet_v2": pta_mobilenet_v2,
}
"""Builders of liveness networks: RGB (N, 3, S, S) -> logits (N, 2), attack and bona fide."""
