"""A threshold for any error rate that a door can be asked for, and how far it would move with other people.

APCER and FMR are held from below: the smallest threshold that accepts few enough of those who should not pass.
BPCER and FNMR from above: the largest that refuses few enough of those who should. What counts as a trial is the
caller's choice: each presentation, or each person, whose presentations stand or fall together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import RateError
from ostiary.metrics import curve as curves
from ostiary.metrics.bootstrap import DRAWS, Statistic, resample
from ostiary.metrics.intervals import errors_allowed, supports, trials_needed, upper_limit
from ostiary.metrics.trials import Trials

Count = Literal["trials", "people"]
"""What is taken for an independent trial."""

Side = Literal["attacks", "bona_fide"]
"""Whose error is held: attacks (or non-mated comparisons) accepted, or bona fide (or mated ones) refused."""


@dataclass(frozen=True, slots=True)
class Held:
    """A threshold that holds a rate; ``allowed`` are the errors of each class that the rule left room for.

    ``remarks`` say what the trials hardly bear.
    """

    value: float
    allowed: dict[str, int]
    remarks: tuple[str, ...]


def hold(
    trials: Trials,
    rate: float,
    side: Side,
    *,
    count: Count = "trials",
    names: Mapping[str, str],
    level: float = 0.95,
) -> Held:
    """The loosest (``attacks``) or strictest (``bona_fide``) threshold that holds ``rate`` on one side.

    It is one at which the one-sided upper Clopper-Pearson limit of the side's rate is <= ``rate``, for each
    species. Where people count, a share r of a class has the limit of r·m errors in m people.

    Args:
        trials: development presentations.
        rate: what is wanted, a share in (0, 1).
        side: whose error.
        count: what is taken for an independent trial.
        names: how the classes are called in a refusal, by species; "" for the bona fide.
        level: confidence of the upper limit.

    Raises:
        RateError: a class is missing, people should count and are unknown, or the trials cannot bear the rate.

    """
    given = trials.select(trials.answered)
    classes = _classes(given, side)
    if not classes:
        missing = names[""] if side == "bona_fide" else "attacks, or pairs of two people,"
        raise RateError(f"There are no {missing} with an answer, so that no threshold can hold their rate.")
    remarks = [check_support(given, members, rate, names[name], count) for name, members in classes.items()]
    allowed = {name: _allowed(given, members, rate, count, level) for name, members in classes.items()}
    if side == "attacks":
        value = curves.threshold_within(given, allowed)
    else:
        value = float(np.sort(given.liveness[given.bona_fide])[allowed[""]])
    return Held(value, allowed, tuple(remark for remark in remarks if remark))


def check_support(
    trials: Trials, members: NDArray[np.bool_], rate: float, name: str, count: Count = "trials"
) -> str | None:
    """Whether a class can bear a statement about ``rate``: None if yes, a warning if barely.

    Raises:
        RateError: there are fewer than 3/rate trials (or people); it says how many of both it takes.

    """
    total, people = int(members.sum()), _people(trials, members)
    if count == "people":
        if people is None:
            raise RateError(
                f"The person behind some of the {name} is unknown, so that people cannot be counted; fill in the "
                "subject of every row."
            )
        needed = trials_needed(rate).rule_of_3
        if people < needed:
            who = "one person, who counts as one trial"
            who = who if people == 1 else f"{people:,} people, who count as {people:,} trials"
            raise RateError(
                f"A rate of {rate:g} cannot be supported by {total:,} {name} of {who}: even "
                f"without any error it takes {needed:,} people (rule of 3); find more people, not more "
                "pictures of the same ones, or ask for a higher rate."
            )
        return supports(rate, people, f"people behind the {name}")
    try:
        return supports(rate, total, name)
    except RateError as refusal:
        if not people:
            raise
        more = -(-trials_needed(rate).rule_of_3 * people // total)
        raise RateError(f"{refusal} At {total / people:.3g} a person, as here, that is {more:,} people.") from None


def threshold_interval(
    trials: Trials, held: Held, side: Side, *, draws: int = DRAWS, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Where the same rule would have put the threshold on other people: percentiles of a bootstrap.

    A bootstrap never draws an attack that scores above those seen, so that the upper limit leans low. Where
    people are unknown, single presentations are drawn.
    """
    given = trials.select(trials.answered)
    units = np.arange(len(given)) if given.person is None else given.person
    statistic = _moving(given, held, side, units)
    found = resample(statistic, int(units.max()) + 1, width=len(given), draws=draws, seed=seed)["threshold"]
    low, high = np.quantile(found[np.isfinite(found)], [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _classes(trials: Trials, side: Side) -> dict[str, NDArray[np.bool_]]:
    if side == "bona_fide":
        return {"": trials.bona_fide} if trials.bona_fide.any() else {}
    return {name: trials.of(name) for name in trials.attack_species}


def _people(trials: Trials, members: NDArray[np.bool_]) -> int | None:
    return None if trials.person is None else len(np.unique(trials.person[members]))


def _allowed(trials: Trials, members: NDArray[np.bool_], rate: float, count: Count, level: float) -> int:
    """The most errors of a class whose upper limit is still <= ``rate``; the support was checked before."""
    total = int(members.sum())
    if count == "trials":
        return errors_allowed(rate, total, level=level)
    people = _people(trials, members) or 0
    low, high = 0, total  # without an error the limit is below the rate, with errors alone it is 1
    while high - low > 1:
        middle = (low + high) // 2
        if upper_limit(middle / total * people, people, level=level) <= rate:
            low = middle
        else:
            high = middle
    return low


def _moving(trials: Trials, held: Held, side: Side, units: NDArray[np.intp]) -> Statistic:
    """The threshold that the rule gives under many weightings (draws, units); NaN where a draw lacks the class.

    The weight that may err is the same share of the class as the allowed errors are of it.
    """
    scores = np.unique(trials.liveness)
    candidates = np.append(scores, curves.above(float(scores[-1])))
    ordered = []
    for name, members in _classes(trials, side).items():
        places = np.flatnonzero(members)
        order = places[np.argsort(trials.liveness[places], kind="stable")]
        ordered.append((order if side == "bona_fide" else order[::-1], held.allowed[name] / len(places)))

    def statistic(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        found = []
        for order, share in ordered:
            counted = np.cumsum(weights[:, units[order]], axis=1)
            first = np.argmax(counted > share * counted[:, -1:] + _SLACK, axis=1)
            at = trials.liveness[order[first]]
            value = at if side == "bona_fide" else candidates[np.searchsorted(scores, at, side="right")]
            found.append(np.where(counted[:, -1] > 0, value, np.nan))
        each = np.stack(found, axis=1)
        best = np.where(np.isnan(each), -np.inf, each).max(axis=1)
        return {"threshold": np.where(np.isfinite(best), best, np.nan)}

    return statistic


_SLACK = 1e-9  # a share times a count may fall a hair short of the whole number that it is
