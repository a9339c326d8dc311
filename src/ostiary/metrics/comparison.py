"""Several runs (seeds) on the same presentations: their mean, and one group of runs against another.

One training says little: another seed moves the rates by as much as many an idea does. The mean over seeds
is what is compared, and what makes a person hard for all of them cancels out, since every run and both
groups see the same draws of people.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import RateError
from ostiary.metrics import curve as curves
from ostiary.metrics.bootstrap import DRAWS, Difference, Statistic, paired_difference
from ostiary.metrics.operating_point import error_statistic
from ostiary.metrics.pad import TARGETS
from ostiary.metrics.trials import Trials


class Run(NamedTuple):
    """What one trained network answered, and the threshold that it decides by."""

    trials: Trials
    threshold: float


def averages(
    runs: Sequence[Run],
    *,
    targets: tuple[float, ...] = TARGETS,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Difference]:
    """Mean over the runs of each rate, with its interval over people (as a difference from nothing).

    Keys as in ``PadRates``; a species' APCER is ``apcer:<species>``, a reading ``bpcer_at_apcer:<target>``.

    Raises:
        RateError: the runs do not hold the same presentations in the same order, or people are unknown.

    """
    people = _people(runs)
    mean = _mean(runs, targets)

    def nothing(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {name: np.zeros(len(weights)) for name in mean(weights)}

    width = len(runs[0].trials)
    return paired_difference(nothing, mean, people, width=width, draws=draws, seed=seed, level=level)


def compare(
    first: Sequence[Run],
    second: Sequence[Run],
    *,
    targets: tuple[float, ...] = TARGETS,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Difference]:
    """Two groups of runs on the same presentations: mean of the second minus mean of the first, paired.

    Keys as in `averages`.

    Raises:
        RateError: they do not hold the same presentations in the same order, or people are unknown.

    """
    people = _people([*first, *second])
    width = len(first[0].trials)
    statistics = _mean(first, targets), _mean(second, targets)
    return paired_difference(*statistics, people, width=width, draws=draws, seed=seed, level=level)


def _people(runs: Sequence[Run]) -> int:
    reference = runs[0].trials
    for trials, _ in runs:
        same = len(trials) == len(reference) and np.array_equal(trials.species, reference.species)
        if not same or not np.array_equal(trials.bona_fide, reference.bona_fide):
            raise RateError("The runs were not measured on the same presentations; score all on one index.")
        known = trials.person is not None and reference.person is not None
        if not known or not np.array_equal(trials.person, reference.person):  # type: ignore[arg-type]
            raise RateError("A paired comparison needs the subject of every presentation; fill in the column.")
    return reference.people or 0


def _mean(runs: Sequence[Run], targets: tuple[float, ...]) -> Statistic:
    parts: list[Statistic] = []
    for trials, threshold in runs:
        assert trials.person is not None, "checked by _people"
        parts.append(error_statistic(trials, threshold, trials.person))
        parts.append(curves.curve_statistic(trials, trials.person, targets))

    def statistic(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        found: dict[str, list[NDArray[np.float64]]] = {}
        for part in parts:
            for name, values in part(weights).items():
                found.setdefault(name, []).append(values)
        return {name: np.mean(values, axis=0) for name, values in found.items()}

    return statistic
