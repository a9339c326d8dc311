"""The evaluation of a whole door: from a list and pictures to FRR, FAR, IAPAR and RIAPAR, as a report.

Layout of ``report.json`` (docs/calibration.md explains each rate)::

    header          what was run on what: command, date, version, door, data, n, people, seed
    notes           sentences that a reader must know before believing a number
    enrolment       people, failed, reasons
    n_mated, n_non_mated, n_species, people
    frr, far, iapar (by species), iapar_max, worst_species, riapar (by species), riapar_max
    no_answer       by kind of attempt: the share where something could not be measured
    reasons         by kind of attempt: how often the door gave each reason
    intervals, intervals_over_people, interval_methods, errors: with the names of the rates
    datasets        the rates again for each data set, where there are several

Rates are shares in [0, 1] (RIAPAR: in [0, 2]), and null where there is no attempt of the kind.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import ostiary
from ostiary.data.pictures import PictureStore
from ostiary.metrics.bootstrap import DRAWS, FEW_PEOPLE
from ostiary.metrics.intervals import trials_needed, upper_limit
from ostiary.metrics.rates import Rate
from ostiary.metrics.system import KINDS, SystemRates, system_rates
from ostiary.reports.folder import replacing
from ostiary.reports.system_page import render
from ostiary.reports.system_run import Door, Run, run_trials, write_transactions
from ostiary.reports.system_trials import IMPOSTORS, TrialList

LEVEL = 0.95

Report = dict[str, Any]


def evaluate_system(
    trials: TrialList,
    pictures: PictureStore,
    door: Door,
    out: Path,
    *,
    header: Mapping[str, Any] | None = None,
    left_out: Mapping[str, int] | None = None,
    impostors: int = IMPOSTORS,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Run the list through a door, and write trials.csv, transactions.csv, report.md and report.json.

    Args:
        trials: whom to enrol and what to present.
        pictures: where they lie.
        door: what decides.
        out: folder of the results; replaced file by file at the end.
        header: values to store about the run, such as ``command`` and ``door``.
        left_out: rows that are not in the list, by reason.
        impostors: pictures of each other person that are tried against an enrolment.
        draws: bootstrap draws.
        seed: of the bootstrap.
        progress: called with (attempts done, attempts in all).

    Raises:
        DataIndexError: pictures are missing, or nobody could be enrolled.
        ConfigurationError: ``out`` cannot be written.

    """
    with replacing(out) as folder:
        trials.write_csv(folder / "trials.csv")
        run = run_trials(trials, pictures, door, impostors=impostors, progress=progress)
        unused = dict(left_out or {})
        if trials.not_enrolled:
            unused["attack_on_nobody_enrolled"] = unused.get("attack_on_nobody_enrolled", 0) + trials.not_enrolled
        report = build_system_report(run, header or {}, left_out=unused, draws=draws, seed=seed)
        write_transactions(run.transactions, folder / "transactions.csv")
        (folder / "report.md").write_text(render(report), encoding="utf-8")
        text = json.dumps(report, indent=1, allow_nan=False)
        (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    return report


def build_system_report(
    run: Run,
    header: Mapping[str, Any],
    *,
    left_out: Mapping[str, int] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Report:
    """The report of a run, as plain values.

    Raises:
        RateError: there was no attempt.

    """
    rates = system_rates(run.columns(), draws=draws, seed=seed, level=LEVEL)
    report: Report = {
        "format": "1",
        "header": {
            **header,
            "ostiary": ostiary.__version__,
            "date": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
            "data": run.datasets,
            "n": len(run.transactions),
            "seed": seed,
            "bootstrap_draws": draws,
            "level": LEVEL,
        },
        "notes": list(_notes(run, rates, left_out or {})),
        "enrolment": {
            "people": run.enrolled,
            "failed": len(run.failed),
            "reasons": dict(sorted(Counter(run.failed.values()).items())),
        },
        "left_out": dict(left_out or {}),
        **_plain(rates),
        "reasons": _reasons(run),
    }
    if len(run.datasets) > 1:
        report["datasets"] = {
            name: _plain(system_rates(run.columns(name), draws=draws, seed=seed, level=LEVEL))
            for name in run.datasets
        }
    return report


def _plain(rates: SystemRates) -> Report:
    """The rates as numbers, and under the same names their intervals, methods and counts."""
    single = {name: getattr(rates, name) for name in ("frr", "far", "iapar_max", "riapar_max")}
    grouped: dict[str, Mapping[str, Rate]] = {
        "iapar": rates.iapar,
        "riapar": rates.riapar,
        "no_answer": dict(rates.no_answer.items()),
    }

    def each(take: Callable[[Rate], Any]) -> Report:
        found: Report = {name: take(rate) for name, rate in single.items() if rate is not None}
        found |= {
            name: {key: take(rate) for key, rate in group.items()} for name, group in grouped.items() if group
        }
        return found

    return {
        "n_mated": rates.n_mated,
        "n_non_mated": rates.n_non_mated,
        "n_species": rates.n_species,
        "people": rates.people,
        "worst_species": rates.worst_species,
        **dict.fromkeys(single),
        **{name: {} for name in grouped},
        **each(lambda rate: rate.value),
        "intervals": each(lambda rate: [rate.interval.low, rate.interval.high]),
        "intervals_over_people": each(_careful),
        "interval_methods": each(lambda rate: rate.interval.method),
        "errors": each(lambda rate: [rate.errors, rate.trials]),
        "people_behind": each(lambda rate: rate.people),
    }


def _careful(rate: Rate) -> list[float] | None:
    return None if rate.people_interval is None else [rate.people_interval.low, rate.people_interval.high]


def _reasons(run: Run) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for kind in KINDS:
        counted = Counter(done.reason for done in run.transactions if done.attempt.kind == kind)
        found[kind] = dict(counted.most_common())
    return found


def _notes(run: Run, rates: SystemRates, left_out: Mapping[str, int]) -> Iterator[str]:
    if run.failed:
        yield (
            f"{len(run.failed)} of {run.enrolled} people could not be enrolled and were not tried; for them the "
            "door stays shut, which FRR does not count."
        )
    for reason, count in left_out.items():
        yield f"{count:,} pictures were left out: {_LEFT_OUT.get(reason, reason)}."
    if not rates.n_species:
        yield "There was no attack, so that nothing is known of what a picture of a user would open."
    if rates.far is not None and rates.far.people is not None:
        limit = upper_limit(rates.far.errors or 0, rates.far.trials, level=LEVEL)
        yield (
            f"FAR: {rates.far.errors} of {rates.far.trials:,} attempts of others were accepted. Were they "
            f"independent, FAR would be at most {100 * limit:.2f} % with 95 % confidence; but they are of "
            f"{rates.far.people} people, and it takes {trials_needed(1e-3).without_error:,} independent ones "
            "without an error to show 0.1 %."
        )
    if rates.people is not None and rates.people < FEW_PEOPLE:
        yield (
            f"Only {rates.people} people stand behind these rates: `intervals_over_people` has a more careful "
            "interval, in which each person counts as one trial."
        )


_LEFT_OUT = {
    "no_subject": "nobody knows whom they show",
    "attack_on_nobody_enrolled": "attacks that show nobody who is enrolled",
}
