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
from PIL import Image

from ostiary.faces.detector import Box
from ostiary.runtime.session import make_session

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Peer:
    """A network of others: its file, its crop, and its log-odds of bona fide from its logits (N, classes)."""

    name: str
    file: str
    crop: Callable[[Picture, Box], NDArray[np.float32]]
    """Picture and face box -> the network's input, float32 (3, size, size)."""
    log_odds: Callable[[NDArray[np.float32]], NDArray[np.float32]]


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


def _minifasnet_crop(factor: float) -> Callable[[Picture, Box], NDArray[np.float32]]:
    """The box enlarged in its own proportions, shifted inside the picture; BGR, 0..255, 80x80."""

    def crop(picture: Picture, box: Box) -> NDArray[np.float32]:
        height, width = picture.shape[:2]
        scale = min((height - 1) / box.height, (width - 1) / box.width, factor)
        w, h = box.width * scale, box.height * scale
        left = min(max(box.x + box.width / 2 - w / 2, 0), width - 1 - w)
        top = min(max(box.y + box.height / 2 - h / 2, 0), height - 1 - h)
        window = (int(left), int(top), int(left + w) + 1, int(top + h) + 1)
        # The project resizes with plain bilinear sampling (no anti-aliasing), as OpenCV does.
        small = (
            Image.fromarray(picture)
            .crop(window)
            .transform(
                (80, 80),
                Image.Transform.EXTENT,
                (0, 0, window[2] - window[0], window[3] - window[1]),
                Image.Resampling.BILINEAR,
            )
        )
        return np.ascontiguousarray(np.asarray(small, np.float32)[..., ::-1].transpose(2, 0, 1))

    return crop


def _facenox_crop(picture: Picture, box: Box) -> NDArray[np.float32]:
    """A square of 1.5 times the longer side, mirrored beyond the picture; RGB, 0..1, 128x128."""
    side = round(1.5 * max(box.width, box.height))
    left, top = round(box.x + box.width / 2 - side / 2), round(box.y + box.height / 2 - side / 2)
    rows = _mirrored(np.arange(top, top + side), picture.shape[0])
    columns = _mirrored(np.arange(left, left + side), picture.shape[1])
    square = Image.fromarray(np.ascontiguousarray(picture[rows][:, columns]))
    how = Image.Resampling.LANCZOS if side < 128 else Image.Resampling.BOX
    pixels = np.asarray(square.resize((128, 128), how), np.float32) / 255
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _mirrored(places: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    if length == 1:
        return np.zeros_like(places)
    places = np.abs(places) % (2 * (length - 1))
    return np.where(places < length, places, 2 * (length - 1) - places)


def _one_against_rest(live: int) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    def log_odds(logits: NDArray[np.float32]) -> NDArray[np.float32]:
        rest = np.delete(logits, live, axis=1)
        top = rest.max(axis=1, keepdims=True)
        return np.asarray(logits[:, live] - (top[:, 0] + np.log(np.exp(rest - top).sum(axis=1))))

    return log_odds


PEERS = (
    Peer("minifasnet_v2", "2.7_80x80_MiniFASNetV2.onnx", _minifasnet_crop(2.7), _one_against_rest(1)),
    Peer("minifasnet_v1se", "4_0_0_80x80_MiniFASNetV1SE.onnx", _minifasnet_crop(4.0), _one_against_rest(1)),
    Peer("facenox", "facenox_minifas_v2se_128.onnx", _facenox_crop, _one_against_rest(0)),
)
