"""From pictures to embeddings: every picture of a list once, however many pairs name it.

A picture that gives no embedding has a reason: it is absent, cannot be read, shows no face, or is no crop where
crops were promised. Its pairs are not comparisons, and are counted with that reason, never dropped silently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ostiary.data.pictures import PictureStore
from ostiary.errors import ImageError, InputError
from ostiary.faces.crops import aligned_crop
from ostiary.faces.detector import FaceDetector
from ostiary.faces.preprocess import Preprocess
from ostiary.reports.embedders import EmbedsFaces
from ostiary.reports.scoring import NO_FACE, UNREADABLE, Detects

ABSENT = "absent"
WRONG_SIZE = "wrong_size"
BATCH = 32


@dataclass(frozen=True, slots=True)
class EmbeddedPictures:
    """Embeddings of those pictures that have one, and why the others have none.

    ``row`` gives a picture's row in ``plain``, float32 (M, D), and in ``mirrored``, the same with the mean of the
    picture and its mirror image, None if it was not asked for. ``reasons`` has the pictures without a row.
    """

    row: dict[str, int]
    plain: NDArray[np.float32]
    mirrored: NDArray[np.float32] | None
    reasons: dict[str, str]

    def __repr__(self) -> str:
        return f"EmbeddedPictures({len(self.row)} with an embedding, {len(self.reasons)} without)"


def embed_pictures(
    paths: Sequence[str],
    pictures: PictureStore,
    embedder: EmbedsFaces,
    *,
    aligned: bool = False,
    flip: bool = False,
    detector: Detects | None = None,
    batch: int = BATCH,
    progress: Callable[[int, int], None] | None = None,
) -> EmbeddedPictures:
    """Embed each of ``paths``.

    Args:
        paths: names of pictures in ``pictures``, each once.
        pictures: where they lie.
        embedder: what embeds them.
        aligned: the pictures are crops of the embedder's size already. Otherwise the largest face is found and
            moved to the template.
        flip: the means with the mirror images as well.
        detector: finds the faces; the packaged one by default.
        batch: how many crops are held at a time.
        progress: called with (pictures done, pictures in all).

    """
    finder = detector if detector is not None else FaceDetector()
    reasons: dict[str, str] = {}
    row: dict[str, int] = {}
    parts: list[NDArray[np.float32]] = []
    mirrored: list[NDArray[np.float32]] = []
    for names, crops in _batches(
        paths, _crops(paths, pictures, embedder.preprocess, aligned, finder), reasons, batch
    ):
        parts.append(embedder.embed(crops))
        if flip:
            mirrored.append(embedder.embed(crops, flip=True))
        row.update({name: len(row) + place for place, name in enumerate(names)})
        if progress:
            progress(len(row) + len(reasons), len(paths))
    if progress:
        progress(len(paths), len(paths))
    none = np.zeros((0, 1), np.float32)
    return EmbeddedPictures(
        row,
        np.concatenate(parts) if parts else none,
        (np.concatenate(mirrored) if mirrored else none) if flip else None,
        reasons,
    )


def _batches(
    paths: Sequence[str],
    crops: Iterator[NDArray[np.uint8] | str],
    reasons: dict[str, str],
    batch: int,
) -> Iterator[tuple[list[str], NDArray[np.uint8]]]:
    """(names, crops (N, size, size, 3)), N at most ``batch``; what is no crop goes to ``reasons``."""
    names: list[str] = []
    held: list[NDArray[np.uint8]] = []
    for path, crop in zip(paths, crops, strict=True):
        if isinstance(crop, str):
            reasons[path] = crop
            continue
        names.append(path)
        held.append(crop)
        if len(held) == batch:
            yield names, np.stack(held)
            names, held = [], []
    if held:
        yield names, np.stack(held)


def _crops(
    paths: Sequence[str], pictures: PictureStore, preprocess: Preprocess, aligned: bool, detector: Detects
) -> Iterator[NDArray[np.uint8] | str]:
    """The crop of each picture, or the reason why it has none."""
    for path in paths:
        if path not in pictures:
            yield ABSENT
            continue
        try:
            image = pictures.image(path)
        except ImageError:
            yield UNREADABLE
            continue
        if aligned:
            yield image if image.shape == (preprocess.size, preprocess.size, 3) else WRONG_SIZE
            continue
        faces = detector.detect(image)
        try:
            yield aligned_crop(image, faces[0].landmarks, preprocess) if faces else NO_FACE
        except InputError:  # five points on one spot are no face
            yield NO_FACE
