"""From scores to the report as plain values: what ``report.json`` holds, and all that is shown anywhere.

Layout of ``report.json`` (docs/metrics.md explains each rate)::

    header          what was run on what: command, date, versions, seed, data, model
    notes           sentences that a reader must know before believing a number
    cost            relative cost of the configurations, or null
    configurations  by word: n_bona_fide, n_attack, threshold, auc, eer, accuracy, apcer (by species),
                    apcer_max, apcer_pooled, bpcer, acer_pooled, bpcer_at_apcer (by "0.01", "0.05", "0.10");
                    ``intervals`` with the same names, each [low, high]; ``datasets``, the same again for
                    each data set, where there are several

Rates are shares in [0, 1], and null where a class is missing or there is no threshold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ostiary.metrics.bootstrap import DRAWS
from ostiary.metrics.pad import DetReading, PadRates, pad_rates
from ostiary.metrics.rates import Rate
from ostiary.reports.scores import Scores, ScoreTable
from ostiary.runtime.liveness_record import Threshold

LEVEL = 0.95

Report = dict[str, Any]


def build_report(
    table: ScoreTable,
    thresholds: Mapping[str, Threshold | float],
    header: Mapping[str, Any],
    *,
    cost: Mapping[str, Any] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """The report of a score table.

    Args:
        table: what was scored.
        thresholds: by configuration: the record stored with the weights, or a number given by hand. A
            configuration without one gets only what needs no operating point.
        header: values to store about the run; counts, seed and data names are added.
        cost: ``{"measure": text, "by_configuration": {word: number}}``, for the plot of error against cost.
        draws: bootstrap draws.
        seed: of the bootstrap.
        progress: called with (configurations done, configurations in all).

    """
    samples = next(iter(table.configurations.values())).samples
    configurations = {}
    for done, (word, scores) in enumerate(table.configurations.items(), start=1):
        configurations[word] = _configuration(scores, thresholds.get(word), draws, seed)
        if progress:
            progress(done, len(table.configurations))
    return {
        "format": "1",
        "header": {
            **header,
            "data": table.datasets,
            "splits": dict(sorted(Counter(sample.split for sample in samples).items())),
            "n": len(samples),
            "seed": seed,
            "bootstrap_draws": draws,
            "level": LEVEL,
        },
        "notes": list(_notes(table, thresholds)),
        "cost": None if cost is None else dict(cost),
        "configurations": configurations,
    }


def _configuration(scores: Scores, threshold: Threshold | float | None, draws: int, seed: int) -> Report:
    value = threshold.value if isinstance(threshold, Threshold) else threshold
    datasets = sorted({sample.dataset for sample in scores.samples})

    def rates(dataset: str | None) -> Report:
        found = _plain(pad_rates(scores.trials(dataset), value, draws=draws, seed=seed, level=LEVEL))
        return {**found, "reasons": _reasons(scores, dataset)}

    found = {**rates(None), "threshold_origin": _origin(threshold)}
    if len(datasets) > 1:
        found["datasets"] = {name: rates(name) for name in datasets}
    return found


def _plain(rates: PadRates) -> Report:
    """The rates as numbers, and under the same names their intervals, methods and counts."""
    single = {
        name: getattr(rates, name)
        for name in ("auc", "eer", "accuracy", "apcer_max", "apcer_pooled", "bpcer", "acer_pooled", "bpnrr")
    }
    readings = {f"{target:.2f}": reading for target, reading in rates.bpcer_at_apcer.items()}
    grouped = {
        "apcer": rates.apcer,
        "bpcer_at_apcer": {name: reading.bpcer for name, reading in readings.items()},
        "apnrr": rates.apnrr,
    }
    return {
        "n_bona_fide": rates.n_bona_fide,
        "n_attack": rates.n_attack,
        "n_species": rates.n_species,
        "people": rates.people,
        "threshold": rates.threshold,
        **_each(single, grouped, lambda rate: rate.value, keep_none=True),
        "worst_species": rates.worst_species,
        "eer_threshold": rates.eer_threshold,
        "intervals": _each(single, grouped, lambda rate: [rate.interval.low, rate.interval.high]),
        "intervals_over_people": _each(single, grouped, _people_interval),
        "interval_methods": _each(single, grouped, lambda rate: rate.interval.method),
        "errors": _each(single, grouped, lambda rate: None if rate.errors is None else [rate.errors, rate.trials]),
        "readings": {name: _reading(reading) for name, reading in readings.items()},
    }


def _each(
    single: Mapping[str, Rate | None],
    grouped: Mapping[str, Mapping[str, Rate]],
    value: Callable[[Rate], Any],
    *,
    keep_none: bool = False,
) -> Report:
    """``value`` of every rate by name; groups become objects. Absent rates are null or left out."""
    found: Report = {name: value(rate) if rate else None for name, rate in single.items()}
    for name, group in grouped.items():
        found[name] = {key: value(rate) for key, rate in group.items()}
    if keep_none:
        return found
    for name in grouped:
        found[name] = {key: item for key, item in found[name].items() if item is not None} or None
    return {name: item for name, item in found.items() if item is not None}


def _people_interval(rate: Rate) -> list[float] | None:
    return [rate.people_interval.low, rate.people_interval.high] if rate.people_interval else None


def _reading(reading: DetReading) -> Report:
    return {"threshold": reading.threshold, "supported": reading.supported, "remark": reading.remark}


def _origin(threshold: Threshold | float | None) -> Report | None:
    if isinstance(threshold, Threshold):
        return {"from": "weights", **threshold.model_dump()}
    return None if threshold is None else {"from": "given by hand", "value": threshold}


def _reasons(scores: Scores, dataset: str | None) -> dict[str, int]:
    """Non-responses by reason."""
    of_dataset = [
        reason
        for sample, reason in zip(scores.samples, scores.reasons, strict=True)
        if reason and (dataset is None or sample.dataset == dataset)
    ]
    return dict(sorted(Counter(of_dataset).items()))


def _notes(table: ScoreTable, thresholds: Mapping[str, Threshold | float]) -> Iterator[str]:
    samples = next(iter(table.configurations.values())).samples
    for split, use in (("train", "learned from them"), ("development", "has its threshold from them")):
        count = sum(sample.split == split for sample in samples)
        if count:
            yield (
                f"{count:,} of {len(samples):,} presentations are of the {split} split: if the model {use}, "
                "the rates are better than on new people. Judge on the test split alone (--split test)."
            )
    repeated = len(samples) - len({(sample.dataset, sample.path) for sample in samples})
    if repeated:
        yield f"{repeated:,} rows name a picture that another row names too; each row counts."
    if any(sample.subject == "" for sample in samples):
        yield (
            "The subject of some presentations is unknown: there, intervals treat every presentation as "
            "independent, and are too narrow if a person has several."
        )
    by_hand = [word for word in table.configurations if not isinstance(thresholds.get(word, 0), Threshold)]
    if len(table.configurations) > 1 and any(word in thresholds for word in by_hand):
        yield (
            "One threshold was given for all configurations, which shift the scores differently: compare "
            "them by the readings of the curve, or each at a threshold of its own."
        )
    without = [word for word in table.configurations if word not in thresholds]
    if without:
        yield f"No threshold for {', '.join(without)}: only readings of the curve, no operating point."
