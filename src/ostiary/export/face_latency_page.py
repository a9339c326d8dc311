"""The measurements of face_latency.py as Markdown."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ostiary.export.face_latency import BASELINE
from ostiary.export.rewrite import Form


def table(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    (plain,) = (
        form
        for form in report["networks"][BASELINE]["forms"]
        if form["form"] == str(Form()) and form["precision"] == "float32"
    )
    lines = [
        f"MobileFaceNet as it is exported, in floating point: {plain['ms']:.2f} ms; {report['rounds']} rounds.",
        "Ratios of medians to it (plain), to its deployed form in floating point (rewritten) and to that of equal",
        "precision (alike); in brackets the quartiles of the rounds' ratios. Deployed forms in bold.",
        "",
        "| network | precision | form | ms | / plain | / rewritten | / alike | nodes run | Conv | reorders "
        "| Transpose | Split, Concat |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, network in report["networks"].items():
        for form in network["forms"]:
            mark = "**" if form["deployed"] else ""
            cells = [name, form["precision"], f"{mark}{form['form']}{mark}", *_times(form), *_counts(form)]
            lines.append(f"| {' | '.join(cells)} |")
    for name, peer in report["peers"].items():
        lines.append(f"| {name} | | | {' | '.join(_times(peer))} | | | | | |")
    lines += ["", "| network | parameters | multiply-adds | as Zhang 2019 counts |", "|---|---|---|---|"]
    for name, network in report["networks"].items():
        counts = (network[key] for key in ("parameters", "macs", "macs_tsx"))
        lines.append(f"| {name} | {' | '.join(f'{count:,}' for count in counts)} |")
    return "\n".join(lines)


def _times(compared: dict[str, Any]) -> list[str]:
    cells = [f"{compared['ms']:.2f}"]
    for name in ("of_plain", "of_rewritten", "of_rewritten_alike"):
        low, high = compared[f"{name}_quartiles"]
        cells.append(f"{compared[name]:.3f} ({low:.2f} to {high:.2f})")
    return cells


def _counts(form: dict[str, Any]) -> list[str]:
    counts = Counter(form["operators"])
    kinds = (
        ("Conv", "QLinearConv"),
        ("ReorderInput", "ReorderOutput"),
        ("Transpose",),
        ("Split", "Concat", "QLinearConcat"),
    )
    return [str(counts.total()), *(str(sum(counts[kind] for kind in group)) for group in kinds)]
