"""Start a network from the deployed one that watches it, which has seen many people.

Its weights are thinned to fit (``thinning.py``); the last layer is fitted by ridge regression to the teachers'
embeddings, so that training starts where they nearly agree.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError
from ostiary.faces.preprocess import Preprocess
from ostiary.networks.face_network import FaceNetwork
from ostiary.networks.unfolding import Layer, fill, unfold
from ostiary.training.embedding.batches import Faces
from ostiary.training.embedding.least_squares import ridge
from ostiary.training.embedding.live_teachers import LiveTeachers
from ostiary.training.embedding.portraits import Portraits
from ostiary.training.embedding.recipe import FaceRecipe
from ostiary.training.embedding.thinning import start_from
from ostiary.training.embedding.watcher import FaceWatcher

MEASURED = 512
"""Pictures that the thinning measures by."""
FITTED = 4096
"""Pictures that the last layer is fitted to."""
_BATCH = 32


Taught = Callable[[NDArray[np.int64], NDArray[np.uint8]], NDArray[np.float32]]
"""Numbers (N,) of portraits and their crops (N, S, S, 3) -> all teachers' targets (N, D) for them."""


def head_start(
    recipe: FaceRecipe, network: FaceNetwork, portraits: Portraits, watcher: FaceWatcher, taught: Taught, seed: int
) -> None:
    """Fill a network from the recipe's watcher, in place, as far as its table and the teachers allow.

    Args:
        recipe: says how crops are normalised.
        network: a chain that :func:`ostiary.training.embedding.thinning.start_from` can fill.
        portraits: what will be learnt from; some of it is measured by.
        watcher: the peer that is started from.
        taught: what the teachers say of some of them.
        seed: of the run.

    Raises:
        WeightsError: the watcher's file cannot be read, or is no such network.
        ConfigurationError: the network is no such chain, or its embeddings are of another length than the targets.

    """
    rng = np.random.default_rng([seed, _SEED])
    # In the order drawn: the first of them are then of all sources, as the index is not.
    chosen = rng.permutation(len(portraits))[:FITTED]
    crops = portraits.crops(chosen.tolist())
    start_from(watcher.path, watcher.preprocess, network, recipe.preprocess, crops[:MEASURED], seed)
    fit_last_layer(network, recipe.preprocess, crops, taught(chosen, crops))


def asked_beforehand(faces: Faces, watcher: FaceWatcher) -> Taught:
    """Targets that were read from files, and the watcher's where it is followed."""

    def taught(chosen: NDArray[np.int64], crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        targets = [faces.targets[0][chosen].astype(np.float32)]
        if watcher.followed:
            parts = [watcher(crops[begin : begin + _BATCH])[0] for begin in range(0, len(crops), _BATCH)]
            targets.append(np.concatenate(parts))
        return np.concatenate(targets, axis=1)

    return taught


_SEED = 0x68656164
"""Apart from what else a run draws from its seed."""


def asked_live(teachers: LiveTeachers, device: torch.device) -> Taught:
    """Targets of teachers that are at hand, asked now about the unchanged crops."""
    return lambda _chosen, crops: teachers.ask(crops, device)


def fit_last_layer(
    network: FaceNetwork, preprocess: Preprocess, crops: NDArray[np.uint8], targets: NDArray[np.floating]
) -> None:
    """Let the last linear layer give the targets (N, D) of crops (N, S, S, 3) as nearly as it can, in place.

    Raises:
        ConfigurationError: the targets have another length than the network's embeddings.

    """
    if targets.shape[1] != network.linear.out_features:
        raise ConfigurationError(
            f"The teachers' embeddings are {targets.shape[1]} numbers long, the network's "
            f"{network.linear.out_features}: a start from a peer needs equal lengths."
        )
    was_training = network.training
    network.eval()
    with torch.no_grad():
        starts = range(0, len(crops), _BATCH)
        batches = (torch.from_numpy(preprocess.normalise(crops[begin : begin + _BATCH])) for begin in starts)
        features = torch.cat([network.pool(network.maps(batch)[-1]) for batch in batches])
    wanted = torch.from_numpy(np.asarray(targets, np.float32))
    last: list[Layer] = [(network.linear, network.norm)]
    fill(last, [ridge(features, wanted, RIDGE)])
    unfold(last, network.linear, [features])
    network.train(was_training)


RIDGE = 0.1
"""Of the features' mean variance: 512 features of correlated maps, and a few thousand pictures to fit by."""
