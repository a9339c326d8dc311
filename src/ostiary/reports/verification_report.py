"""From compared pairs to the report as plain values: what ``report.json`` of ``evaluate face`` holds.

Layout (docs/verification.md explains each figure)::

    header          what was run on what: command, date, versions, commit, model, data, n, people, seed
    notes           sentences that a reader must know before believing a number
    flip            which of the two views below the figures at the top are of
    accuracy, accuracy_standard_error, auc, eer, fnmr_at_fmr (by "1e-2", "1e-3"); ``intervals`` and
                    ``interval_methods`` with the same names; ``thresholds``, ``readings``, ``folds``, ``at``
    pairs, pairs_used, pairs_skipped, pairs_skipped_reasons
    pictures, pictures_used, pictures_skipped (by reason, each named)
    groups          the same for each group, at the thresholds of all; absent where the list names none
    without_flip    the figures of the plain embeddings
    with_flip       those of the means with the mirror images, and ``flip_difference``, if they were made

Rates are shares in [0, 1], and null where a class is missing or the pairs are too few for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ostiary.metrics.bootstrap import DRAWS
from ostiary.metrics.rates import Interval, Rate
from ostiary.metrics.verification import (
    FMR_TARGETS,
    FmrReading,
    GroupRates,
    OperatingPoint,
    VerificationRates,
    compare,
    group_rates,
    verification_rates,
)
from ostiary.metrics.verification_folds import FoldAccuracy
from ostiary.metrics.verification_trials import Comparisons
from ostiary.reports.comparisons import ComparedPairs
from ostiary.reports.verification_notes import notes

LEVEL = 0.95
STORED = "stored"
"""Name of the operating point whose threshold came with the weights."""

Report = dict[str, Any]


def build_verification_report(
    plain: ComparedPairs,
    mirrored: ComparedPairs | None,
    header: Mapping[str, Any],
    *,
    reasons: Mapping[str, str],
    pictures: int,
    stored: float | None = None,
    targets: Sequence[float] = FMR_TARGETS,
    draws: int = DRAWS,
    seed: int = 0,
) -> Report:
    """The report of one list of pairs.

    Args:
        plain: the pairs compared by plain embeddings.
        mirrored: the same by means with the mirror images; the figures at the top are then of these.
        header: values to store about the run; counts and seed are added.
        reasons: why a picture has no embedding, by its name.
        pictures: how many pictures the list names.
        stored: threshold that came with the weights for embeddings of the view at the top.
        targets: FMRs at which FNMR is read.
        draws: bootstrap draws.
        seed: of the bootstrap.

    """
    chosen = plain if mirrored is None else mirrored
    comparisons = chosen.comparisons()
    bootstrap = _Bootstrap(draws, seed)
    rates = bootstrap.rates(comparisons, targets, {} if stored is None else {STORED: stored})
    figures = _figures(rates)
    report: Report = {
        "format": "1",
        "header": {
            **header,
            "n": len(chosen.pairs),
            "people": rates.people,
            "seed": seed,
            "bootstrap_draws": draws,
            "level": LEVEL,
        },
        "notes": list(notes(chosen, comparisons, rates)),
        "flip": mirrored is not None,
        **figures,
        "pairs": len(chosen.pairs),
        "pairs_used": len(comparisons),
        "pairs_skipped": len(chosen.pairs) - len(comparisons),
        "pairs_skipped_reasons": chosen.skipped,
        "pictures": pictures,
        "pictures_used": pictures - len(reasons),
        "pictures_skipped": _by_reason(reasons),
        **bootstrap.groups(comparisons, rates),
        "without_flip": figures,
    }
    if mirrored is not None:
        before = plain.comparisons()
        report["without_flip"] = _figures(bootstrap.rates(before, targets, {}))
        report["with_flip"] = figures
        report["flip_difference"] = bootstrap.difference(before, comparisons, targets)
    return report


@dataclass(frozen=True, slots=True)
class _Bootstrap:
    """All figures of a report are of the same draws."""

    draws: int
    seed: int

    def rates(
        self, comparisons: Comparisons, targets: Sequence[float], thresholds: Mapping[str, float]
    ) -> VerificationRates:
        return verification_rates(
            comparisons, thresholds, targets=targets, draws=self.draws, seed=self.seed, level=LEVEL
        )

    def groups(self, comparisons: Comparisons, rates: VerificationRates) -> Report:
        """The part of the report that is by group; empty where there are none."""
        right = rates.folds.right if rates.folds else None
        at = _thresholds(rates) | {name: point.threshold for name, point in rates.at.items()}
        found = group_rates(comparisons, right, at, draws=self.draws, seed=self.seed, level=LEVEL)
        if not found:
            return {}
        worst = {name: {rate: _worst(found, name, rate) for rate in ("fmr", "fnmr")} for name in at}
        return {"groups": {name: _group(group) for name, group in found.items()}, "worst_groups": worst}

    def difference(self, before: Comparisons, after: Comparisons, targets: Sequence[float]) -> Report | None:
        if not before.both_classes:
            return None
        found = compare(before, after, targets=targets, draws=self.draws, seed=self.seed, level=LEVEL)
        return {name: {"value": one.value, "interval": [one.low, one.high]} for name, one in found.items()}


def _figures(rates: VerificationRates) -> Report:
    """The rates as numbers, and under the same names their intervals, methods and counts."""
    folds = rates.folds
    single = {"accuracy": rates.accuracy, "auc": rates.auc, "eer": rates.eer}
    read = {name: reading.fnmr for name, reading in rates.fnmr_at_fmr.items()}
    return {
        "n_mated": rates.n_mated,
        "n_non_mated": rates.n_non_mated,
        "people": rates.people,
        "accuracy": _value(rates.accuracy),
        "accuracy_standard_error": folds and folds.standard_error,
        "auc": _value(rates.auc),
        "eer": _value(rates.eer),
        "fnmr_at_fmr": {name: _value(rate) for name, rate in read.items()},
        "intervals": _each(single, read, lambda rate: _limits(rate.interval)),
        "intervals_over_people": _each(
            single, read, lambda rate: None if rate.people_interval is None else _limits(rate.people_interval)
        ),
        "interval_methods": _each(single, read, lambda rate: _method(rate.interval)),
        "errors": _each(single, read, lambda rate: None if rate.errors is None else [rate.errors, rate.trials]),
        "thresholds": _thresholds(rates),
        "readings": {name: _reading(reading) for name, reading in rates.fnmr_at_fmr.items()},
        "folds": [] if folds is None else _folds(folds),
        "folds_dealt": folds and folds.dealt,
        "at": {name: _point(point) for name, point in rates.at.items()},
    }


def _value(rate: Rate | None) -> float | None:
    return None if rate is None else rate.value


def _limits(interval: Interval) -> list[float]:
    return [interval.low, interval.high]


def _method(interval: Interval) -> str:
    return interval.method.replace("trials", "pairs")


def _each(
    single: Mapping[str, Rate | None], read: Mapping[str, Rate | None], value: Callable[[Rate], Any]
) -> Report:
    """``value`` of every rate that there is, by name."""
    found: Report = {name: value(rate) for name, rate in single.items() if rate is not None}
    found["fnmr_at_fmr"] = {name: value(rate) for name, rate in read.items() if rate is not None}
    found["fnmr_at_fmr"] = {name: item for name, item in found["fnmr_at_fmr"].items() if item is not None}
    return {name: item for name, item in found.items() if item}


def _thresholds(rates: VerificationRates) -> dict[str, float]:
    """The thresholds that were read off these data: that of the EER, and one for each FMR."""
    named = {"eer": rates.eer_threshold}
    named |= {name: reading.threshold for name, reading in rates.fnmr_at_fmr.items()}
    return {name: value for name, value in named.items() if value is not None}


def _reading(reading: FmrReading) -> Report:
    supported = reading.fnmr is not None
    return {"threshold": reading.threshold, "fmr": reading.fmr, "supported": supported, "remark": reading.remark}


def _folds(folds: FoldAccuracy) -> list[Report]:
    rows = zip(folds.folds, folds.accuracies, folds.thresholds, strict=True)
    return [{"fold": name, "accuracy": accuracy, "threshold": value} for name, accuracy, value in rows]


def _point(point: OperatingPoint) -> Report:
    rates = {"fmr": point.fmr, "fnmr": point.fnmr}
    return {
        "threshold": point.threshold,
        **{name: _value(rate) for name, rate in rates.items()},
        "intervals": {name: _limits(rate.interval) for name, rate in rates.items() if rate is not None},
    }


def _group(group: GroupRates) -> Report:
    single = {"accuracy": group.accuracy, "auc": group.auc, "eer": group.eer}
    return {
        "n_mated": group.n_mated,
        "n_non_mated": group.n_non_mated,
        "people": group.people,
        **{name: _value(rate) for name, rate in single.items()},
        "intervals": _each(single, {}, lambda rate: _limits(rate.interval)),
        "interval_methods": _each(single, {}, lambda rate: _method(rate.interval)),
        "at": {name: _point(point) for name, point in group.at.items()},
    }


def _worst(groups: Mapping[str, GroupRates], name: str, rate: Literal["fmr", "fnmr"]) -> str | None:
    """The group with the highest error at a threshold."""
    found = {group: _value(getattr(rates.at[name], rate)) for group, rates in groups.items()}
    known = {group: value for group, value in found.items() if value is not None}
    return max(known, key=lambda group: known[group]) if known else None


def _by_reason(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path, reason in reasons.items():
        found.setdefault(reason, []).append(path)
    return dict(sorted(found.items()))
