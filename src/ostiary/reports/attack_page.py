"""The report of an attack test as a page, and as a folder of results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ostiary.reports.folder import replacing
from ostiary.reports.markdown import table

Report = Mapping[str, Any]


def write_attack_test(report: Report, out: Path) -> None:
    """Write report.md and report.json into ``out``, both or none.

    Raises:
        ConfigurationError: the folder cannot be written.

    """
    with replacing(out) as folder:
        (folder / "report.md").write_text(render(report), encoding="utf-8")
        text = json.dumps(report, indent=1, allow_nan=False)
        (folder / "report.json").write_text(text + "\n", encoding="utf-8")


def render(report: Report) -> str:
    """Markdown of a report."""
    header = report["header"]
    lines = ["# Attack test", ""]
    lines += [f"- {key}: {value}" for key, value in header.items() if value not in (None, "")]
    lines += ["", *(found["sentence"] for found in report["species"].values())]
    for note in report["notes"]:
        lines += ["", f"> **Note.** {note}"]
    return "\n".join(lines) + "\n\n" + table(_HEAD, _rows(report)) + "\n"


_HEAD = ("presented", "trials", "accepted", "rate (95 % interval)", "at most (one-sided)", "no answer", "reasons")


def _rows(report: Report) -> Iterator[tuple[str, ...]]:
    if report["bona_fide"] is not None:
        yield _row("yourself (refused)", report["bona_fide"])
    for species, found in report["species"].items():
        yield _row(species, found)


def _row(name: str, found: Report) -> tuple[str, ...]:
    low, high = found["interval"]
    return (
        name,
        str(found["trials"]),
        str(found["accepted"]),
        f"{100 * found['rate']:.1f} % ({100 * low:.1f} - {100 * high:.1f})",
        f"{100 * found['upper_limit']:.1f} %",
        str(found["no_answer"]),
        ", ".join(f"{reason} {count}" for reason, count in found["reasons"].items()),
    )
