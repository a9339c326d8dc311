"""Decode once: the aligned crops of an index in one flat file that workers and processes share."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ostiary.data.identities import Portrait
from ostiary.data.pictures import PictureStore
from ostiary.errors import DataIndexError, ImageError


@dataclass(frozen=True, slots=True)
class Portraits:
    """Portraits beside their crops, RGB uint8 (S, S, 3); ``dropped`` are paths without one."""

    portraits: Sequence[Portrait]
    dropped: tuple[str, ...]
    _crops: NDArray[np.uint8]
    _places: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.portraits)

    def crop(self, number: int) -> NDArray[np.uint8]:
        """The crop (S, S, 3) of a portrait, read from the file."""
        return np.asarray(self._crops[self._places[number]])

    def crops(self, numbers: Sequence[int]) -> NDArray[np.uint8]:
        """Several crops (N, S, S, 3)."""
        return np.stack([self.crop(number) for number in numbers])

    def select(self, numbers: Sequence[int]) -> Portraits:
        """Some of them; nothing is copied."""
        chosen = [self.portraits[number] for number in numbers]
        return Portraits(chosen, self.dropped, self._crops, self._places[list(numbers)])


def load_portraits(
    portraits: Sequence[Portrait],
    pictures: PictureStore,
    cache: Path,
    size: int,
    progress: Callable[[int, int], None] | None = None,
) -> Portraits:
    """Open the crops of these portraits, or decode them if the cache does not hold them yet.

    Args:
        portraits: their pictures must be aligned crops of ``size`` x ``size`` pixels ('ostiary data align').
        pictures: where they lie.
        cache: folder for the decoded crops.
        size: side of the crops.
        progress: called with (done, total).

    Raises:
        DataIndexError: not one picture could be used.

    """
    folder = cache / f"portraits-{_key(portraits, size)}"
    if not (folder / "portraits.json").exists():
        partial = cache / f"{folder.name}.{os.getpid()}.partial"
        partial.mkdir(parents=True)
        try:
            _write(portraits, pictures, partial, size, progress)
            if not folder.exists():
                partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    record = json.loads((folder / "portraits.json").read_text())
    kept: list[int] = record["kept"]
    if not kept:
        raise DataIndexError(
            f"None of the {len(portraits)} pictures is a readable aligned crop of {size}x{size} pixels; make such "
            "crops with 'ostiary data align'."
        )
    crops = np.memmap(folder / "crops.bin", np.uint8, "r").reshape(-1, size, size, 3)
    return Portraits([portraits[i] for i in kept], tuple(record["dropped"]), crops, np.arange(len(kept)))


def _key(portraits: Sequence[Portrait], size: int) -> str:
    digest = hashlib.sha256(f"1 {size}".encode())
    for portrait in portraits:
        digest.update(f"{portrait.dataset}|{portrait.path}\n".encode())
    return digest.hexdigest()[:16]


def _write(
    portraits: Sequence[Portrait],
    pictures: PictureStore,
    folder: Path,
    size: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    kept: list[int] = []
    dropped: list[str] = []
    with (folder / "crops.bin").open("wb") as file:
        for place, portrait in enumerate(portraits):
            try:
                crop = pictures.image(portrait.path)
            except (ImageError, DataIndexError):
                crop = np.empty((0, 0, 3), np.uint8)
            if crop.shape == (size, size, 3):
                kept.append(place)
                file.write(crop.tobytes())
            else:
                dropped.append(portrait.path)
            if progress is not None:
                progress(place + 1, len(portraits))
    (folder / "portraits.json").write_text(json.dumps({"kept": kept, "dropped": dropped}))
