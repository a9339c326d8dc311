"""What verification rates are computed from: how alike two faces are, and whether they are one person.

A comparison of two pictures of one person is mated, that of two people non-mated (ISO/IEC 19795-1). They are not
independent: one person stands in many of them. A bootstrap therefore draws people, and a comparison counts as
often as its people were drawn: a mated one of person i by w_i, a non-mated one of i and j by w_i * w_j, because
it is there only if both are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostiary.errors import ScoreFileError
from ostiary.metrics.bootstrap import Statistic, Unit
from ostiary.metrics.trials import Trials


@dataclass(frozen=True, slots=True)
class Comparisons:
    """N comparisons of two faces; arrays have N rows.

    ``similarity`` is in [0, 1], higher is more the same person, and they match if it is >= a threshold. ``same``
    is true for mated comparisons. ``fold`` is the part of the protocol that a comparison belongs to, or None
    where the data name none. ``people`` (N, 2) numbers the two people 0..people-1, or is None where any of them
    is unknown. ``group`` is "" where the data name none.
    """

    similarity: NDArray[np.float64]
    same: NDArray[np.bool_]
    fold: NDArray[np.intp] | None
    people: NDArray[np.intp] | None
    group: NDArray[np.str_]

    @classmethod
    def from_columns(
        cls,
        similarity: ArrayLike,
        same: ArrayLike,
        fold: Sequence[int | None] | None = None,
        subjects: Sequence[tuple[str, str]] | None = None,
        group: Sequence[str] | None = None,
    ) -> Comparisons:
        """Build from columns of equal length.

        A fold of None, or a subject of "", is unknown; one unknown fold or subject makes all of them unknown,
        since the protocol needs every fold, and intervals over people every person.

        Raises:
            ScoreFileError: a similarity is NaN, infinite or outside [0, 1], the lengths differ, or subjects
                contradict ``same``.

        """
        values, mated = np.asarray(similarity, np.float64), np.asarray(same, bool)
        columns = [values, mated, *(column for column in (fold, subjects, group) if column is not None)]
        if {len(column) for column in columns} != {len(values)}:
            raise ScoreFileError("The columns of the comparisons differ in length; give one value a comparison.")
        wrong = values[~(np.isfinite(values) & (values >= 0) & (values <= 1))]
        if len(wrong):
            raise ScoreFileError(
                f"The similarity {wrong[0]} is not a number in [0, 1]; rescale the scores so that higher means "
                "more the same person."
            )
        names = np.array(list(group) if group is not None else [""] * len(values), np.str_)
        return cls(values, mated, _folds(fold), _people(subjects, mated), names)

    def __len__(self) -> int:
        return len(self.similarity)

    def select(self, mask: NDArray[np.bool_]) -> Comparisons:
        """The comparisons where ``mask`` (N,) is true; people are numbered anew."""
        people = None
        if self.people is not None:
            people = np.unique(self.people[mask], return_inverse=True)[1].reshape(-1, 2).astype(np.intp)
        fold = None if self.fold is None else self.fold[mask]
        return Comparisons(self.similarity[mask], self.same[mask], fold, people, self.group[mask])

    @property
    def both_classes(self) -> bool:
        """Whether there are mated comparisons as well as non-mated ones."""
        return bool(self.same.any() and not self.same.all())

    @property
    def groups(self) -> list[str]:
        """Names of the groups, sorted; empty where no comparison names one."""
        return sorted({str(name) for name in self.group}) if (self.group != "").any() else []

    @property
    def over(self) -> Unit:
        """What a bootstrap resamples; "trials" are the single comparisons."""
        return "trials" if self.people is None else "people"

    @property
    def units(self) -> int:
        """How many people, or comparisons where people are unknown, a bootstrap draws from."""
        if self.people is None:
            return len(self)
        return int(self.people.max()) + 1 if len(self) else 0

    def people_in(self, mask: NDArray[np.bool_]) -> int | None:
        """How many people stand in the comparisons of ``mask`` (N,); None where they are not all known."""
        return None if self.people is None else len(np.unique(self.people[mask]))

    def weights(self, drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        """How often each unit was drawn (draws, units) -> how often each comparison counts (draws, N)."""
        if self.people is None:
            return drawn
        first, second = drawn[:, self.people[:, 0]], drawn[:, self.people[:, 1]]
        return np.where(self.same, first, first * second)

    def resampled(self, statistics: Sequence[Statistic]) -> Statistic:
        """Statistics over single comparisons (draws, N) as one over the units of a bootstrap."""

        def statistic(drawn: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
            weights = self.weights(drawn)
            return {name: values for part in statistics for name, values in part(weights).items()}

        return statistic

    def as_trials(self) -> Trials:
        """The comparisons as trials of ``trials.py``: a mated one for bona fide, a non-mated one for an attack.

        Either way the one should reach a threshold and the other should not, so that the error
        curve, with its rules for ties and thresholds, is one and the same.
        """
        kinds = np.where(self.same, "", "non-mated").astype(np.str_)
        return Trials(self.similarity, np.ones(len(self), bool), self.same, kinds, None)


def _folds(fold: Sequence[int | None] | None) -> NDArray[np.intp] | None:
    known = [number for number in fold or () if number is not None]
    return np.array(known, np.intp) if fold is not None and len(known) == len(fold) else None


def _people(subjects: Sequence[tuple[str, str]] | None, same: NDArray[np.bool_]) -> NDArray[np.intp] | None:
    if subjects is None or any("" in pair for pair in subjects):
        return None
    names = np.array(list(subjects), np.str_).reshape(-1, 2)
    wrong = np.flatnonzero((names[:, 0] == names[:, 1]) != same)
    if len(wrong):
        said = "the same person" if same[wrong[0]] else "two people"
        raise ScoreFileError(
            f"Comparison {wrong[0] + 1} is said to be of {said}, but its subjects say otherwise; correct the list."
        )
    return np.unique(names, return_inverse=True)[1].reshape(-1, 2).astype(np.intp)
