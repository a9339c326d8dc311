"""From an adaptive network to the ordinary one that a single word stands for."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn

from ostiary.adaptive.block import Adaptive
from ostiary.adaptive.configuration import configure

Net = TypeVar("Net", bound=nn.Module)


def specialise(net: Net, word: str) -> Net:
    """A deep copy of ``net`` that computes what ``word`` does, without adaptive blocks or unused branches.

    The letter B becomes a `Mean` of the two branches. The copy has the mode, the device and the BatchNorm
    statistics of ``net``, so statistics of this word are to be applied before. ``net`` is left as it is.
    ConfigurationError where the word does not exist. A network that is itself one `Adaptive` block
    becomes the selected branch, of another class.
    """
    specialised = copy.deepcopy(net)
    configure(specialised, word)
    if isinstance(specialised, Adaptive):
        return specialised.branch()  # type: ignore[return-value]  # the one case where the class changes
    for parent in list(specialised.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Adaptive):
                branch = child.branch()
                branch.training = child.training
                setattr(parent, name, branch)
    return specialised
