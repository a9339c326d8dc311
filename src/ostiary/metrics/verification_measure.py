"""From comparisons to a rate with its interval: statistics over single comparisons, drawn over people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ostiary.metrics import curve as curves
from ostiary.metrics.bootstrap import (
    FEW_PEOPLE,
    Statistic,
    divide,
    interval_of_draws,
    interval_over_units,
    resample,
)
from ostiary.metrics.operating_point import error_statistic
from ostiary.metrics.rates import Rate
from ostiary.metrics.verification_trials import Comparisons


@dataclass(frozen=True, slots=True)
class Measure:
    """The values of some statistics on the data as they are, and in every draw of one bootstrap."""

    comparisons: Comparisons
    point: Mapping[str, float]
    draws: Mapping[str, NDArray[np.float64]]
    level: float

    @classmethod
    def of(
        cls, comparisons: Comparisons, statistics: Sequence[Statistic], *, draws: int, seed: int, level: float
    ) -> Measure:
        """Draw once for all ``statistics``, each a function of weights (draws, N) of the comparisons."""
        if not statistics or not len(comparisons):
            return cls(comparisons, {}, {}, level)
        statistic, units = comparisons.resampled(statistics), comparisons.units
        point = {name: float(values[0]) for name, values in statistic(np.ones((1, units))).items()}
        found = resample(statistic, units, width=len(comparisons), draws=draws, seed=seed)
        return cls(comparisons, point, found, level)

    def counted(self, name: str, members: NDArray[np.bool_], errors: int | None = None) -> Rate | None:
        """A count over the comparisons of ``members`` (N,); None where it was not measured."""
        if name not in self.point or not members.any():
            return None
        wrong = round(self.point[name] * int(members.sum())) if errors is None else errors
        return self._rate(name, [members], wrong)

    def derived(self, name: str) -> Rate | None:
        """A quantity made of both classes, carried by the one with fewer comparisons, or fewer people."""
        return (
            self._rate(name, [self.comparisons.same, ~self.comparisons.same], None) if name in self.point else None
        )

    def _rate(self, name: str, classes: Sequence[NDArray[np.bool_]], errors: int | None) -> Rate:
        of, value = self.comparisons, self.point[name]
        trials = min(int(members.sum()) for members in classes)
        people = None if of.people is None else min(of.people_in(members) or 0 for members in classes)
        units = trials if people is None else people
        interval = interval_of_draws(value, self.draws[name], units, over=of.over, level=self.level)
        careful = None
        if people is not None and people < FEW_PEOPLE:
            careful = interval_over_units(value, people, over="people", level=self.level)
        return Rate(value, errors, trials, people, interval, careful)


def curve_statistic(comparisons: Comparisons, targets: Mapping[str, float]) -> Statistic:
    """``auc``, ``eer`` and, for each named FMR, ``fnmr_at_fmr:<name>``; both classes must be there."""
    curve = curves.curve_statistic(comparisons.as_trials(), np.arange(len(comparisons)), tuple(targets.values()))

    def statistic(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        found = curve(weights)
        readings = {f"fnmr_at_fmr:{name}": found[f"bpcer_at_apcer:{rate:g}"] for name, rate in targets.items()}
        return {"auc": found["auc"], "eer": found["eer"], **readings}

    return statistic


def threshold_statistic(comparisons: Comparisons, name: str, threshold: float) -> Statistic:
    """``fmr:<name>`` and ``fnmr:<name>`` at a threshold; NaN where a class is missing."""
    errors = error_statistic(comparisons.as_trials(), threshold, np.arange(len(comparisons)))

    def statistic(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        found = errors(weights)
        return {f"fmr:{name}": found["apcer_pooled"], f"fnmr:{name}": found["bpcer"]}

    return statistic


def share_statistic(name: str, members: NDArray[np.bool_]) -> Statistic:
    """The share of the comparisons' weight that ``members`` (N,) have."""

    def statistic(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {name: divide(weights @ members, weights.sum(axis=1))}

    return statistic
