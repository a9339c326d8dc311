"""The networks by name, as recipes and checkpoints call them. A new network is one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from ostiary.errors import ConfigurationError
from ostiary.networks.mobilefacenet import mobilefacenet
from ostiary.networks.mobilenet_v2 import mobilenet_v2, pta_mobilenet_v2
from ostiary.networks.pta_face import pta_seesaw_shuffle
from ostiary.networks.seesaw import dw_seesaw_v1, dw_seesaw_v2, seesaw_mobi, seesaw_share, seesaw_shuffle
from ostiary.networks.slim_face import slim_face

LIVENESS: dict[str, Callable[..., nn.Module]] = {
    "mobilenet_v2": mobilenet_v2,
    "pta_mobilenet_v2": pta_mobilenet_v2,
}
"""Builders of liveness networks: RGB (N, 3, S, S) -> logits (N, 2), attack and bona fide."""

FACE: dict[str, Callable[..., nn.Module]] = {
    "mobilefacenet": mobilefacenet,
    "seesaw_share": seesaw_share,
    "seesaw_shuffle": seesaw_shuffle,
    "seesaw_mobi": seesaw_mobi,
    "dw_seesaw_v1": dw_seesaw_v1,
    "dw_seesaw_v2": dw_seesaw_v2,
    "pta_seesaw_shuffle": pta_seesaw_shuffle,
    "slim_face": slim_face,
}
"""Builders of face networks, of a dimension: aligned RGB (N, 3, 112, 112) -> embeddings (N, dimension)."""


def builder(table: Mapping[str, Callable[..., nn.Module]], name: str) -> Callable[..., nn.Module]:
    """The builder of this name, or a ConfigurationError that lists what there is."""
    if name not in table:
        raise ConfigurationError(f"There is no network {name!r}; choose one of: {', '.join(table)}.")
    return table[name]
