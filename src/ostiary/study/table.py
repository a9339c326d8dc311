"""The table of a study: every arm and configuration on every judged data set, and what each idea changed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostiary.metrics.bootstrap import Difference
from ostiary.metrics.comparison import Run, averages, compare
from ostiary.reports.scores import ScoreTable, read_scores
from ostiary.study.arms import Cell
from ostiary.study.cell import NAIVE
from ostiary.study.plan import Study
from ostiary.study.runner import read_record, scores_path

RATES = {
    "auc": "AUC",
    "eer": "EER %",
    "acer_pooled": "HTER %",
    "apcer_max": "worst APCER %",
    "bpcer": "BPCER %",
}
"""Columns: HTER, APCER and BPCER are at the threshold of the learnt data sets' development people."""
COMPARED = {
    "auc": "AUC",
    "eer": "EER",
    "bpcer_at_apcer:0.05": "BPCER at APCER 5 %",
    "bpcer_at_apcer:0.1": "BPCER at APCER 10 %",
    "acer_pooled": "HTER",
}
ALL = "all"

Value = tuple[float, float, float]
"""A rate with both ends of its 95 % interval over people; NaN where unknown."""


@dataclass(frozen=True, slots=True)
class Done:
    """The finished cells of one arm and one held-out part: one record a seed."""

    arm: str
    held_out: tuple[str, ...]
    records: tuple[dict[str, Any], ...]
    scores: tuple[Path | None, ...]

    @property
    def words(self) -> list[str]:
        """Configurations that were measured."""
        return list(self.records[0]["configurations"])

    @property
    def datasets(self) -> list[str]:
        """Judged data sets."""
        return list(self.records[0]["configurations"][self.words[0]]["datasets"])


def render_study(study: Study, results: Path, runs: Path | None, plan: Path) -> str:
    """The study's Markdown: its head, a section a held-out part, the means, the differences from the baseline.

    Means over seeds have intervals where the score files are at hand.
    """
    done = list(_done(study, results, runs))
    cells = list(study.cells())
    finished = sum(len(group.records) for group in done)
    lines = [
        f"# {study.title or study.name}",
        "",
        f"Plan: `{plan.name}`, made by `ostiary study run` and `ostiary study table`; {finished} of {len(cells)} "
        f"cells are done. Protocol {study.protocol}, judged on the {' and '.join(study.judged_on)} rows. 95 % "
        "intervals by bootstrap over people; HTER, APCER and BPCER at thresholds of the learnt data sets' "
        "development people.",
    ]
    readings = _Readings()
    if study.protocol == "in_domain":
        lines += _in_domain(done, readings)
    else:
        lines += _held_out(done, readings)
        lines += _means(done, readings)
    lines += _differences(study, done, readings)
    commits = sorted({record["commit"] for group in done for record in group.records})
    lines += ["", f"Commits: {', '.join(commits)}." if commits else "Nothing is done yet."]
    return "\n".join(lines) + "\n"


def _done(study: Study, results: Path, runs: Path | None) -> Iterator[Done]:
    groups: dict[tuple[tuple[str, ...], str], list[Cell]] = {}
    for cell in study.cells():
        groups.setdefault((cell.held_out, cell.arm), []).append(cell)
    for (held_out, arm), cells in groups.items():
        found = [(read_record(results / study.name / f"{cell.name}.json"), cell) for cell in cells]
        records = [(record, cell) for record, cell in found if record is not None]
        if records:
            paths = tuple(scores_path(study.name, cell, runs, results) for _, cell in records)
            yield Done(arm, held_out, tuple(record for record, _ in records), paths)


class _Readings:
    """Values of groups; score files are read once."""

    def __init__(self) -> None:
        self._tables: dict[Path, ScoreTable] = {}

    def values(self, group: Done, word: str, dataset: str) -> dict[str, Value]:
        """Each rate's mean over the seeds, by the records' names."""
        parts = [_part(record, word, dataset) for record in group.records]
        names = [name for name, value in parts[0].items() if isinstance(value, list)]
        if len(parts) == 1:
            return {name: tuple(parts[0][name]) for name in names}
        if None in group.scores:
            return {
                name: (statistics.fmean(part[name][0] for part in parts), math.nan, math.nan) for name in names
            }
        runs = self.runs(group, word, dataset)
        naive = averages([run._replace(threshold=NAIVE) for run in runs])
        found = {**averages(runs), **{f"naive:{name}": value for name, value in naive.items()}}
        return {name: _value(found[name]) for name in names if name in found}

    def runs(self, group: Done, word: str, dataset: str) -> list[Run]:
        """What each seed answered."""
        return [
            Run(
                self._table(path).configurations[word].trials(None if dataset == ALL else dataset),
                record["configurations"][word]["threshold"]["value"],
            )
            for record, path in zip(group.records, group.scores, strict=True)
            if path is not None
        ]

    def difference(self, base: Done, group: Done, words: tuple[str, str], dataset: str) -> dict[str, Difference]:
        """``group`` minus ``base``, paired; empty where score files are missing."""
        if None in base.scores or None in group.scores:
            return {}
        return compare(self.runs(base, words[0], dataset), self.runs(group, words[1], dataset))

    def _table(self, path: Path) -> ScoreTable:
        if path not in self._tables:
            self._tables[path] = read_scores(path)
        return self._tables[path]


def _in_domain(done: Sequence[Done], readings: _Readings) -> Iterator[str]:
    datasets = [ALL, *(done[0].datasets if done else [])]
    columns = {**RATES, "bpcer_at_apcer:0.05": "BPCER % at APCER 5 %", "naive:acer_pooled": "ACER % at .5"}
    for dataset in datasets:
        yield from ("", f"## {'All data sets together' if dataset == ALL else dataset}", "")
        yield from _rows(((group, dataset) for group in done), readings, columns)


def _held_out(done: Sequence[Done], readings: _Readings) -> Iterator[str]:
    parts = list(dict.fromkeys(group.held_out for group in done))
    for held_out in parts:
        groups = [group for group in done if group.held_out == held_out]
        for dataset in groups[0].datasets:
            left = "" if held_out == (dataset,) else f" (held out: {', '.join(held_out)})"
            yield from ("", f"## {dataset}{left}", "")
            yield from _rows(((group, dataset) for group in groups), readings, RATES)


def _rows(groups: Iterable[tuple[Done, str]], readings: _Readings, columns: dict[str, str]) -> Iterator[str]:
    yield "| arm | configuration | seeds | " + " | ".join(columns.values()) + " | n bona fide / attack, people |"
    yield "|---" * (len(columns) + 4) + "|"
    for group, dataset in groups:
        for word in group.words:
            values = readings.values(group, word, dataset)
            part = _part(group.records[0], word, dataset)
            cells = [_shown(name, values[name]) if name in values else "-" for name in columns]
            count = f"{part['n_bona_fide']} / {part['n_attack']}, {part['people'] or '?'}"
            yield f"| {group.arm} | {word} | {len(group.records)} | " + " | ".join(cells) + f" | {count} |"


def _means(done: Sequence[Done], readings: _Readings) -> Iterator[str]:
    """Unweighted over the judged data sets: a large one is no better a stranger than a small one.

    Those that lack the attacks in question have no such rates.
    """
    yield from ("", "## Mean over the judged data sets", "")
    yield "| arm | configuration | data sets | AUC | EER % | HTER % |"
    yield "|---|---|---|---|---|---|"
    for arm, groups in _by_arm(done).items():
        for word in groups[0].words:
            found = [readings.values(group, word, name) for group in groups for name in group.datasets]
            each = [values for values in found if "auc" in values]
            means = {name: _mean([values[name] for values in each]) for name in ("auc", "eer", "acer_pooled")}
            cells = " | ".join(_shown(name, value) for name, value in means.items())
            yield f"| {arm} | {word} | {len(each)} | {cells} |"


def _differences(study: Study, done: Sequence[Done], readings: _Readings) -> Iterator[str]:
    if study.baseline is None:
        return
    arms = _by_arm(done)
    base = {group.held_out: group for group in arms.get(study.baseline, [])}
    rows: list[str] = []
    for arm, groups in arms.items():
        shared = [group for group in groups if group.held_out in base]
        for word in groups[0].words if arm != study.baseline else []:
            found: list[dict[str, Difference]] = []
            for group in shared:
                against = base[group.held_out]
                other = word if word in against.words else against.words[0]
                names = [ALL] if study.protocol == "in_domain" else group.datasets
                found += [readings.difference(against, group, (other, word), name) for name in names]
            found = [difference for difference in found if difference]
            if found:
                cells = [
                    _changed(key, _mean([_value(each[key]) for each in found if key in each])) for key in COMPARED
                ]
                rows.append(f"| {arm} | {word} | {len(found)} | " + " | ".join(cells) + " |")
    if rows:
        yield from ("", f"## Difference from `{study.baseline}`", "")
        yield (
            "The same configuration on the same people, paired; mean over the judged data sets. In points; "
            "for AUC more is better, for the errors less."
        )
        yield from ("", "| arm | configuration | data sets | " + " | ".join(COMPARED.values()) + " |")
        yield "|---" * (len(COMPARED) + 3) + "|"
        yield from rows


def _by_arm(done: Sequence[Done]) -> dict[str, list[Done]]:
    arms: dict[str, list[Done]] = {}
    for group in done:
        arms.setdefault(group.arm, []).append(group)
    return arms


def _part(record: dict[str, Any], word: str, dataset: str) -> dict[str, Any]:
    measured = record["configurations"][word]
    found: dict[str, Any] = measured[ALL] if dataset == ALL else measured["datasets"][dataset]
    return found


def _value(difference: Difference) -> Value:
    return difference.value, difference.low, difference.high


def _mean(values: Sequence[Value]) -> Value:
    """Mean of values of separate people: the half-widths of independent intervals add up in squares."""
    count = len(values)
    if not count:
        return math.nan, math.nan, math.nan
    mean = math.fsum(value for value, _, _ in values) / count
    below = math.sqrt(math.fsum((value - low) ** 2 for value, low, _ in values)) / count
    over = math.sqrt(math.fsum((high - value) ** 2 for value, _, high in values)) / count
    return mean, mean - below, mean + over


def _shown(name: str, value: Value) -> str:
    show: Callable[[float], str] = (lambda x: f"{x:.3f}") if name == "auc" else (lambda x: f"{100 * x:.1f}")
    return _with_interval(value, show)


def _changed(key: str, value: Value) -> str:
    show: Callable[[float], str] = (lambda x: f"{x:+.3f}") if key == "auc" else (lambda x: f"{100 * x:+.1f}")
    return _with_interval(value, show)


def _with_interval(value: Value, show: Callable[[float], str]) -> str:
    middle, low, high = value
    if math.isnan(middle):
        return "-"
    return show(middle) if math.isnan(low) else f"{show(middle)} ({show(low)} to {show(high)})"
