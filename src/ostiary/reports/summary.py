"""The report in one table for a terminal."""

from __future__ import annotations

from rich import box
from rich.table import Table

from ostiary.reports.liveness_report import Report


def summary_table(report: Report) -> Table:
    """A row a configuration and, where there are several, a data set; narrow enough for 80 columns."""
    names = report["header"]["data"]
    title = f"Liveness on {', '.join(name or 'unnamed data' for name in names)}; per cent, 95 % intervals"
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), title_justify="left")
    table.add_column("word")
    if len(names) > 1:
        table.add_column("data", overflow="fold")
    for head in ("APCER", "BPCER", "EER", "BPCER@5%", "AUC"):
        table.add_column(head, justify="right", no_wrap=True)
    for word, found in report["configurations"].items():
        rows = {"all": found, **found.get("datasets", {})}
        for name, rates in rows.items():
            label = [word, name or "unnamed"] if len(names) > 1 else [word]
            table.add_row(*label, *_cells(rates), end_section=len(rows) > 1 and name == list(rows)[-1])
    return table


def _cells(rates: Report) -> list[str]:
    intervals = rates["intervals"]
    return [
        *(_percent(rates[name], intervals.get(name)) for name in ("apcer_max", "bpcer")),
        _percent(rates["eer"]),
        _percent(rates["bpcer_at_apcer"].get("0.05")),
        "-" if rates["auc"] is None else f"{rates['auc']:.3f}",
    ]


def _percent(value: float | None, interval: list[float] | None = None) -> str:
    if value is None:
        return "-"
    text = f"{100 * value:.1f}"
    return f"{text} [dim]({100 * interval[0]:.1f}-{100 * interval[1]:.1f})[/dim]" if interval else text
