"""Start a run from a network that an earlier run trained: more of the same, other data, or a dial for it."""

from __future__ import annotations

from pathlib import Path

from ostiary.adaptive import blocks
from ostiary.errors import ConfigurationError
from ostiary.networks.face_network import FaceNetwork
from ostiary.networks.pta_face import with_dial


def begin_from(trained: FaceNetwork, network: FaceNetwork, path: Path) -> None:
    """Fill a network with the weights of a trained one, in place.

    If only ``network`` has adaptive blocks, its heavy branches get the weights, and each light one those of the
    first block of its run: all-heavy then computes what the trained network does.

    Args:
        trained: of ``load_face_network``; left as it is where it has the blocks of ``network``.
        network: of the recipe, to be trained.
        path: where ``trained`` came from, for what is said of it.

    Raises:
        ConfigurationError: the two are different networks, or their embeddings are of different lengths.

    """
    if blocks(network) and not blocks(trained):
        trained = with_dial(trained)
    ours = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    theirs = {name: tuple(tensor.shape) for name, tensor in trained.state_dict().items()}
    if ours != theirs:
        lengths = trained.linear.out_features, network.linear.out_features
        what = f"embeddings of {lengths[0]} numbers, not {lengths[1]}" if len(set(lengths)) > 1 else "other layers"
        raise ConfigurationError(f"{path} cannot start this run: its network has {what}.")
    network.load_state_dict(trained.state_dict())
