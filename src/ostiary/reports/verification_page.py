"""The report of ``evaluate face`` for people: a page in Markdown, and a table for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich import box
from rich.table import Table

from ostiary.reports.markdown import table
from ostiary.reports.verification_report import Report


def render(report: Report, plots: Sequence[str] = ()) -> str:
    """Markdown of a report; ``plots`` are names of pictures that lie beside the page."""
    sections = [
        _head(report),
        "## Rates\n\n" + _RATES + table(("view", *_names(report)), _rates(report)),
        "## Thresholds\n\n" + _THRESHOLDS + table(("rule", "similarity", "FMR", "FNMR"), _thresholds(report)),
        "## Folds\n\n" + table(("fold", "accuracy", "threshold from the others"), _folds(report)),
    ]
    if report.get("flip_difference"):
        rows = ((name, _difference(found)) for name, found in report["flip_difference"].items())
        sections.append(
            "## What the mirror image changes\n\n" + _MIRROR + table(("rate", "with minus without"), rows)
        )
    if "groups" in report:
        sections.append("## Groups\n\n" + _GROUPS + table(_group_names(report), _groups(report)))
    sections.append("## Pairs and pictures\n\n" + table(("what", "listed", "used", "not used"), _counts(report)))
    if plots:
        sections.append("## Plots\n\n" + "\n\n".join(f"![{plot}]({plot})" for plot in plots))
    return "\n\n".join(sections) + "\n"


def summary_table(report: Report) -> Table:
    """A row a view; narrow enough for 80 columns."""
    title = f"Verification on {report['header']['data']}; per cent, 95 % intervals"
    shown = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), title_justify="left")
    shown.add_column("view")
    for head in ("accuracy +-", "AUC", "EER", *(f"FNMR@{name}" for name in report["fnmr_at_fmr"])):
        shown.add_column(head, justify="right", no_wrap=True)
    for name, found in _views(report).items():
        spread = found["accuracy_standard_error"]
        accuracy = _brief(found["accuracy"]) + ("" if spread is None else f" [dim]{100 * spread:.1f}[/dim]")
        read = (_brief(value, _interval(found, rate)) for rate, value in found["fnmr_at_fmr"].items())
        shown.add_row(
            name, accuracy, _brief(found["auc"]), _brief(found["eer"], found["intervals"].get("eer")), *read
        )
    return shown


_RATES = (
    "Accuracy by the k-fold protocol (threshold from the other folds), with its standard error over the folds; in "
    "brackets 95 % intervals. AUC, equal error rate (EER) and FNMR at an FMR are read off on these very data: no "
    "operating points. A dash: too few pairs, see the notes.\n\n"
)
_THRESHOLDS = "Two pictures match if their similarity is at least the threshold.\n\n"
_MIRROR = "Paired bootstrap over the same draws; beyond chance where the interval leaves out 0.\n\n"
_GROUPS = (
    "Each group at the thresholds of all pairs, as one door has for everybody (ISO/IEC 19795-10). AUC and EER are "
    "of the group alone.\n\n"
)


def _head(report: Report) -> str:
    header = report["header"]
    lines = [f"# Verification on {header['data']}", ""]
    if header.get("model"):
        lines.append("- model: " + ", ".join(f"{key} {value}" for key, value in header["model"].items() if value))
    lines += [f"- {key}: {header[key]}" for key in ("command", "ostiary", "commit", "date") if header.get(key)]
    people = "unknown people" if header["people"] is None else f"{header['people']:,} people"
    lines.append(
        f"- {report['n_mated']:,} mated and {report['n_non_mated']:,} non-mated pairs of {people}; intervals from "
        f"{header['bootstrap_draws']:,} draws, seed {header['seed']}: {_methods(report)}"
    )
    for note in report["notes"]:
        lines += ["", f"> **Note.** {note}"]
    return "\n".join(lines)


def _methods(report: Report) -> str:
    methods = dict(report["interval_methods"])
    named = [*methods.pop("fnmr_at_fmr", {}).values(), *methods.values()]
    return ", ".join(sorted(set(named))) or "none"


def _views(report: Report) -> Mapping[str, Report]:
    return {name: report[key] for name, key in _VIEWS.items() if key in report}


def _names(report: Report) -> tuple[str, ...]:
    return "accuracy", "AUC", "EER", *(f"FNMR @ {name}" for name in report["fnmr_at_fmr"])


def _rates(report: Report) -> Iterator[tuple[str, ...]]:
    for name, found in _views(report).items():
        spread = found["accuracy_standard_error"]
        accuracy = _rate(found, "accuracy") + ("" if spread is None else f" +- {100 * spread:.2f}")
        readings = [_percent(value, _interval(found, name)) for name, value in found["fnmr_at_fmr"].items()]
        yield name, accuracy, _rate(found, "auc"), _rate(found, "eer"), *readings


def _interval(found: Report, target: str) -> Sequence[float] | None:
    limits: Sequence[float] | None = found["intervals"].get("fnmr_at_fmr", {}).get(target)
    return limits


def _rate(found: Report, name: str) -> str:
    return _percent(found[name], found["intervals"].get(name))


def _thresholds(report: Report) -> Iterator[tuple[str, ...]]:
    for name, point in report["at"].items():
        limits = point["intervals"]
        rates = (_percent(point[rate], limits.get(rate)) for rate in ("fmr", "fnmr"))
        yield f"{name} with the weights", f"{point['threshold']:.5f}", *rates
    if "eer" in report["thresholds"]:
        yield "EER", f"{report['thresholds']['eer']:.5f}", *[_percent(report["eer"])] * 2
    for name, reading in report["readings"].items():
        if reading["supported"]:
            fnmr = _percent(report["fnmr_at_fmr"][name], _interval(report, name))
            yield f"FMR <= {name}", f"{reading['threshold']:.5f}", _percent(reading["fmr"]), fnmr


def _folds(report: Report) -> Iterator[tuple[str, ...]]:
    for fold in report["folds"]:
        yield str(fold["fold"]), _percent(fold["accuracy"]), f"{fold['threshold']:.5f}"


def _difference(found: Report) -> str:
    low, high = found["interval"]
    return f"{100 * found['value']:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})"


def _group_names(report: Report) -> tuple[str, ...]:
    some = next(iter(report["groups"].values()))
    rates = (f"{rate} @ {name}" for name in some["at"] for rate in ("FMR", "FNMR"))
    return "group", "mated", "non-mated", "people", "accuracy", "AUC", "EER", *rates


def _groups(report: Report) -> Iterator[tuple[str, ...]]:
    for name, group in report["groups"].items():
        rates = (
            _percent(point[rate], point["intervals"].get(rate))
            for point in group["at"].values()
            for rate in ("fmr", "fnmr")
        )
        people = "unknown" if group["people"] is None else f"{group['people']:,}"
        counts = f"{group['n_mated']:,}", f"{group['n_non_mated']:,}", people
        yield name, *counts, *(_rate(group, rate) for rate in ("accuracy", "auc", "eer")), *rates


def _counts(report: Report) -> Iterator[tuple[str, ...]]:
    skipped = ", ".join(f"{reason} {count:,}" for reason, count in report["pairs_skipped_reasons"].items())
    yield "pairs", f"{report['pairs']:,}", f"{report['pairs_used']:,}", skipped or "-"
    pictures = ", ".join(f"{reason} {len(names):,}" for reason, names in report["pictures_skipped"].items())
    yield "pictures", f"{report['pictures']:,}", f"{report['pictures_used']:,}", pictures or "-"


def _percent(value: float | None, limits: Sequence[float] | None = None) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.2f}" + (f" ({100 * limits[0]:.2f} - {100 * limits[1]:.2f})" if limits else "")


def _brief(value: float | None, limits: Sequence[float] | None = None) -> str:
    if value is None:
        return "-"
    text = f"{100 * value:.1f}"
    return f"{text} [dim]({100 * limits[0]:.1f}-{100 * limits[1]:.1f})[/dim]" if limits else text


_VIEWS = {"plain": "without_flip", "flip": "with_flip"}
