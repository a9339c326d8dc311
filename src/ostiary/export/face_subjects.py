"""What is timed: untrained face networks, trained ones, and what they are fed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ostiary.adaptive import blocks, specialise, words
from ostiary.errors import ConfigurationError
from ostiary.faces.preprocess import Preprocess
from ostiary.images import read_image
from ostiary.networks.face_network import SIDE, FaceNetwork
from ostiary.networks.registry import FACE
from ostiary.runtime.crops import check_crops
from ostiary.training.embedding.run import load_face_network

PREPROCESS = Preprocess(crop="aligned", size=SIDE, mean=(127.5,) * 3, std=(127.5,) * 3)


def registered() -> dict[str, FaceNetwork]:
    """The networks of the registry, untrained; of an adaptive one each word without a B, as ``NAME/WORD``."""
    networks = {}
    for name, build in FACE.items():
        network = untrained(build)
        if not blocks(network):
            networks[name] = network
            continue
        for word in words(network):
            if "B" not in word:
                networks[f"{name}/{word}"] = specialise(network, word)
    return networks


def chosen_networks(names: Sequence[str], models: Sequence[Path]) -> dict[str, FaceNetwork]:
    """Networks of the registry by name (all if neither is given), and trained ones in place of theirs.

    Raises:
        ConfigurationError: no such network.
        WeightsError: a file is not a model of a training run.

    """
    every = registered() if names or not models else {}
    for name in names:
        if name not in every:
            raise ConfigurationError(f"there is no face network {name!r} to time; there are: {', '.join(every)}.")
    networks = {name: every[name] for name in names or every}
    for path in models:
        trained = load_face_network(path)
        networks[trained.recipe.network_name] = trained.network
    return networks


def fed_picture(path: Path) -> NDArray[np.float32]:
    """An aligned crop as the networks take it, (1, 3, 112, 112).

    Raises:
        ImageError: the picture cannot be read.
        InputError: it is not a crop of that size.

    """
    return PREPROCESS.normalise(aligned_picture(path)[None])


def aligned_picture(path: Path) -> NDArray[np.uint8]:
    """An aligned crop as it is, RGB uint8 (112, 112, 3).

    Raises:
        ImageError: the picture cannot be read.
        InputError: it is not a crop of that size.

    """
    crop = read_image(path)
    check_crops(crop[None], PREPROCESS, "a face network")
    return crop


def untrained(build: Callable[[], nn.Module], seed: int = 0) -> FaceNetwork:
    """A network of random weights, and of statistics as a training might leave them.

    The time of the runtime's PReLU, and of nothing else here, depends on the numbers that it is given: it
    branches on their signs, and noise with statistics that fit it takes several times as long as faces do. With
    these statistics it is short even for a trained network on faces, so that the plain baseline is rather
    flattered than slandered. A trained network and a face (``bench face --model --picture``) tell the truth.
    """
    torch.manual_seed(seed)
    network = cast(FaceNetwork, build())
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.running_mean = 0.1 * torch.randn(layer.num_features)
            layer.running_var = 0.5 + torch.rand(layer.num_features)
    return network.eval()
