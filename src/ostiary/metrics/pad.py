"""Presentation attack detection rates with the names of ISO/IEC 30107-3, each with its interval.

A presentation is accepted if ``liveness >= threshold``. Rates are over the presentations that got an
answer; those without one are counted apart, as APNRR and BPNRR, and never dropped silently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import RateError
from ostiary.metrics import curve as curves
from ostiary.metrics.bootstrap import (
    DRAWS,
    FEW_PEOPLE,
    Statistic,
    Unit,
    interval_of_draws,
    interval_over_units,
    resample,
    subject_bootstrap,
)
from ostiary.metrics.intervals import clopper_pearson, supports
from ostiary.metrics.operating_point import count_by_unit, error_statistic
from ostiary.metrics.rates import Rate
from ostiary.metrics.trials import Trials

TARGETS = (0.01, 0.05, 0.10)


@dataclass(frozen=True, slots=True)
class DetReading:
    """BPCER at the smallest threshold whose worst species' APCER is <= ``target`` on these same data.

    ``remark`` says why the number of attacks does not carry the target (``supported`` is false), or
    only barely does.
    """

    target: float
    bpcer: Rate
    threshold: float
    supported: bool
    remark: str | None


@dataclass(frozen=True, slots=True)
class PadRates:
    """All rates of one system on one data set; None where a class is missing or no threshold was given.

    ``n_bona_fide`` and ``n_attack`` count the presentations with an answer.
    """

    n_bona_fide: int
    n_attack: int
    n_species: dict[str, int]
    people: int | None
    threshold: float | None
    apcer: dict[str, Rate]
    apcer_max: Rate | None
    worst_species: str | None
    apcer_pooled: Rate | None
    bpcer: Rate | None
    acer_pooled: Rate | None
    accuracy: Rate | None
    auc: Rate | None
    eer: Rate | None
    eer_threshold: float | None
    bpcer_at_apcer: dict[float, DetReading]
    apnrr: dict[str, Rate]
    bpnrr: Rate | None


def pad_rates(
    trials: Trials,
    threshold: float | None,
    *,
    targets: tuple[float, ...] = TARGETS,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> PadRates:
    """Every rate of the trials.

    Intervals resample people where all subjects are known; else rates that are a count over a count get
    Clopper-Pearson, the others a bootstrap over trials. docs/metrics.md has the rules.

    Args:
        trials: presentations with their answers.
        threshold: where to accept; None gives only the readings that need no operating point.
        targets: the APCERs at which BPCER is read.
        draws: bootstrap draws.
        seed: of the bootstrap; the same seed gives the same intervals.
        level: coverage of the intervals.

    """
    given = trials.select(trials.answered)
    measure = _Measure.of(given, threshold, targets, draws, seed, level)
    units = _units(given)
    at = _point(error_statistic(given, threshold, units), units) if threshold is not None and len(given) else {}
    species = given.attack_species
    apcer = {name: measure.counted(f"apcer:{name}", at, given.of(name)) for name in species if at}
    worst = _worst(apcer)
    both = bool(given.bona_fide.any() and species)
    eer, eer_threshold = curves.equal_error(given) if both else (0.0, None)
    return PadRates(
        n_bona_fide=int(given.bona_fide.sum()),
        n_attack=int((~given.bona_fide).sum()),
        n_species={name: int(given.of(name).sum()) for name in species},
        people=trials.people,
        threshold=threshold,
        apcer=apcer,
        apcer_max=measure.counted("apcer_max", at, given.of(worst)) if worst else None,
        worst_species=worst,
        apcer_pooled=measure.counted("apcer_pooled", at, ~given.bona_fide) if worst else None,
        bpcer=measure.counted("bpcer", at, given.bona_fide) if at and given.bona_fide.any() else None,
        acer_pooled=measure.derived("acer_pooled", at["acer_pooled"]) if at and both else None,
        accuracy=measure.counted("accuracy", at, np.ones(len(given), bool)) if at and len(given) else None,
        auc=measure.derived("auc", curves.auc(given)) if both else None,
        eer=measure.derived("eer", eer) if both else None,
        eer_threshold=eer_threshold,
        bpcer_at_apcer={target: _reading(given, target, measure) for target in targets if both},
        apnrr={name: _non_response(trials, trials.of(name), seed, level) for name in trials.attack_species},
        bpnrr=_non_response(trials, trials.bona_fide, seed, level) if trials.bona_fide.any() else None,
    )


@dataclass(frozen=True, slots=True)
class _Measure:
    """Turns values into rates with intervals, from one set of bootstrap draws."""

    trials: Trials
    draws: Mapping[str, NDArray[np.float64]]
    level: float

    @classmethod
    def of(
        cls,
        trials: Trials,
        threshold: float | None,
        targets: tuple[float, ...],
        draws: int,
        seed: int,
        level: float,
    ) -> _Measure:
        units = _units(trials)
        parts: list[Statistic] = []
        if threshold is not None and len(trials):
            parts.append(error_statistic(trials, threshold, units))
        if trials.bona_fide.any() and not trials.bona_fide.all():
            parts.append(curves.curve_statistic(trials, units, targets))
        if not parts:
            return cls(trials, {}, level)

        def statistic(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
            return {name: values for part in parts for name, values in part(weights).items()}

        found = resample(statistic, int(units.max()) + 1, width=len(trials), draws=draws, seed=seed)
        return cls(trials, found, level)

    def counted(self, name: str, values: Mapping[str, float], members: NDArray[np.bool_]) -> Rate:
        """A rate over the presentations of ``members``, which is a count over a count."""
        value, trials = values[name], int(members.sum())
        share = 1 - value if name == "accuracy" else value
        errors = round(share * trials)
        if self.trials.person is None:
            interval = clopper_pearson(round(value * trials), trials, level=self.level)
            return Rate(value, errors, trials, None, interval)
        return self._over_people(name, value, errors, trials, self._people(members))

    def derived(self, name: str, value: float) -> Rate:
        """A quantity made of both classes; what carries it is the smaller class."""
        genuine = self.trials.bona_fide
        trials = int(min(genuine.sum(), (~genuine).sum()))
        if self.trials.person is None:
            interval = interval_of_draws(value, self.draws[name], trials, over="trials", level=self.level)
            return Rate(value, None, trials, None, interval)
        people = min(self._people(genuine), self._people(~genuine))
        return self._over_people(name, value, None, trials, people)

    def _over_people(self, name: str, value: float, errors: int | None, trials: int, people: int) -> Rate:
        over: Unit = "people"
        interval = interval_of_draws(value, self.draws[name], people, over=over, level=self.level)
        careful = interval_over_units(value, people, over=over, level=self.level)
        return Rate(value, errors, trials, people, interval, careful if people < FEW_PEOPLE else None)

    def _people(self, members: NDArray[np.bool_]) -> int:
        assert self.trials.person is not None
        return len(np.unique(self.trials.person[members]))


def _units(trials: Trials) -> NDArray[np.intp]:
    """What is resampled: the people, or the single trials where these are unknown."""
    return np.arange(len(trials)) if trials.person is None else trials.person


def _point(statistic: Statistic, units: NDArray[np.intp]) -> dict[str, float]:
    """The statistic on the data as they are: everybody taken once."""
    found = statistic(np.ones((1, int(units.max()) + 1)))
    return {name: float(values[0]) for name, values in found.items()}


def _worst(apcer: Mapping[str, Rate]) -> str | None:
    """The species with the highest APCER; among equals the one with the fewest people, then trials."""
    if not apcer:
        return None
    return max(apcer, key=lambda name: (apcer[name].value, -(apcer[name].people or 0), -apcer[name].trials))


def _reading(trials: Trials, target: float, measure: _Measure) -> DetReading:
    value, threshold = curves.bpcer_at_apcer(trials, target)
    smallest = min(int(trials.of(name).sum()) for name in trials.attack_species)
    supported, remark = True, None
    try:
        remark = supports(target, smallest, "attacks of the rarest species")
    except RateError as refusal:
        supported, remark = False, str(refusal)
    rate = measure.derived(f"bpcer_at_apcer:{target:g}", value)
    return DetReading(target, rate, threshold, supported, remark)


def _non_response(trials: Trials, members: NDArray[np.bool_], seed: int, level: float) -> Rate:
    silent = members & ~trials.answered
    errors, count = int(silent.sum()), int(members.sum())
    if trials.person is None:
        return Rate(errors / count, errors, count, None, clopper_pearson(errors, count, level=level))
    of_person = count_by_unit([silent, members], trials.person, trials.people or 0)
    people = int((of_person[:, 1] > 0).sum())
    careful = interval_over_units(errors / count, people, over="people", level=level)
    if errors in (0, count):  # every draw would agree
        return Rate(errors / count, errors, count, people, careful)
    interval = subject_bootstrap(of_person[:, 0], of_person[:, 1], seed=seed, level=level)
    return Rate(errors / count, errors, count, people, interval, careful if people < FEW_PEOPLE else None)
