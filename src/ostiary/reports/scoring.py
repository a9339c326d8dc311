"""From pictures to scores: every configuration of a model over one index, a batch of crops at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ostiary.data.index import Index, Sample
from ostiary.data.pictures import PictureStore
from ostiary.errors import DataIndexError, ImageError, InputError
from ostiary.faces.crops import loose_crop
from ostiary.faces.detector import Box, Face, FaceDetector
from ostiary.faces.preprocess import Preprocess
from ostiary.faces.quality import QualityLimits, causes, measure, picture_causes
from ostiary.reports.scores import Scores, ScoreTable

NO_FACE = "no_face"
UNREADABLE = "unreadable"

SAME_FACE = 0.3
"""Intersection over union from which a detected face is that of the index: the detector's own measure."""

Progress = Callable[[int, int], None]
"""Called with (pictures done, pictures in all)."""


class HasPreprocess(Protocol):
    """The part of a model's record that scoring needs."""

    @property
    def preprocess(self) -> Preprocess:
        """How crops are made for this model."""


class ScoredModel(Protocol):
    """What ``score`` asks of a model; ``ostiary.runtime.liveness.LivenessModel`` has it."""

    @property
    def metadata(self) -> HasPreprocess:
        """The model's record."""

    def liveness(
        self, crops: NDArray[np.uint8], word: str | None = None, *, switched: bool = False
    ) -> NDArray[np.float32]:
        """Crops (N, size, size, 3) -> liveness (N,) under a configuration word."""


class Detects(Protocol):
    """What finds a face where the index has no box, and landmarks for the quality gate."""

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """The faces of an RGB picture (H, W, 3), largest first."""


def score(
    index: Index,
    pictures: PictureStore,
    model: ScoredModel,
    words: Sequence[str],
    detector: Detects | None = None,
    *,
    quality: QualityLimits | None = None,
    batch: int = 64,
    progress: Progress | None = None,
) -> ScoreTable:
    """Score every sample of ``index`` under each of ``words``, all on the same crop.

    A sample without a box gets that of the largest face that ``detector`` finds (the packaged detector by
    default). No face and unreadable pictures are non-responses with a reason, not errors; with ``quality``,
    so are faces that a limit excludes, their reason being the first cause (``faces/quality.py``). Never more
    than ``batch`` crops are held.

    Raises:
        DataIndexError: the index is empty, or names pictures that are not there.

    """
    _check_pictures(index, pictures)
    liveness = {word: np.full(len(index), np.nan) for word in words}
    reasons = [""] * len(index)
    finder = detector if detector is not None else FaceDetector()
    preprocess = model.metadata.preprocess
    places: list[int] = []
    crops: list[NDArray[np.uint8]] = []
    for place, crop in _crops(index, pictures, finder, preprocess, quality):
        if isinstance(crop, str):
            reasons[place] = crop
        else:
            places.append(place)
            crops.append(crop)
        if crops and (len(crops) == batch or place == len(index) - 1):
            _score_batch(model, np.stack(crops), places, liveness)
            places.clear()
            crops.clear()
        if progress:
            progress(place + 1, len(index))
    return ScoreTable({word: Scores(tuple(index), liveness[word], tuple(reasons)) for word in words})


def find_face(image: NDArray[np.uint8], box: Box | None, detector: Detects) -> Face | None:
    """The face that a sample means: what the detector finds there, as it does at a door.

    With a box it is the face that overlaps it most, by at least ``SAME_FACE``; without, it is the largest.
    """
    faces = detector.detect(image)
    if box is not None:
        faces = [face for face in faces if _overlap(face.box, box) >= SAME_FACE]
        faces.sort(key=lambda face: -_overlap(face.box, box))
    return faces[0] if faces else None


def hindrances(
    image: NDArray[np.uint8], box: Box | None, face: Face | None, limits: QualityLimits
) -> Sequence[str]:
    """Why the face of a sample cannot be judged, as in ``Liveness.check``; empty if it can.

    ``face`` is what ``find_face`` gave. Where it found nothing at the sample's box, that box is measured by
    all that needs no landmarks.
    """
    if face is not None:
        return causes(measure(image, face.box, face.landmarks), limits)
    if box is not None:
        return causes(measure(image, box), limits)
    return picture_causes(image, limits) or (NO_FACE,)


def _check_pictures(index: Index, pictures: PictureStore) -> None:
    if not len(index):
        raise DataIndexError("There is nothing to evaluate: the index has no rows, or the split is empty.")
    missing = [sample.path for sample in index if sample.path not in pictures]
    if missing:
        raise DataIndexError(
            f"{len(missing)} of the {len(index)} pictures of the index are not in {pictures}, the first is "
            f"{missing[0]!r}; check that the index and the pictures belong together."
        )


def _crops(
    index: Index,
    pictures: PictureStore,
    detector: Detects,
    preprocess: Preprocess,
    quality: QualityLimits | None,
) -> Iterator[tuple[int, NDArray[np.uint8] | str]]:
    """(place, crop) of each sample, or (place, reason) where there is no crop."""
    for place, sample in enumerate(index):
        try:
            image = pictures.image(sample.path)
            # The gate measures what the detector finds; the crop keeps the box of the index, as without it.
            face = find_face(image, sample.box, detector) if quality or not sample.box else None
            found = hindrances(image, sample.box, face, quality) if quality else ()
            box = sample.box or (face and face.box)
            reason = next(iter(found), "" if box else NO_FACE)
            yield place, loose_crop(image, box, preprocess) if box and not reason else reason
        except ImageError:
            yield place, UNREADABLE
        except InputError as error:
            raise _wrong_box(sample, error) from None


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    along = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    common = max(across, 0.0) * max(along, 0.0)
    return common / (one.width * one.height + other.width * other.height - common)


def _wrong_box(sample: Sample, error: InputError) -> InputError:
    if isinstance(error, DataIndexError):
        return error
    return DataIndexError(f"The box of {sample.path!r} cannot be used: {error}")


def _score_batch(
    model: ScoredModel,
    crops: NDArray[np.uint8],
    places: Sequence[int],
    liveness: dict[str, NDArray[np.float64]],
) -> None:
    for word, values in liveness.items():
        # The switchable session serves all words; a specialised one for each would be made anew every batch.
        values[places] = model.liveness(crops, word, switched=True)
