"""The report in one table for a terminal."""

from __future__ import annotations

from rich.table import Table

from ostiary.reports.liveness_report import Report


def summary_table(report: Report) -> Table:
    """A row a configuration and, where there are several, a data set; rates in per cent with intervals."""
    header = report["header"]
    names = header["data"]
    table = Table(title=f"Liveness on {', '.join(name or 'unnamed data' for name in names)}")
    table.add_column("configuration")
    if len(names) > 1:
        table.add_column("data")
    for head in ("APCER %", "BPCER %", "EER %", "AUC", "BPCER @ APCER 5 %"):
        table.add_column(head, justify="right")
    for word, found in report["configurations"].items():
        rows = {"all": found, **found.get("datasets", {})} if len(names) > 1 else {"": found}
        for name, rates in rows.items():
            label = [word, name] if name else [word]
            table.add_row(*label, *_cells(rates), end_section=name == list(rows)[-1])
    return table


def _cells(rates: Report) -> list[str]:
    reading = (rates["bpcer_at_apcer"] or {}).get("0.05")
    return [
        *(_percent(rates[name], rates["intervals"].get(name)) for name in ("apcer_max", "bpcer", "eer")),
        "-" if rates["auc"] is None else f"{rates['auc']:.4f}",
        _percent(reading, rates["intervals"].get("bpcer_at_apcer", {}).get("0.05")),
    ]


def _percent(value: float | None, interval: list[float] | None) -> str:
    if value is None or interval is None:
        return "-"
    low, high = (f"{100 * limit:.1f}" for limit in interval)
    return f"{100 * value:.2f} [dim]({low} - {high})[/dim]"
