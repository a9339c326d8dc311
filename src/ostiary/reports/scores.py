"""The score file: what stands between a model and its error rates.

A CSV with a header, one row a presentation and configuration::

    path,label,species,subject,split,dataset,capture,configuration,liveness,reason

``liveness`` is in [0, 1], higher = more bona fide. Where the system gave no answer it is empty and
``reason`` says why (``no_face``, ``unreadable``, ...). Only path, label and liveness are required, so that
anybody's scores can be judged by the same rules, and ours re-checked by others.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from ostiary.data.index import LABELS, SPLITS, UNSPECIFIED, Label, Sample, Split
from ostiary.errors import ScoreFileError
from ostiary.metrics.trials import Trials

_Word = TypeVar("_Word", bound=str)

COLUMNS = (
    "path",
    "label",
    "species",
    "subject",
    "split",
    "dataset",
    "capture",
    "configuration",
    "liveness",
    "reason",
)
REQUIRED = ("path", "label", "liveness")
DEFAULT_CONFIGURATION = "model"
"""Name of the configuration in a score file that has no such column."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What one configuration answered: N samples, float64 (N,) with NaN for no answer, and N reasons."""

    samples: tuple[Sample, ...]
    liveness: NDArray[np.float64]
    reasons: tuple[str, ...]

    def trials(self, dataset: str | None = None) -> Trials:
        """The trials of one data set, or of all. The same subject name in two data sets is two people."""
        kept = [
            (sample, None if reason else float(value))
            for sample, value, reason in zip(self.samples, self.liveness, self.reasons, strict=True)
            if dataset is None or sample.dataset == dataset
        ]
        return Trials.from_columns(
            [value for _, value in kept],
            [sample.label == "bona_fide" for sample, _ in kept],
            [sample.species for sample, _ in kept],
            [sample.subject and f"{sample.dataset}\t{sample.subject}" for sample, _ in kept],
        )


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """The scores of each configuration, by its word (or any other name)."""

    configurations: Mapping[str, Scores]

    @property
    def datasets(self) -> list[str]:
        """Names of the data sets, sorted."""
        return sorted({s.dataset for scores in self.configurations.values() for s in scores.samples})

    @staticmethod
    def concatenate(tables: Iterable[ScoreTable]) -> ScoreTable:
        """One table of all; a configuration that several tables have is joined."""
        parts: dict[str, list[Scores]] = {}
        for table in tables:
            for word, scores in table.configurations.items():
                parts.setdefault(word, []).append(scores)
        return ScoreTable({word: _join(scores) for word, scores in parts.items()})


def write_scores(table: ScoreTable, path: Path) -> None:
    """Write a score file. Scores keep every digit, so that a threshold decides the same after reading."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for word, scores in table.configurations.items():
            for s, value, reason in zip(scores.samples, scores.liveness, scores.reasons, strict=True):
                known = (s.path, s.label, s.species, s.subject, s.split, s.dataset, s.capture)
                writer.writerow((*known, word, "" if reason else repr(float(value)), reason))


def read_scores(path: Path) -> ScoreTable:
    """Read a score file, plain or compressed (``.csv.gz``).

    Raises:
        ScoreFileError: the file is missing, empty or not a CSV, lacks a column, has an unknown label, a
            score that is no number in [0, 1], or neither score nor reason.

    """
    try:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as stream:
            rows = list(_parse(stream, path))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ScoreFileError(f"{path}: cannot be read as a CSV in UTF-8 ({reason}); check the file.") from None
    if not rows:
        raise ScoreFileError(f"{path}: has no scores in it; give one row a presentation.")
    by_word: dict[str, list[_Row]] = {}
    for row in rows:
        by_word.setdefault(row.configuration, []).append(row)
    return ScoreTable({word: _scores(group) for word, group in by_word.items()})


@dataclass(frozen=True, slots=True)
class _Row:
    sample: Sample
    configuration: str
    liveness: float
    reason: str


def _scores(rows: list[_Row]) -> Scores:
    liveness = np.array([row.liveness for row in rows], np.float64)
    return Scores(tuple(row.sample for row in rows), liveness, tuple(row.reason for row in rows))


def _join(parts: list[Scores]) -> Scores:
    return Scores(
        tuple(sample for part in parts for sample in part.samples),
        np.concatenate([part.liveness for part in parts]),
        tuple(reason for part in parts for reason in part.reasons),
    )


def _parse(stream: IO[str], path: Path) -> Iterator[_Row]:
    rows = csv.DictReader(stream, strict=True)
    header = [name.strip() for name in rows.fieldnames or ()]
    if not header:
        raise ScoreFileError(f"{path}: the file is empty; its first line must be {','.join(COLUMNS)}.")
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise ScoreFileError(
            f"{path}: missing column{'s' * (len(missing) > 1)} {', '.join(missing)}; "
            f"the header must name {', '.join(REQUIRED)}, and may name {', '.join(COLUMNS)}."
        )
    rows.fieldnames = header
    for values in rows:
        try:
            yield _row(values)
        except ValueError as error:
            raise ScoreFileError(f"{path}, line {rows.line_num}: {error}.") from None


def _row(values: Mapping[str | None, str | list[str] | None]) -> _Row:
    if None in values or None in values.values():
        raise ValueError("not as many values as the header has columns; quote values that contain a comma")
    texts = {name: cast(str, values.get(name, "")).strip() for name in COLUMNS}
    if not texts["path"]:
        raise ValueError("the path is empty; name the picture")
    label: Label = _one_of("label", texts["label"], LABELS)
    split: Split = _one_of("split", texts["split"], SPLITS)
    species = texts["species"] or UNSPECIFIED if label == "attack" else ""
    sample = Sample(
        path=texts["path"],
        label=label,
        species=species,
        subject=texts["subject"],
        split=split,
        dataset=texts["dataset"],
        capture=texts["capture"],
    )
    liveness = _liveness(texts["liveness"], texts["reason"])
    return _Row(sample, texts["configuration"] or DEFAULT_CONFIGURATION, liveness, texts["reason"])


def _one_of(column: str, value: str, allowed: tuple[_Word, ...]) -> _Word:
    for candidate in allowed:
        if value == candidate:
            return candidate
    choice = ", ".join(word or "empty" for word in allowed)
    raise ValueError(f"the {column} is {value!r}; it must be one of {choice}")


def _liveness(text: str, reason: str) -> float:
    if not text:
        if not reason:
            raise ValueError("there is neither a liveness nor a reason for its absence; give one of them")
        return float("nan")
    if reason:
        raise ValueError(f"there is a liveness and also the reason {reason!r} for its absence; give only one")
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"the liveness is {text!r}; it must be a number in [0, 1], or empty") from None
    if not 0 <= value <= 1:  # also false for NaN
        raise ValueError(f"the liveness is {text}; it must lie in [0, 1], higher = more bona fide, or be empty")
    return value
