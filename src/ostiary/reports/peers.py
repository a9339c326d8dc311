"""Deployed liveness networks of others: how each wants its picture, and what its outputs mean.

They are opponents in the tables and teachers in a recipe; their files are never shipped. Conventions as
in each project's own code (Silent-Face-Anti-Spoofing; face-antispoof-onnx), both Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ostiary.faces.crops import loose_crop
from ostiary.faces.detector import Box
from ostiary.faces.preprocess import Preprocess
from ostiary.runtime.session import make_session

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Peer:
    """A network of others: its file, its crop, and its log-odds of bona fide from its logits (N, classes)."""

    name: str
    file: str
    preprocess: Preprocess
    log_odds: Callable[[NDArray[np.float32]], NDArray[np.float32]]

    def crop(self, picture: Picture, box: Box) -> NDArray[np.float32]:
        """Picture and face box -> the network's input, float32 (3, size, size)."""
        inputs: NDArray[np.float32] = self.preprocess.normalise(loose_crop(picture, box, self.preprocess)[None])
        return np.asarray(inputs[0])


class PeerModel:
    """A peer, opened: log-odds of bona fide for faces in pictures."""

    def __init__(self, peer: Peer, folder: Path, *, threads: int = 1) -> None:
        self.peer = peer
        self._session = make_session(folder / peer.file, threads=threads)
        entry = self._session.get_inputs()[0]
        self._input = entry.name
        self._one_at_a_time = entry.shape[0] == 1  # exported for a batch of one

    def log_odds(self, picture: Picture, box: Box) -> float:
        """Log-odds of bona fide, higher is more bona fide."""
        return float(self.all_log_odds([picture], box)[0])

    def all_log_odds(self, pictures: Sequence[Picture], box: Box) -> NDArray[np.float32]:
        """The same of N pictures with the face in the same place (N,)."""
        inputs = np.stack([self.peer.crop(picture, box) for picture in pictures])
        parts = np.split(inputs, len(inputs)) if self._one_at_a_time else [inputs]
        logits = [self._session.run(None, {self._input: part})[0] for part in parts]
        return self.peer.log_odds(np.concatenate(logits))


def mean_log_odds(models: Sequence[PeerModel], picture: Picture, box: Box) -> float:
    """Mean of the peers' log-odds: the two halves of the MiniFASNet pair count as one peer."""
    return float(mean_all_log_odds(models, [picture], box)[0])


def mean_all_log_odds(models: Sequence[PeerModel], pictures: Sequence[Picture], box: Box) -> NDArray[np.float32]:
    """The same of N pictures with the face in the same place (N,)."""
    by_family: dict[str, list[NDArray[np.float32]]] = {}
    for model in models:
        family = model.peer.name.split("_")[0]
        by_family.setdefault(family, []).append(model.all_log_odds(pictures, box))
    return np.asarray(np.mean([np.mean(values, axis=0) for values in by_family.values()], axis=0), np.float32)


def _one_against_rest(live: int) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    def log_odds(logits: NDArray[np.float32]) -> NDArray[np.float32]:
        rest = np.delete(logits, live, axis=1)
        top = rest.max(axis=1, keepdims=True)
        return np.asarray(logits[:, live] - (top[:, 0] + np.log(np.exp(rest - top).sum(axis=1))))

    return log_odds


def _minifasnet(scale: float) -> Preprocess:
    """BGR, 0..255, nothing taken off and nothing divided by."""
    return Preprocess(crop="loose", size=80, scale=scale, surroundings="proportional", channels="BGR")


_FACENOX = Preprocess(crop="loose", size=128, scale=1.5, surroundings="mirrored", std=(255.0,) * 3)

PEERS = (
    Peer("minifasnet_v2", "2.7_80x80_MiniFASNetV2.onnx", _minifasnet(2.7), _one_against_rest(1)),
    Peer("minifasnet_v1se", "4_0_0_80x80_MiniFASNetV1SE.onnx", _minifasnet(4.0), _one_against_rest(1)),
    Peer("facenox", "facenox_minifas_v2se_128.onnx", _FACENOX, _one_against_rest(0)),
)
