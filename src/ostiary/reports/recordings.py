"""The frames of a score file, put together to the recordings that they were taken from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ostiary.data.index import Label, Sample
from ostiary.errors import ScoreFileError
from ostiary.reports.scores import Scores


@dataclass(frozen=True, slots=True)
class Recording:
    """The frames of one recording in order: liveness in [0, 1], or None where a frame got no answer."""

    dataset: str
    capture: str
    label: Label
    species: str
    subject: str
    frames: tuple[float | None, ...]

    @property
    def answered(self) -> int:
        """How many frames got an answer."""
        return sum(frame is not None for frame in self.frames)


@dataclass(frozen=True, slots=True)
class Fold:
    """Recordings to fit on, and recordings of other people to judge."""

    fit: tuple[Recording, ...]
    judged: tuple[Recording, ...]


def recordings(scores: Scores, split: str | None = None) -> tuple[Recording, ...]:
    """The recordings of a split (None: of all rows), each with its frames in the natural order of their paths.

    A row without a capture is a recording of one frame.

    Raises:
        ScoreFileError: a recording has frames of two labels, species, people or splits, or there is none at all.

    """
    groups: dict[tuple[str, ...], list[tuple[Sample, float | None]]] = {}
    for place, (sample, value) in enumerate(zip(scores.samples, scores.liveness, strict=True)):
        name = (sample.dataset, sample.capture) if sample.capture else (sample.dataset, "", str(place))
        groups.setdefault(name, []).append((sample, None if scores.reasons[place] else float(value)))
    found = tuple(_recording(rows) for rows in groups.values() if split is None or rows[0][0].split == split)
    if not found:
        raise ScoreFileError(f"There is no row of split {split!r} among the scores; score the rows of that split.")
    return found


def halves(found: Sequence[Recording], seed: int = 0) -> tuple[Fold, Fold]:
    """Two folds: half of the people of each data set are judged by what was fitted on the other half, and back.

    Raises:
        ScoreFileError: the subject of a recording is unknown, so that a person might be in both halves.

    """
    if any(recording.subject == "" for recording in found):
        raise ScoreFileError("Halves of people need the subject of every row; fill in the column.")
    generator = np.random.default_rng(seed)
    first: set[tuple[str, str]] = set()
    for dataset in sorted({recording.dataset for recording in found}):
        people = sorted({recording.subject for recording in found if recording.dataset == dataset})
        chosen = generator.permutation(len(people))[: len(people) // 2]
        first |= {(dataset, people[place]) for place in chosen}
    one = tuple(recording for recording in found if (recording.dataset, recording.subject) in first)
    other = tuple(recording for recording in found if (recording.dataset, recording.subject) not in first)
    return Fold(one, other), Fold(other, one)


def _recording(rows: Sequence[tuple[Sample, float | None]]) -> Recording:
    sample = rows[0][0]
    if len({(s.label, s.species, s.subject, s.split) for s, _ in rows}) > 1:
        raise ScoreFileError(
            f"The recording {sample.capture!r} of data set {sample.dataset!r} has frames of several labels, "
            "species, people or splits; give each recording a capture of its own."
        )
    ordered = sorted(rows, key=lambda row: _natural(row[0].path))
    frames = tuple(value for _, value in ordered)
    return Recording(sample.dataset, sample.capture, sample.label, sample.species, sample.subject, frames)


def _natural(path: str) -> list[tuple[bool, int, str]]:
    """Sorts frame_9 before frame_10: names of frames count, and rarely with as many zeros as it takes."""
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", path)]
