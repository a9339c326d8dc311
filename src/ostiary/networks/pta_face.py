"""A dial for face networks: three runs of three blocks each have one block as an alternative.

The transform of Khabarlak 2022 on the trunk of an embedding, where most of the time goes: the last three blocks
at 28 pixels, and the six at 14 pixels as two runs. 27 words of three letters; LLL leaves six of the ten out.
"""

from __future__ import annotations

import torch

from ostiary.adaptive import Run, make_adaptive
from ostiary.networks.face_network import SIDE, FaceNetwork
from ostiary.networks.seesaw import seesaw_shuffle

RUNS = (Run("groups.0", ("2", "3", "4")), Run("groups.1", ("1", "2", "3")), Run("groups.1", ("4", "5", "6")))


def with_dial(network: FaceNetwork) -> FaceNetwork:
    """The adaptive network; all-heavy computes exactly what ``network`` does.

    Raises:
        ConfigurationError: the network has other groups of blocks than MobileFaceNet.

    """
    example = torch.zeros(1, 3, SIDE, SIDE)
    return make_adaptive(network, example, runs=RUNS, heavy=3, light_init="copy-first")


def pta_seesaw_shuffle(dimension: int = 512) -> FaceNetwork:
    """Seesaw-shuffle with a dial."""
    return with_dial(seesaw_shuffle(dimension))
