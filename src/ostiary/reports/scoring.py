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
from ostiary.reports.scores import Scores, ScoreTable

NO_FACE = "no_face"
UNREADABLE = "unreadable"

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
    """What finds a face where the index has no box."""

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """The faces of an RGB picture (H, W, 3), largest first."""


def score(
    index: Index,
    pictures: PictureStore,
    model: ScoredModel,
    words: Sequence[str],
    detector: Detects | None = None,
    *,
    batch: int = 64,
    progress: Progress | None = None,
) -> ScoreTable:
    """Score every sample of ``index`` under each of ``words``, all on the same crop.

    A sample without a box gets that of the largest face that ``detector`` finds (the packaged detector by
    default). No face and unreadable pictures are non-responses with a reason, not errors. Never more than
    ``batch`` crops are held.

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
    for place, crop in _crops(index, pictures, finder, preprocess):
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
    index: Index, pictures: PictureStore, detector: Detects, preprocess: Preprocess
) -> Iterator[tuple[int, NDArray[np.uint8] | str]]:
    """(place, crop) of each sample, or (place, reason) where there is no crop."""
    for place, sample in enumerate(index):
        try:
            image = pictures.image(sample.path)
            box = sample.box or _largest_face(image, detector)
            yield place, NO_FACE if box is None else loose_crop(image, box, preprocess)
        except ImageError:
            yield place, UNREADABLE
        except InputError as error:
            raise _wrong_box(sample, error) from None


def _largest_face(image: NDArray[np.uint8], detector: Detects) -> Box | None:
    faces = detector.detect(image)
    return faces[0].box if faces else None


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
