"""The table of a face study: every arm on the pairs, and what each idea changed."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostiary.metrics.bootstrap import Difference
from ostiary.metrics.verification import compare
from ostiary.reports.comparisons import read_comparisons
from ostiary.study.face_plan import FaceStudy
from ostiary.study.runner import read_record, scores_path

RATES = {
    "accuracy": "accuracy %",
    "eer": "EER %",
    "fnmr_at_fmr:1e-2": "FNMR % at FMR 1e-2",
    "fnmr_at_fmr:1e-3": "FNMR % at FMR 1e-3",
}


@dataclass(frozen=True, slots=True)
class _Done:
    """The finished cells of one arm: one record a seed, and where its comparisons lie."""

    arm: str
    records: tuple[dict[str, Any], ...]
    scores: tuple[Path | None, ...]


def render_face_study(study: FaceStudy, results: Path, runs: Path | None, plan: Path) -> str:
    """The study's Markdown: the arms on the plain pictures and with mirror images, and the differences."""
    done = list(_done(study, results, runs))
    finished = sum(len(group.records) for group in done)
    lines = [
        f"# {study.title or study.name}",
        "",
        f"Plan: `{plan.name}`, made by `ostiary study run-face` and `ostiary study table-face`; {finished} of "
        f"{len(list(study.cells()))} cells are done. Nobody on the pairs was learnt from, nor chosen by: epochs "
        "and ideas were compared on people held out of the training people (last column). 95 % intervals by "
        "bootstrap over people.",
    ]
    if not done:
        return "\n".join([*lines, "", "Nothing is done yet."]) + "\n"
    for key, heading in (("plain", "Single pictures"), ("flip", "Means with the mirror images")):
        lines += ["", f"## {heading}", "", *_rows(done, key)]
    lines += _differences(study, done)
    commits = sorted({record["commit"] for group in done for record in group.records})
    return "\n".join([*lines, "", f"Commits: {', '.join(commits)}."]) + "\n"


def _done(study: FaceStudy, results: Path, runs: Path | None) -> Iterator[_Done]:
    for name in study.arms:
        cells = [cell for cell in study.cells() if cell.arm == name]
        found = [(read_record(results / study.name / f"{cell.name}.json"), cell) for cell in cells]
        known = [(record, cell) for record, cell in found if record is not None]
        if known:
            paths = tuple(scores_path(study.name, cell, runs, results) for _, cell in known)
            yield _Done(name, tuple(record for record, _ in known), paths)


def _rows(done: Sequence[_Done], key: str) -> Iterator[str]:
    first = done[0].records[0][key]
    yield (
        f"{first['n_mated']} mated and {first['n_non_mated']} non-mated pairs of {first['people'] or '?'} people; "
        "intervals of the first seed."
    )
    yield ""
    yield "| arm | seeds | " + " | ".join(RATES.values()) + " | FNMR % at FMR 1e-3, held-out people |"
    yield "|---" * (len(RATES) + 3) + "|"
    for group in done:
        cells = [_shown([record[key].get(name) for record in group.records]) for name in RATES]
        held = [record["training"].get("development", {}).get("development_fnmr") for record in group.records]
        known = [value for value in held if value is not None]
        cells.append(f"{100 * statistics.fmean(known):.1f}" if known else "-")
        yield f"| {group.arm} | {len(group.records)} | " + " | ".join(cells) + " |"


def _shown(values: Sequence[list[float] | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    mean = 100 * statistics.fmean(value[0] for value in known)
    return f"{mean:.2f} ({100 * known[0][1]:.2f} to {100 * known[0][2]:.2f})"


def _differences(study: FaceStudy, done: Sequence[_Done]) -> Iterator[str]:
    base = next((group for group in done if group.arm == study.baseline), None)
    if base is None or base.scores[0] is None:
        return
    first = read_comparisons(base.scores[0]).comparisons()
    rows = []
    for group in done:
        if group is base or group.scores[0] is None:
            continue
        found = compare(first, read_comparisons(group.scores[0]).comparisons())
        rows.append(f"| {group.arm} | " + " | ".join(_changed(found.get(name)) for name in RATES) + " |")
    if rows:
        yield from ("", f"## Difference from `{study.baseline}`", "")
        yield "Single pictures, first seed, the same pairs, paired; in points."
        yield from ("", "| arm | " + " | ".join(RATES.values()) + " |", "|---" * (len(RATES) + 1) + "|")
        yield from rows


def _changed(difference: Difference | None) -> str:
    if difference is None:
        return "-"
    return f"{100 * difference.value:+.2f} ({100 * difference.low:+.2f} to {100 * difference.high:+.2f})"
