"""The report as a page for people, made from the same plain values as ``report.json``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ostiary.reports.liveness_report import Report

ALL = "all"
"""Stands in the column of data sets for all of them together."""


def render(report: Report, plots: Sequence[str] = ()) -> str:
    """Markdown of a report; ``plots`` are names of pictures that lie beside the page."""
    words: Mapping[str, Report] = report["configurations"]
    name = ", ".join(report["header"]["data"])
    sections = [
        _head(report),
        "## Data\n\n" + table(_DATA, _data(words)),
        "## At the threshold\n\n" + _AT_THRESHOLD + table(_RATES, _rows(words, name, _rates)),
        "## Attack species\n\n" + _SPECIES + _species(words, name),
        "## Readings of the curve\n\n" + _READ_OFF + table(_READINGS, _rows(words, name, _readings)),
        "## Without an answer\n\n" + _SILENT + table(_SILENCE, _rows(_once(words), name, _silence)),
        "## Where the thresholds come from\n\n" + table(_ORIGINS, _origins(words)),
        "## What these numbers can bear\n\n" + "\n".join(f"- {line}" for line in _bearing(words)),
    ]
    if plots:
        sections.append("## Plots\n\n" + "\n\n".join(f"![{plot}]({plot})" for plot in plots))
    return "\n\n".join(sections) + "\n"


_AT_THRESHOLD = (
    "A presentation is accepted if liveness >= threshold. APCER: share of attacks accepted, of the worst "
    "species; BPCER: share of bona fide presentations refused. In brackets the 95 % interval; that of a "
    "maximum over species is the maximum in each bootstrap draw, which leans upward. ACER has left the "
    "standard, and stands here for comparison with older work.\n\n"
)
_SPECIES = "APCER of each species at the threshold.\n\n"
_READ_OFF = (
    "Read off on these very data, so none of it is an operating point. AUC and equal error rate (EER) pool "
    "all attacks; BPCER is read where the APCER of every species is at most 1, 5 and 10 %. "
    "A star: the rarest species has too few attacks to speak of that APCER.\n\n"
)
_SILENT = (
    "No face found, picture unreadable, or a face that the quality gate left unjudged (`--quality`). Not part of "
    "the rates above; a door does not accept them.\n\n"
)
_DATA = ("data", "bona fide", "attacks", "people", "attacks by species")
_RATES = (
    "configuration",
    "data",
    "threshold",
    "APCER",
    "worst species",
    "APCER pooled",
    "BPCER",
    "ACER",
    "accuracy",
)
_READINGS = ("configuration", "data", "AUC", "EER", *(f"BPCER @ APCER {p} %" for p in (1, 5, 10)))
_SILENCE = ("configuration", "data", "BPNRR", "APNRR", "reasons")
_ORIGINS = ("configuration", "threshold", "origin")

Cells = Callable[[Report], tuple[str, ...]]


def _head(report: Report) -> str:
    header = report["header"]
    lines = [f"# Liveness on {', '.join(name or 'unnamed data' for name in header['data'])}", ""]
    if header.get("model"):
        lines.append("- model: " + ", ".join(f"{key} {value}" for key, value in header["model"].items() if value))
    lines += [f"- {key}: {header[key]}" for key in ("command", "ostiary", "date") if header.get(key)]
    lines.append(
        f"- {header['n']:,} presentations; intervals from {header['bootstrap_draws']:,} bootstrap draws, "
        f"seed {header['seed']}"
    )
    for note in report["notes"]:
        lines += ["", f"> **Note.** {note}"]
    return "\n".join(lines)


def _rows(words: Mapping[str, Report], name: str, cells: Cells) -> Iterator[tuple[str, ...]]:
    """For each configuration the row of all data, then one a data set if there are several."""
    for word, found in words.items():
        parts = found.get("datasets", {})
        yield word, ALL if parts else name, *cells(found)
        for part, rates in parts.items():
            yield word, part, *cells(rates)


def _data(words: Mapping[str, Report]) -> Iterator[tuple[str, ...]]:
    found = next(iter(words.values()))
    for name, rates in {ALL: found, **found.get("datasets", {})}.items():
        people = "unknown" if rates["people"] is None else f"{rates['people']:,}"
        species = ", ".join(f"{kind} {count:,}" for kind, count in rates["n_species"].items())
        yield name, f"{rates['n_bona_fide']:,}", f"{rates['n_attack']:,}", people, species or "-"


def _rates(rates: Report) -> tuple[str, ...]:
    return (
        _number(rates["threshold"]),
        _rate(rates, "apcer_max"),
        rates["worst_species"] or "-",
        *(_rate(rates, name) for name in ("apcer_pooled", "bpcer", "acer_pooled", "accuracy")),
    )


def _readings(rates: Report) -> tuple[str, ...]:
    stars = {name: "" if reading["supported"] else " *" for name, reading in rates["readings"].items()}
    at_apcer = (_rate(rates, "bpcer_at_apcer", name) + stars.get(name, "") for name in ("0.01", "0.05", "0.10"))
    return _area(rates), _rate(rates, "eer"), *at_apcer


def _silence(rates: Report) -> tuple[str, ...]:
    silent = {name: count for name, count in rates["errors"].get("apnrr", {}).items() if count[0]}
    species = ", ".join(f"{name} {_rate(rates, 'apnrr', name)}" for name in silent)
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in rates["reasons"].items())
    return _rate(rates, "bpnrr"), species or "none", reasons or "-"


def _once(words: Mapping[str, Report]) -> Mapping[str, Report]:
    """Non-responses come before the network as a rule; then one row does for all configurations."""
    if len({tuple(_rows({"": found}, "", _silence)) for found in words.values()}) == 1:
        return {ALL: next(iter(words.values()))}
    return words


def _species(words: Mapping[str, Report], name: str) -> str:
    kinds = sorted({kind for found in words.values() for kind in found["apcer"]})
    if not kinds:
        return "No attack, or no threshold."

    def cells(rates: Report) -> tuple[str, ...]:
        return tuple(_rate(rates, "apcer", kind) for kind in kinds)

    return table(("configuration", "data", *kinds), _rows(words, name, cells))


def _origins(words: Mapping[str, Report]) -> Iterator[tuple[str, ...]]:
    for word, found in words.items():
        origin = found["threshold_origin"]
        if origin is None:
            yield word, "-", "none given"
        elif origin["from"] != "weights":
            yield word, _number(origin["value"]), "given by hand"
        else:
            text = (
                f"stored with the weights: {origin['target']} on {origin['data']} "
                f"({origin['n_bona_fide']:,} bona fide, {origin['n_attack']:,} attacks)"
            )
            yield (
                word,
                _number(origin["value"]),
                f"{text}. {origin['warning']}" if origin["warning"] else text,
            )


def _bearing(words: Mapping[str, Report]) -> Iterator[str]:
    found = next(iter(words.values()))
    for name, rates in {"All data": found, **found.get("datasets", {})}.items():
        counts = {"bona fide presentations": rates["n_bona_fide"]}
        if rates["n_species"]:
            kind = min(rates["n_species"], key=rates["n_species"].get)
            counts[f"attacks of the rarest species ({kind})"] = rates["n_species"][kind]
        for what, count in counts.items():
            if count:
                least = f"{100 * min(1.0, 3 / count):.2g} %"
                yield f"{name}: {count:,} {what} can show no rate below {least} (3/n, without an error)."
        if rates["people"] is not None:
            yield (
                f"{name}: {rates['people']:,} people stand behind them, which is what limits a promise about "
                "new people."
            )
    if any(rates["intervals_over_people"] for rates in words.values()):
        yield (
            "Fewer than 20 people stand behind some rates: `intervals_over_people` in report.json has a more "
            "careful interval, in which each person counts as one trial."
        )


def _rate(rates: Report, name: str, key: str | None = None) -> str:
    value, interval = rates[name], rates["intervals"].get(name)
    if key is not None:
        value, interval = (value or {}).get(key), (interval or {}).get(key)
    if value is None:
        return "-"
    return f"{_percent(value)} %" + (f" ({_percent(interval[0])} - {_percent(interval[1])})" if interval else "")


def _area(rates: Report) -> str:
    if rates["auc"] is None:
        return "-"
    low, high = rates["intervals"]["auc"]
    return f"{rates['auc']:.4f} ({low:.4f} - {high:.4f})"


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; bars and line breaks in its cells are made harmless."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: Any) -> str:
    """Names come from the user's files: a bar or a line break must not break the table."""
    return " ".join(str(text).split()).replace("|", "\\|") or "(unnamed)"
