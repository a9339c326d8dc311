"""Choosing the similarity from which two pictures match, on development people, for a stated FMR.

As for liveness: smallest threshold that keeps the promise, never the nearest point of the curve nor an
interpolated one, and no promise that the comparisons cannot bear.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import RateError
from ostiary.metrics import curve as curves
from ostiary.metrics.bootstrap import DRAWS, Statistic
from ostiary.metrics.intervals import errors_allowed, upper_limit
from ostiary.metrics.verification import OperatingPoint, check_support, rate_name
from ostiary.metrics.verification_measure import Measure, threshold_statistic
from ostiary.metrics.verification_trials import Comparisons
from ostiary.runtime.embedding_record import MatchThreshold

Rule = Literal["fmr", "fmr_point"]


@dataclass(frozen=True, slots=True)
class ChosenThreshold:
    """A threshold as it is stored with the weights, and how far to trust it.

    ``low`` and ``high`` bound where the same rule would have put it on other people (a bootstrap never draws a
    pair more alike than those seen, so ``high`` leans low); ``errors`` are FMR and FNMR at the threshold, on the
    data it was chosen on.
    """

    record: MatchThreshold
    low: float
    high: float
    errors: OperatingPoint


def choose_match_threshold(
    comparisons: Comparisons,
    target: float = 1e-3,
    *,
    data: str,
    rule: Rule = "fmr",
    flip: bool = False,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> ChosenThreshold:
    """The threshold for an FMR of ``target`` on development comparisons.

    Rules:
        fmr: smallest threshold at which the one-sided upper Clopper-Pearson limit of the FMR is <= ``target``.
            Comparisons count as independent there; the record's warning names the number of people.
        fmr_point: smallest threshold at which the measured FMR is <= ``target``, with a warning.

    Args:
        comparisons: of development people.
        target: the FMR that is wanted, a share in (0, 1).
        data: name of the data, stored in the record.
        rule: see above.
        flip: whether the similarities are of embeddings with the mirrored crop; stored in the record.
        draws: bootstrap draws.
        seed: of the bootstrap.
        level: confidence of the upper limit, and coverage of the intervals.

    Raises:
        RateError: a class is missing, there are fewer than 3/target non-mated comparisons, or non-mated pairs are
            as similar as can be.

    """
    remarks = [check_support(comparisons, target)]
    n_non_mated = int((~comparisons.same).sum())
    if rule == "fmr":
        allowed = errors_allowed(target, n_non_mated, level=level)
    else:
        allowed = _count(target, n_non_mated)
        remarks.append("The measured FMR meets the target, its upper limit may not.")
    value = curves.threshold_within(comparisons.as_trials(), {"non-mated": allowed})
    if value > 1:
        raise RateError(
            f"Non-mated pairs of {data} are as similar as can be, so that no threshold meets the target; ask for "
            "a higher rate, or check the list for one picture under two names."
        )
    parts = [threshold_statistic(comparisons, "chosen", value), _threshold_statistic(comparisons, allowed)]
    measure = Measure.of(comparisons, parts, draws=draws, seed=seed, level=level)
    low, high = np.quantile(measure.draws["threshold"], [(1 - level) / 2, (1 + level) / 2])
    mated = comparisons.same
    matched = int((comparisons.similarity[~mated] >= value).sum())
    if comparisons.people is not None:
        remarks.append(f"The comparisons are of {comparisons.units} people.")
    record = MatchThreshold(
        value=value,
        target=f"fmr<={rate_name(target)}",
        rate=target,
        n_mated=int(mated.sum()),
        n_non_mated=n_non_mated,
        data=data,
        flip=flip,
        upper_limit=upper_limit(matched, n_non_mated, level=level),
        warning=" ".join(remark for remark in remarks if remark) or None,
    )
    errors = OperatingPoint(
        value, measure.counted("fmr:chosen", ~mated, matched), measure.counted("fnmr:chosen", mated)
    )
    return ChosenThreshold(record, float(low), float(high), errors)


def _count(share: float, total: int) -> int:
    """The most of ``total`` that are no larger a share."""
    return int(share * total + _SLACK)


def _threshold_statistic(comparisons: Comparisons, allowed: int) -> Statistic:
    """The threshold that the rule gives under many weightings of the comparisons (draws, N).

    The weight that may match is the same share of all as ``allowed`` is of the non-mated comparisons.
    """
    scores = np.unique(comparisons.similarity)
    candidates = np.append(scores, curves.above(float(scores[-1])))
    non_mated = np.flatnonzero(~comparisons.same)
    falling = non_mated[np.argsort(-comparisons.similarity[non_mated], kind="stable")]
    share = allowed / len(non_mated)

    def statistic(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        matched = np.cumsum(weights[:, falling], axis=1)
        too_many = matched > share * matched[:, -1:] + _SLACK
        refused = comparisons.similarity[falling[np.argmax(too_many, axis=1)]]
        return {"threshold": candidates[np.searchsorted(scores, refused, side="right")]}

    return statistic


_SLACK = 1e-9  # a share times a count may fall a hair short of the whole number that it is
