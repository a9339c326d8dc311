"""Which rows a cell learns from, and which judge it: the difference between flattery and truth.

Everything about a cell is chosen on the people it learns from (``train``) and on the development people of
the same data sets; the judged rows are touched once, at the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ostiary.data.index import Index, Sample
from ostiary.errors import ConfigurationError, DataIndexError
from ostiary.study.arms import Cell
from ostiary.study.plan import LivenessArm, Study


@dataclass(frozen=True, slots=True)
class Rows:
    """``learnt`` holds the splits train and development; ``judged`` shares no row with it."""

    learnt: Index
    judged: Index


def rows_of(study: Study, cell: Cell, index: Index) -> Rows:
    """The rows of a cell.

    - in_domain: learn from all data sets, judge other people of the same ones.
    - leave_out: judge whole data sets that gave nothing to training, thresholds or statistics.
    - unseen_species: learn without the attacks whose species begin so, judge on them beside bona fide people.
      A data set that has no other attacks is left out altogether: its look alone would mean "bona fide".

    Raises:
        ConfigurationError: the plan names data sets or species that the index has not.
        DataIndexError: no rows are left to judge, or to learn from.

    """
    arm = study.arms[cell.arm]
    usual = [sample for sample in index if sample.dataset not in study.extra]
    _check(study, cell, usual)
    learnt, judged = _SELECT[study.protocol](usual, cell.held_out)
    learnt = [sample for sample in learnt if sample.split in ("train", "development")]
    judged = [sample for sample in judged if sample.split in study.judged_on]
    overlap = {(s.dataset, s.path) for s in learnt} & {(s.dataset, s.path) for s in judged}
    if overlap:
        raise ConfigurationError(
            f"The study {study.name!r} would judge on {len(overlap)} rows that it learns from; "
            "judge on the split test, or hold the data sets out."
        )
    if not judged or not learnt:
        raise DataIndexError(f"The cell {cell.name!r} has no rows to {'learn from' if judged else 'judge on'}.")
    return Rows(Index([*learnt, *_extra(arm, index)]), Index(judged))


_Pair = tuple[list[Sample], list[Sample]]


def _in_domain(samples: Iterable[Sample], held_out: tuple[str, ...]) -> _Pair:
    rows = list(samples)
    return rows, rows


def _leave_out(samples: Iterable[Sample], held_out: tuple[str, ...]) -> _Pair:
    rows = list(samples)
    return [s for s in rows if s.dataset not in held_out], [s for s in rows if s.dataset in held_out]


def _unseen_species(samples: Iterable[Sample], held_out: tuple[str, ...]) -> _Pair:
    rows = list(samples)
    left = {s.dataset for s in rows if s.label == "attack" and not s.species.startswith(held_out)}
    rows = [s for s in rows if s.dataset in left]
    learnt = [s for s in rows if s.label == "bona_fide" or not s.species.startswith(held_out)]
    judged = [s for s in rows if s.label == "bona_fide" or s.species.startswith(held_out)]
    return learnt, judged


_SELECT = {"in_domain": _in_domain, "leave_out": _leave_out, "unseen_species": _unseen_species}


def _extra(arm: LivenessArm, index: Index) -> list[Sample]:
    """Further training rows; their development rows would shift thresholds, so they are not taken."""
    return [sample for sample in index if sample.dataset in arm.extra and sample.split == "train"]


def _check(study: Study, cell: Cell, usual: list[Sample]) -> None:
    if study.protocol == "unseen_species":
        known = {sample.species for sample in usual if sample.label == "attack"}
        absent = [name for name in cell.held_out if not any(species.startswith(name) for species in known)]
        what = "species"
    else:
        known = {sample.dataset for sample in usual}
        absent = [name for name in cell.held_out if name not in known]
        what = "data set"
    if absent:
        raise ConfigurationError(
            f"The study {study.name!r} holds out the {what} {absent[0]!r}, which the index does not have; "
            f"it has {', '.join(sorted(known))}."
        )
