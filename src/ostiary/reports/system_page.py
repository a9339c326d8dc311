"""The report of a system evaluation for people: a page in Markdown, and a table for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from ostiary.reports.markdown import table

Report = dict[str, Any]

_KINDS = {"mated": "enrolled person", "non_mated": "another person", "attack": "attack"}
_RATES = (
    "Over all attempts; where something could not be measured the door did not open. In brackets the 95 % "
    "interval. FRR: enrolled people refused. FAR: other people accepted. IAPAR: attacks that show the enrolled "
    "person and are accepted by liveness and matching together, of the worst species. RIAPAR: IAPAR + FRR.\n\n"
)


def render(report: Report) -> str:
    """Markdown of a report."""
    sections = [
        _head(report),
        "## Rates\n\n" + _RATES + table(_RATE_HEAD, _rates(report)),
        "## Attack species\n\n" + _species(report),
        "## What the door said\n\n" + table(("attempt", "n", "no answer", "reasons"), _answers(report)),
        "## Enrolment\n\n" + table(("people", "could not be enrolled", "reasons"), [_enrolment(report)]),
    ]
    return "\n\n".join(sections) + "\n"


def system_table(report: Report) -> Table:
    """A row a data set; narrow enough for 80 columns."""
    title = f"Door on {', '.join(name or 'unnamed data' for name in report['header']['data'])}; per cent, 95 %"
    shown = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), title_justify="left")
    for head in ("data", "FRR", "FAR", "IAPAR", "worst species", "RIAPAR"):
        shown.add_column(head, justify="left" if head in ("data", "worst species") else "right")
    for row in _rates(report):
        shown.add_row(row[0], *row[4:])
    return shown


_RATE_HEAD = ("data", "enrolled", "others", "attacks", "FRR", "FAR", "IAPAR", "worst species", "RIAPAR")


def _head(report: Report) -> str:
    header = report["header"]
    lines = [f"# The door on {', '.join(name or 'unnamed data' for name in header['data'])}", ""]
    if header.get("door"):
        lines.append("- door: " + ", ".join(f"{key} {value}" for key, value in header["door"].items() if value))
    lines += [f"- {key}: {header[key]}" for key in ("command", "ostiary", "commit", "date") if header.get(key)]
    people = "unknown people" if report["people"] is None else f"{report['people']:,} people"
    lines.append(
        f"- {header['n']:,} attempts of {people}; intervals from {header['bootstrap_draws']:,} bootstrap draws, "
        f"seed {header['seed']}"
    )
    for note in report["notes"]:
        lines += ["", f"> **Note.** {note}"]
    return "\n".join(lines)


def _parts(report: Report) -> Mapping[str, Report]:
    name = ", ".join(name or "unnamed data" for name in report["header"]["data"])
    return {"all": report, **report["datasets"]} if "datasets" in report else {name: report}


def _rates(report: Report) -> Iterator[tuple[str, ...]]:
    for name, found in _parts(report).items():
        counts = found["n_mated"], found["n_non_mated"], sum(found["n_species"].values())
        frr, far, iapar, riapar = (_rate(found, key) for key in ("frr", "far", "iapar_max", "riapar_max"))
        yield name, *(f"{count:,}" for count in counts), frr, far, iapar, found["worst_species"] or "-", riapar


def _species(report: Report) -> str:
    rows = []
    for name, found in _parts(report).items():
        for species, count in found["n_species"].items():
            people = found["people_behind"]["iapar"][species]
            rows.append(
                (
                    species,
                    name,
                    f"{count:,}",
                    "unknown" if people is None else f"{people:,}",
                    _rate(found, "iapar", species),
                    _rate(found, "riapar", species),
                )
            )
    head = ("species", "data", "attempts", "people", "IAPAR", "RIAPAR")
    return table(head, rows) if rows else "No attack."


def _answers(report: Report) -> Iterator[tuple[str, ...]]:
    for kind, name in _KINDS.items():
        reasons = report["reasons"][kind]
        shown = ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())
        yield name, f"{sum(reasons.values()):,}", _rate(report, "no_answer", kind), shown or "-"


def _enrolment(report: Report) -> tuple[str, ...]:
    found = report["enrolment"]
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in found["reasons"].items())
    return f"{found['people']:,}", f"{found['failed']:,}", reasons or "-"


def _rate(found: Report, name: str, key: str | None = None) -> str:
    value, interval = found[name], found["intervals"].get(name)
    if key is not None:
        value, interval = (value or {}).get(key), (interval or {}).get(key)
    return "-" if value is None else f"{_percent(value)} ({_limits(interval)})"


def _limits(interval: Sequence[float]) -> str:
    return f"{_percent(interval[0])} - {_percent(interval[1])}"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
