"""What the error rates are computed from: one answer (or none) a presentation, its class and its person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostiary.errors import ScoreFileError


@dataclass(frozen=True, slots=True)
class Trials:
    """N presentations; all arrays have shape (N,).

    ``liveness`` is in [0, 1] where ``answered``, and NaN where the system gave no answer (no face found,
    picture unreadable). ``species`` is "" for a bona fide presentation. ``person`` numbers the people
    0..people-1, or is None where the subject of any presentation is unknown.
    """

    liveness: NDArray[np.float64]
    answered: NDArray[np.bool_]
    bona_fide: NDArray[np.bool_]
    species: NDArray[np.str_]
    person: NDArray[np.intp] | None

    @classmethod
    def from_columns(
        cls,
        liveness: Sequence[float | None] | NDArray[np.floating],
        bona_fide: ArrayLike,
        species: Sequence[str] | None = None,
        subjects: Sequence[str] | None = None,
    ) -> Trials:
        """Build from columns of equal length.

        ``liveness`` holds None where there was no answer. Attacks without a species become
        "unspecified". ``subjects`` may be left out, or hold "" for an unknown person: then no person is
        used at all, since intervals over people need every one of them.

        Raises:
            ScoreFileError: a liveness is NaN, infinite or outside [0, 1], or the lengths differ.

        """
        genuine = np.asarray(bona_fide, dtype=bool)
        count = len(genuine)
        answered = np.array([value is not None for value in liveness], dtype=bool)
        scores = np.array([np.nan if value is None else value for value in liveness], dtype=np.float64)
        kinds = np.array(list(species) if species is not None else [""] * count, dtype=np.str_)
        if {len(answered), len(kinds), len(subjects) if subjects is not None else count} != {count}:
            raise ScoreFileError("The columns of the trials differ in length; give one value a presentation.")
        _check_scores(scores[answered])
        kinds = np.where(genuine, "", np.where(kinds == "", "unspecified", kinds)).astype(np.str_)
        return cls(scores, answered, genuine, kinds, _number_people(subjects))

    def __len__(self) -> int:
        return len(self.liveness)

    def select(self, mask: NDArray[np.bool_]) -> Trials:
        """The trials where ``mask`` (N,) is true; people are numbered anew."""
        person = None
        if self.person is not None:
            person = np.unique(self.person[mask], return_inverse=True)[1].astype(np.intp)
        return Trials(self.liveness[mask], self.answered[mask], self.bona_fide[mask], self.species[mask], person)

    @property
    def people(self) -> int | None:
        """How many people are behind the trials; None where they are not all known."""
        if self.person is None:
            return None
        return int(self.person.max()) + 1 if len(self.person) else 0

    @property
    def attack_species(self) -> list[str]:
        """The attack species, sorted by name."""
        return sorted({str(name) for name in self.species[~self.bona_fide]})

    def of(self, species: str) -> NDArray[np.bool_]:
        """Mask (N,) of the attacks of one species, answered or not."""
        return np.asarray(~self.bona_fide & (self.species == species), bool)


def _check_scores(scores: NDArray[np.float64]) -> None:
    wrong = scores[~(np.isfinite(scores) & (scores >= 0) & (scores <= 1))]
    if len(wrong):
        raise ScoreFileError(
            f"The liveness {wrong[0]} is not a number in [0, 1]; rescale the scores so that higher means "
            "more bona fide, and give no score at all where there was no answer."
        )


def _number_people(subjects: Sequence[str] | None) -> NDArray[np.intp] | None:
    if subjects is None or any(name == "" for name in subjects):
        return None
    return np.unique(np.asarray(list(subjects), dtype=np.str_), return_inverse=True)[1].astype(np.intp)
