"""Intervals that respect that one person gives many pictures: resample people, not pictures.

Pictures of one person stand or fall together, so 1000 pictures of 50 people are worth far fewer than 1000
independent trials. Each draw takes as many people as there are, with replacement, with all their trials
(Poh, Martin and Bengio 2007), and computes the rate anew. A draw is a row of weights: how often
each person was taken; rates over thousands of draws are then a few matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostiary.errors import ConfigurationError, RateError
from ostiary.metrics.intervals import clopper_pearson
from ostiary.metrics.rates import Interval, Method

DRAWS = 2000
FEW_PEOPLE = 20

Unit = Literal["people", "trials"]
"""What is resampled: people, or single trials where the people are unknown."""

Statistic = Callable[[NDArray[np.float64]], Mapping[str, NDArray[np.float64]]]
"""Weights (draws, units) -> named values (draws,), NaN where a draw left a class empty."""


def subject_bootstrap(
    errors: ArrayLike, trials: ArrayLike, *, draws: int = DRAWS, seed: int = 0, level: float = 0.95
) -> Interval:
    """Interval of sum(errors) / sum(trials), both counted per person, shape (people,).

    Where every draw gives the same rate (no error at all, or one person only) the bootstrap has nothing
    to say; then it is Clopper-Pearson with n = people.

    Raises:
        RateError: nobody has a trial.

    """
    wrong, tried = np.asarray(errors, np.float64), np.asarray(trials, np.float64)
    if tried.sum() <= 0:
        raise RateError("A rate over no trials at all has no interval; leave it out.")

    def rate(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {"rate": divide(weights @ wrong, weights @ tried)}

    values = resample(rate, len(tried), width=len(tried), draws=draws, seed=seed)["rate"]
    people = int((tried > 0).sum())
    return interval_of_draws(float(wrong.sum() / tried.sum()), values, people, over="people", level=level)


@dataclass(frozen=True, slots=True)
class Difference:
    """``value`` = second minus first; the two differ beyond chance where the interval excludes 0."""

    value: float
    low: float
    high: float
    level: float
    people: int


def paired_difference(
    first: Statistic,
    second: Statistic,
    people: int,
    *,
    width: int,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Difference]:
    """Differences of two settings measured on the same people, by name of the rate.

    Both statistics see the same draws, so what makes a person hard for both cancels out.
    Rates that either lacks are left out.
    """

    def difference(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        before, after = first(weights), second(weights)
        return {name: after[name] - before[name] for name in before if name in after}

    point = difference(np.ones((1, people)))
    values = resample(difference, people, width=width, draws=draws, seed=seed)
    found = {}
    for name, value in point.items():
        seen = values[name][np.isfinite(values[name])]
        if np.isfinite(value[0]) and len(seen):
            low, high = np.quantile(seen, [(1 - level) / 2, (1 + level) / 2])
            found[name] = Difference(float(value[0]), float(low), float(high), level, people)
    return found


def resample(
    statistic: Statistic, units: int, *, width: int, draws: int = DRAWS, seed: int = 0
) -> dict[str, NDArray[np.float64]]:
    """``statistic`` on ``draws`` resamplings of ``units`` people, a few draws at a time.

    ``width`` is the longest row that the statistic makes of one draw; it bounds the memory. The seed
    alone decides the draws, however they are divided.

    Raises:
        ConfigurationError: fewer than 2000 draws, too few for a 95 % percentile.

    """
    if draws < DRAWS:
        raise ConfigurationError(f"{draws} bootstrap draws are too few; take at least {DRAWS}.")
    generator = np.random.default_rng(seed)
    step = max(1, min(draws, _CELLS // max(width, units)))
    parts: list[Mapping[str, NDArray[np.float64]]] = []
    for start in range(0, draws, step):
        parts.append(statistic(_draw(generator, min(step, draws - start), units)))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def interval_of_draws(
    value: float, values: NDArray[np.float64], units: int, *, over: Unit, level: float = 0.95
) -> Interval:
    """Percentile interval of the draws, or Clopper-Pearson over the units where all draws agree."""
    seen = values[np.isfinite(values)]
    if len(seen):
        low, high = np.quantile(seen, [(1 - level) / 2, (1 + level) / 2])
        if low < high:
            return Interval(float(low), float(high), _BOOTSTRAP[over], level)
    return interval_over_units(value, units, over=over, level=level)


def interval_over_units(value: float, units: int, *, over: Unit, level: float = 0.95) -> Interval:
    """Clopper-Pearson in which each person (or trial) counts as one trial."""
    errors = min(max(value, 0.0), 1.0) * units
    return clopper_pearson(errors, units, level=level, method=_EXACT[over])


def divide(over: NDArray[np.float64], under: NDArray[np.float64]) -> NDArray[np.float64]:
    """``over / under``, NaN where nothing was counted."""
    shares = np.full(np.broadcast(over, under).shape, np.nan)
    np.divide(over, under, out=shares, where=under > 0)
    return shares


def _draw(generator: np.random.Generator, draws: int, units: int) -> NDArray[np.float64]:
    """How often each unit is taken in each draw, (draws, units)."""
    taken = generator.integers(units, size=(draws, units)) + units * np.arange(draws)[:, None]
    return np.bincount(taken.ravel(), minlength=draws * units).reshape(draws, units).astype(np.float64)


_CELLS = 2_000_000
_BOOTSTRAP: dict[Unit, Method] = {"people": "bootstrap over people", "trials": "bootstrap over trials"}
_EXACT: dict[Unit, Method] = {
    "people": "Clopper-Pearson over people",
    "trials": "Clopper-Pearson over trials",
}
