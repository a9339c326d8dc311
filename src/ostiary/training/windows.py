"""Decode once: the part of each picture that training can ever look at, kept in one flat file.

A window holds the face with room for every jitter of the recipe; the crop is cut from it by the same
function that cuts it from the whole picture, with the same result (a test holds them together). The file
is memory-mapped: workers and processes share its pages.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ostiary.data.index import Sample
from ostiary.errors import DataIndexError, ImageError
from ostiary.faces.detector import Box, FaceDetector
from ostiary.faces.preprocess import Preprocess

LAYOUT = 1


class Pictures(Protocol):
    """Where pictures are read from: a folder or a tar."""

    def image(self, path: str) -> NDArray[np.uint8]:
        """RGB uint8 (H, W, 3)."""


class Windows:
    """Read-only pairs (window, box inside the window), in the order of the samples that have a face."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        record = json.loads((folder / "windows.json").read_text())
        self.kept: list[int] = record["kept"]
        """Position in the list of samples of each window."""
        self.dropped: list[str] = record["dropped"]
        """Paths without a readable picture or a face."""
        table = np.load(folder / "table.npz")
        self._offsets, self._shapes, self._boxes = table["offsets"], table["shapes"], table["boxes"]
        self._pixels = np.memmap(folder / "pixels.bin", np.uint8, "r") if self.kept else np.empty(0, np.uint8)

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, place: int) -> tuple[NDArray[np.uint8], Box]:
        height, width = (int(side) for side in self._shapes[place])
        start = int(self._offsets[place])
        pixels = self._pixels[start : start + height * width * 3].reshape(height, width, 3)
        return np.asarray(pixels), Box(*(float(v) for v in self._boxes[place]))


def build_windows(
    samples: Sequence[Sample],
    pictures: Pictures,
    cache: Path,
    preprocess: Preprocess,
    *,
    room: float,
    progress: Callable[[int, int], None] | None = None,
) -> Windows:
    """Open the windows of these samples, or make them if the cache does not hold them yet.

    Args:
        room: side of the window over the side of the crop (zoom and shift of the augmentation).
        progress: called with (done, total).

    Raises:
        DataIndexError: not one picture could be used.

    """
    folder = cache / f"windows-{_key(samples, preprocess, room)}"
    if not (folder / "windows.json").exists():
        partial = cache / f"{folder.name}.{os.getpid()}.partial"
        partial.mkdir(parents=True)
        try:
            _write(samples, pictures, partial, preprocess, room, progress)
            if not folder.exists():
                partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    windows = Windows(folder)
    if not windows.kept:
        raise DataIndexError(
            f"None of the {len(samples)} pictures could be read and shows a face; "
            "check the index and the pictures with 'ostiary data check'."
        )
    return windows


def _key(samples: Sequence[Sample], preprocess: Preprocess, room: float) -> str:
    digest = hashlib.sha256(f"{LAYOUT} {preprocess.scale} {preprocess.size} {room}".encode())
    for sample in samples:
        digest.update(f"{sample.dataset}|{sample.path}|{sample.box}\n".encode())
    return digest.hexdigest()[:16]


def _write(
    samples: Sequence[Sample],
    pictures: Pictures,
    folder: Path,
    preprocess: Preprocess,
    room: float,
    progress: Callable[[int, int], None] | None,
) -> None:
    detector = FaceDetector()
    kept: list[int] = []
    dropped: list[str] = []
    offsets: list[int] = []
    shapes: list[tuple[int, int]] = []
    boxes: list[Box] = []
    with (folder / "pixels.bin").open("wb") as file:
        for place, sample in enumerate(samples):
            found = _window(sample, pictures, detector, preprocess, room)
            if found is None:
                dropped.append(sample.path)
            else:
                window, box = found
                kept.append(place)
                offsets.append(file.tell())
                shapes.append(window.shape[:2])
                boxes.append(box)
                file.write(window.tobytes())
            if progress is not None:
                progress(place + 1, len(samples))
    np.savez(
        folder / "table.npz",
        offsets=np.array(offsets, np.int64),
        shapes=np.array(shapes, np.int32).reshape(-1, 2),
        boxes=np.array(boxes, np.float64).reshape(-1, 4),
    )
    (folder / "windows.json").write_text(json.dumps({"kept": kept, "dropped": dropped}))


def _window(
    sample: Sample, pictures: Pictures, detector: FaceDetector, preprocess: Preprocess, room: float
) -> tuple[NDArray[np.uint8], Box] | None:
    try:
        image = pictures.image(sample.path)
    except ImageError:
        return None
    box = sample.box
    if box is None:
        faces = detector.detect(image)
        if not faces:
            return None
        box = faces[0].box
    height, width = image.shape[:2]
    side = round(room * preprocess.scale * max(box.width, box.height)) + 2
    left = _start(box.x + box.width / 2, side, width)
    top = _start(box.y + box.height / 2, side, height)
    window = image[top : top + side, left : left + side]
    box = Box(box.x - left, box.y - top, box.width, box.height)
    # A large photo is kept at twice the network's resolution: what is finer never reaches the network.
    factor = 2 * room * preprocess.size / max(window.shape[:2])
    if factor < 1:
        size = (max(1, round(window.shape[1] * factor)), max(1, round(window.shape[0] * factor)))
        sx, sy = size[0] / window.shape[1], size[1] / window.shape[0]
        window = np.asarray(Image.fromarray(window).resize(size, Image.Resampling.BOX))
        box = Box(box.x * sx, box.y * sy, box.width * sx, box.height * sy)
    return np.ascontiguousarray(window), box


def _start(centre: float, side: int, length: int) -> int:
    return max(0, min(round(centre - side / 2), length - side))
