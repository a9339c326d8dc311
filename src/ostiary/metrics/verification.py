"""Verification rates with the names of ISO/IEC 19795-1, each with its interval.

Two pictures match if their similarity is >= a threshold. FMR is the share of non-mated comparisons that match,
FNMR that of mated ones that do not. Accuracy follows the k-fold protocol (``verification_folds.py``); AUC, EER and
FNMR at a stated FMR are readings of the curve, chosen on the very data that are judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import RateError
from ostiary.metrics import curve as curves
from ostiary.metrics.bootstrap import DRAWS, Difference, Statistic, paired_difference
from ostiary.metrics.intervals import supports
from ostiary.metrics.rates import Rate
from ostiary.metrics.verification_folds import FoldAccuracy, accuracy_statistic, fold_accuracy
from ostiary.metrics.verification_measure import Measure, curve_statistic, share_statistic, threshold_statistic
from ostiary.metrics.verification_trials import Comparisons

FMR_TARGETS = (1e-2, 1e-3)


@dataclass(frozen=True, slots=True)
class FmrReading:
    """FNMR at the smallest threshold whose FMR is <= ``target`` on these same data.

    ``fmr`` is what that threshold attains. Where the comparisons are too few for the target, all three are None
    and ``remark`` says why; where they carry it only barely, ``remark`` is a warning.
    """

    target: float
    fnmr: Rate | None
    fmr: float | None
    threshold: float | None
    remark: str | None


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Both errors at a threshold that is not chosen anew in the bootstrap; None where a class is missing."""

    threshold: float
    fmr: Rate | None
    fnmr: Rate | None


@dataclass(frozen=True, slots=True)
class VerificationRates:
    """All rates of one embedder on one list of pairs; None where a class is missing.

    ``accuracy`` is that of ``folds`` with an interval; both are None where two folds cannot be made.
    """

    n_mated: int
    n_non_mated: int
    people: int | None
    folds: FoldAccuracy | None
    accuracy: Rate | None
    auc: Rate | None
    eer: Rate | None
    eer_threshold: float | None
    fnmr_at_fmr: dict[str, FmrReading]
    at: dict[str, OperatingPoint]


@dataclass(frozen=True, slots=True)
class GroupRates:
    """One group of the comparisons at the thresholds of all of them, as one door has for everybody.

    ``accuracy`` is by the fold thresholds of all data. ``auc`` and ``eer`` are of the group alone.
    """

    n_mated: int
    n_non_mated: int
    people: int | None
    accuracy: Rate | None
    auc: Rate | None
    eer: Rate | None
    at: dict[str, OperatingPoint]


def verification_rates(
    comparisons: Comparisons,
    thresholds: Mapping[str, float] | None = None,
    *,
    targets: Sequence[float] = FMR_TARGETS,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> VerificationRates:
    """Every rate of the comparisons.

    Intervals resample people, or comparisons where people are unknown; docs/verification.md has the rules.

    Args:
        comparisons: pairs with their similarity.
        thresholds: named operating points that were chosen on other data.
        targets: the FMRs at which FNMR is read. Where there are fewer than 3/target non-mated comparisons, the
            reading is refused with a sentence in its place.
        draws: bootstrap draws.
        seed: of the bootstrap.
        level: coverage of the intervals.

    """
    points = dict(thresholds or {})
    readings = _curve_and_accuracy(comparisons, targets) if comparisons.both_classes else []
    parts = readings + [threshold_statistic(comparisons, name, value) for name, value in points.items()]
    measure = Measure.of(comparisons, parts, draws=draws, seed=seed, level=level)
    folds = fold_accuracy(comparisons) if "accuracy" in measure.point else None
    wrong = int((~folds.right).sum()) if folds else None
    return VerificationRates(
        n_mated=int(comparisons.same.sum()),
        n_non_mated=int((~comparisons.same).sum()),
        people=comparisons.people_in(np.ones(len(comparisons), bool)),
        folds=folds,
        accuracy=measure.counted("accuracy", np.ones(len(comparisons), bool), wrong),
        auc=measure.derived("auc"),
        eer=measure.derived("eer"),
        eer_threshold=curves.equal_error(comparisons.as_trials())[1] if comparisons.both_classes else None,
        fnmr_at_fmr={rate_name(target): _reading(target, measure) for target in targets},
        at={name: _point(name, value, measure) for name, value in points.items()},
    )


def group_rates(
    comparisons: Comparisons,
    right: NDArray[np.bool_] | None,
    thresholds: Mapping[str, float],
    *,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, GroupRates]:
    """The rates of each group by name; empty where the comparisons name none.

    Args:
        comparisons: of all groups.
        right: (N,) whether each was judged rightly, ``FoldAccuracy.right``; None for no accuracy.
        thresholds: named thresholds of all data (ISO/IEC 19795-10: one for all groups).
        draws: bootstrap draws.
        seed: of the bootstrap.
        level: coverage of the intervals.

    """
    found = {}
    for name in comparisons.groups:
        members = comparisons.group == name
        part = comparisons.select(members)
        parts = [threshold_statistic(part, label, value) for label, value in thresholds.items()]
        if right is not None:
            parts.append(share_statistic("accuracy", right[members]))
        if part.both_classes:
            parts.append(curve_statistic(part, {}))
        measure = Measure.of(part, parts, draws=draws, seed=seed, level=level)
        wrong = None if right is None else int((~right[members]).sum())
        found[name] = GroupRates(
            n_mated=int(part.same.sum()),
            n_non_mated=int((~part.same).sum()),
            people=part.people_in(np.ones(len(part), bool)),
            accuracy=measure.counted("accuracy", np.ones(len(part), bool), wrong),
            auc=measure.derived("auc"),
            eer=measure.derived("eer"),
            at={label: _point(label, value, measure) for label, value in thresholds.items()},
        )
    return found


def fnmr_at_fmr(comparisons: Comparisons, target: float) -> tuple[float, float]:
    """(FNMR, threshold) at the smallest threshold whose FMR is <= ``target``; nothing is interpolated.

    Raises:
        RateError: a class is missing, or there are fewer than 3/target non-mated comparisons.

    """
    check_support(comparisons, target)
    return curves.bpcer_at_apcer(comparisons.as_trials(), target)


def check_support(comparisons: Comparisons, target: float) -> str | None:
    """Whether the non-mated comparisons can bear a statement about an FMR: None if yes, a warning if barely.

    Raises:
        RateError: a class is missing, or there are fewer than 3/target non-mated comparisons.

    """
    if not comparisons.both_classes:
        missing = "non-mated" if comparisons.same.any() or not len(comparisons) else "mated"
        raise RateError(f"There is no {missing} comparison, so that there is no FNMR at an FMR; give both kinds.")
    return supports(target, int((~comparisons.same).sum()), "non-mated comparisons")


def compare(
    first: Comparisons,
    second: Comparisons,
    *,
    targets: Sequence[float] = FMR_TARGETS,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Difference]:
    """Two embedders on the same pairs: second minus first, by a paired bootstrap over the same draws.

    Keys: ``accuracy``, ``auc``, ``eer`` and ``fnmr_at_fmr:<name of the rate>`` for each target that the
    comparisons support. Where people are unknown, comparisons are drawn.

    Raises:
        RateError: the pairs are not the same, or a class is missing.

    """
    alike = len(first) == len(second) and np.array_equal(first.same, second.same)
    if not alike or not _equal(first.people, second.people) or not _equal(first.fold, second.fold):
        raise RateError("The two were not measured on the same pairs in the same order; use one list for both.")
    if not first.both_classes:
        raise RateError("To compare two embedders takes mated as well as non-mated pairs.")
    one, other = (each.resampled(_curve_and_accuracy(each, targets)) for each in (first, second))
    return paired_difference(one, other, first.units, width=len(first), draws=draws, seed=seed, level=level)


def rate_name(rate: float) -> str:
    """How a rate is written as a key: 0.001 -> "1e-3", 0.025 -> "2.5e-2"."""
    digits, _, power = f"{rate:e}".partition("e")
    return f"{float(digits):g}e{int(power)}"


def _curve_and_accuracy(comparisons: Comparisons, targets: Sequence[float]) -> list[Statistic]:
    readable = {rate_name(target): target for target in targets if _supported(comparisons, target)}
    found = [curve_statistic(comparisons, readable)]
    with suppress(RateError):  # too few comparisons for two folds: all else can still be said
        found.append(accuracy_statistic(comparisons))
    return found


def _reading(target: float, measure: Measure) -> FmrReading:
    comparisons = measure.comparisons
    try:
        remark = check_support(comparisons, target)
    except RateError as refusal:
        return FmrReading(target, None, None, None, str(refusal))
    _, threshold = fnmr_at_fmr(comparisons, target)
    fmr = float((comparisons.similarity[~comparisons.same] >= threshold).mean())
    rate = measure.counted(f"fnmr_at_fmr:{rate_name(target)}", comparisons.same)
    return FmrReading(target, rate, fmr, threshold, remark)


def _supported(comparisons: Comparisons, target: float) -> bool:
    try:
        check_support(comparisons, target)
    except RateError:
        return False
    return True


def _point(name: str, threshold: float, measure: Measure) -> OperatingPoint:
    mated = measure.comparisons.same
    fmr, fnmr = measure.counted(f"fmr:{name}", ~mated), measure.counted(f"fnmr:{name}", mated)
    return OperatingPoint(threshold, fmr, fnmr)


def _equal(first: NDArray[np.intp] | None, second: NDArray[np.intp] | None) -> bool:
    return first is second or (first is not None and second is not None and np.array_equal(first, second))
