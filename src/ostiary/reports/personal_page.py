"""The report of ``evaluate personal`` for people: a page in Markdown, and a table for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table

from ostiary.reports.markdown import table
from ostiary.reports.verification_report import Report

VIEWS = {"one_way": "one way", "symmetrised": "symmetrised", "backbone": "backbone"}
"""The parts of a report and what they are called."""


def render_personal(report: Report, plots: Sequence[str] = ()) -> str:
    """Markdown of a report; ``plots`` are names of pictures that lie beside the page."""
    one_way, header = report["one_way"], report["header"]
    lines = [f"# Personal verifiers on {header['data']}", ""]
    lines.append("- model: " + ", ".join(f"{key} {value}" for key, value in header["model"].items() if value))
    lines += [f"- {key}: {header[key]}" for key in ("command", "ostiary", "commit", "date") if header.get(key)]
    lines.append(f"- {one_way['n_mated']:,} mated and {one_way['n_non_mated']:,} non-mated pairs")
    for note in one_way["notes"]:
        lines += ["", f"> **Note.** {note}"]
    sections = ["\n".join(lines), "## Rates\n\n" + _RATES + table(_names(report), _rows(report))]
    if report["differences"]:
        sections.append("## Less the backbone\n\n" + _LESS + table(_less_names(report), _less(report)))
    sections.append(f"## Control\n\n{_CONTROL}AUC: {_percent(report['shuffled_auc'])}.")
    if plots:
        sections.append("## Plots\n\n" + "\n\n".join(f"![{plot}]({plot})" for plot in plots))
    return "\n\n".join(sections) + "\n"


def personal_table(report: Report) -> Table:
    """A row a view; narrow enough for 80 columns."""
    title = f"Personal verifiers on {report['header']['data']}; per cent"
    shown = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), title_justify="left")
    view, *rates = _names(report)
    shown.add_column(view)
    for rate in rates:
        shown.add_column(rate, justify="right", no_wrap=True)
    for row in _rows(report, intervals=False):
        shown.add_row(*row)
    shown.caption = f"AUC by the theta of somebody else, which must be 50: {_percent(report['shuffled_auc'])}"
    shown.caption_justify = "left"
    return shown


_RATES = (
    "One way, the first picture of a pair enrols and the second is the probe. Symmetrised, both do both. Backbone "
    "is the cosine of the embeddings, from which the verifiers are made. In brackets 95 % intervals; one_way.md "
    "and symmetrised.md say more.\n\n"
)
_LESS = "Paired bootstrap over the same draws; beyond chance where the interval leaves out 0.\n\n"
_CONTROL = "By a theta that was dealt out at random nobody can be told from anybody, so that it must be 50. "


def _names(report: Report) -> tuple[str, ...]:
    return "view", "accuracy", "AUC", "EER", *(f"FNMR @ {name}" for name in report["one_way"]["fnmr_at_fmr"])


def _rows(report: Report, *, intervals: bool = True) -> Iterator[tuple[str, ...]]:
    for key, name in VIEWS.items():
        found = report[key]
        limits = found["intervals"] if intervals else {}
        single = (_percent(found[rate], limits.get(rate)) for rate in ("accuracy", "auc", "eer"))
        read = limits.get("fnmr_at_fmr", {})
        yield name, *single, *(_percent(value, read.get(rate)) for rate, value in found["fnmr_at_fmr"].items())


def _less_names(report: Report) -> tuple[str, ...]:
    rates = (name.replace("fnmr_at_fmr:", "FNMR @ ") for name in report["differences"]["one_way"])
    return "view", *(name.upper() if name in ("auc", "eer") else name for name in rates)


def _less(report: Report) -> Iterator[tuple[str, ...]]:
    for key, found in report["differences"].items():
        apart = (
            f"{100 * one['value']:+.2f} ({100 * one['interval'][0]:+.2f} to {100 * one['interval'][1]:+.2f})"
            for one in found.values()
        )
        yield VIEWS[key], *apart


def _percent(value: float | None, limits: Sequence[float] | None = None) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.2f}" + (f" ({100 * limits[0]:.2f} - {100 * limits[1]:.2f})" if limits else "")
