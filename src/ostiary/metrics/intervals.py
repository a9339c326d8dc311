"""Exact binomial intervals, and how many trials it takes to speak of a rate at all.

Formulas: Clopper and Pearson 1934; the rule of 3, and Doddington's rule of 30.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ostiary.errors import MissingExtraError, RateError
from ostiary.metrics.rates import Interval, Method


def clopper_pearson(
    errors: float, trials: float, *, level: float = 0.95, method: Method = "Clopper-Pearson over trials"
) -> Interval:
    """Two-sided interval of ``errors`` in ``trials`` independent trials.

    ``errors`` need not be whole: with r·n errors in n *people* the same quantiles give the interval of a
    rate r in which each person counts as one trial (the effective sample size of Korn and Graubard 1998).

    Raises:
        RateError: there is no trial, or more errors than trials.

    """
    _check(errors, trials)
    tail = (1 - level) / 2
    low = 0.0 if errors == 0 else _beta_quantile(tail, errors, trials - errors + 1)
    return Interval(low, _upper(errors, trials, tail), method, level)


def upper_limit(errors: float, trials: float, *, level: float = 0.95) -> float:
    """One-sided upper Clopper-Pearson limit: the rate is below it with confidence ``level``.

    Raises:
        RateError: there is no trial, or more errors than trials.

    """
    _check(errors, trials)
    return _upper(errors, trials, 1 - level)


def errors_allowed(rate: float, trials: int, *, level: float = 0.95) -> int:
    """The most errors in ``trials`` whose one-sided upper limit is still <= ``rate``; -1 if not even none."""
    low, high = -1, trials
    while low < high:
        middle = (low + high + 1) // 2
        if upper_limit(middle, trials, level=level) <= rate:
            low = middle
        else:
            high = middle - 1
    return low


class TrialsNeeded(NamedTuple):
    """How many independent trials a claim "rate <= p" takes.

    ``without_error`` is the exact number if not one error occurs (95 %), ``rule_of_3`` its usual
    approximation 3/p, and ``rule_of_30`` = 30/p gives +-30 % of the rate at 90 %.
    """

    without_error: int
    rule_of_3: int
    rule_of_30: int


def trials_needed(rate: float, *, level: float = 0.95) -> TrialsNeeded:
    """Trials needed to claim ``rate``, a share in (0, 1).

    Raises:
        RateError: the rate is not between 0 and 1.

    """
    if not 0 < rate < 1:
        raise RateError(f"A target rate of {rate} makes no sense; give a share between 0 and 1, such as 0.05.")
    exact = math.log(1 - level) / math.log1p(-rate)
    return TrialsNeeded(_ceil(exact), _ceil(3 / rate), _ceil(30 / rate))


def supports(rate: float, trials: int, what: str = "trials") -> str | None:
    """Whether ``trials`` can bear a statement about ``rate``: None if yes, a warning if barely.

    Raises:
        RateError: fewer than 3/rate trials, so that even no error at all would not show the rate.

    """
    needed = trials_needed(rate)
    if trials < needed.rule_of_3:
        raise RateError(
            f"A rate of {rate:g} cannot be supported by {trials:,} {what}: even without any error it takes "
            f"{needed.rule_of_3:,} (rule of 3); collect more, or ask for a higher rate."
        )
    if trials < needed.rule_of_30:
        return (
            f"A rate of {rate:g} rests on {trials:,} {what}, fewer than the {needed.rule_of_30:,} of the "
            "rule of 30: expect it to move by more than a third on other data."
        )
    return None


def _ceil(value: float) -> int:
    """Round up, forgiving the last bits of a division such as 3 / 0.07."""
    return math.ceil(value - 1e-9)


def _check(errors: float, trials: float) -> None:
    if trials <= 0:
        raise RateError("A rate over no trials at all has no interval; leave it out.")
    if not 0 <= errors <= trials:
        raise RateError(f"{errors:g} errors in {trials:g} trials cannot be; check the counts.")


def _upper(errors: float, trials: float, tail: float) -> float:
    return 1.0 if errors >= trials else _beta_quantile(1 - tail, errors + 1, trials - errors)


def _beta_quantile(probability: float, a: float, b: float) -> float:
    try:
        from scipy.special import betaincinv
    except ImportError:
        raise MissingExtraError("scipy", "evaluate") from None
    return float(betaincinv(a, b, probability))
