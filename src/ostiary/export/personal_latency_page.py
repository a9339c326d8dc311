"""The measurements of personal_latency.py as Markdown."""

from __future__ import annotations

from typing import Any

from ostiary.export.personal_latency import BASELINES, WAYS
from ostiary.reports.markdown import table as markdown

AIM = 0.10
"""Of the time of MobileFaceNet: no verifier should take more."""

_WAYS = {"person": "one person's file", "place": "theta in its place", "input": "theta as an input"}
_STEPS = {
    "embedding": "embedding of the aligned crop, by {embedder}",
    "theta": "theta, by a generator of the form {form} for {architecture}",
    "template": "the template in int8",
    "reissue": "issuing it again",
}


def table(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    return "\n\n".join([_alone(report), _enrolment(report["enrolment"]), _search(report["search"])])


def _alone(report: dict[str, Any]) -> str:
    rows = [(name, "deployed, fp32", *_times(found)) for name, found in report["networks"].items()]
    rows = [row if row[0] in BASELINES else (row[0], "the weights file", *row[2:]) for row in rows]
    for name, found in report["verifiers"].items():
        rows += [(name, _WAYS[way], *_times(found[way])) for way in WAYS]
    best = {name: found["person"]["of_mobilefacenet"] for name, found in report["verifiers"].items()}
    kept = [name for name, value in best.items() if value <= AIM]
    return (
        f"One thread, one prepared input, CPU time; medians of {report['rounds']} interleaved rounds, ratios of "
        "medians, in brackets the quartiles of the rounds' ratios.\n\n"
        + markdown(("network", "form", "ms", "/ MobileFaceNet, rewritten", "/ Seesaw-shuffle, deployed"), rows)
        + f"\n\nAim: at most {AIM:.2f} of rewritten MobileFaceNet in one person's file: {_said(kept, best)}."
    )


def _said(kept: list[str], best: dict[str, float]) -> str:
    missed = [name for name in best if name not in kept]
    parts = [(kept, "reached by"), (missed, "missed by")]
    return ", ".join(f"{word} {' and '.join(names)}" for names, word in parts if names)


def _enrolment(found: dict[str, Any]) -> str:
    rows = [(_STEPS[step].format(**found), f"{value:.2f}") for step, value in found["steps_ms"].items()]
    rows.append(("all of it", f"{found['ms']:.2f}"))
    return (
        "Enrolment, from the aligned crop:\n\n"
        + markdown(("step", "ms"), rows)
        + f"\n\nThe session of a person's own is made once, at the first probe: {found['session_ms']:.2f} ms."
    )


def _search(found: dict[str, Any]) -> str:
    counts = [str(count) for count in found["people"]]
    rows = [(way, *(f"{ms[count]:.2f}" for count in counts)) for way, ms in found["ms"].items()]
    crossings = [
        (way, *(f"more than {counts[-1]}" if at is None else str(at) for at in models.values()))
        for way, models in found["crossover"].items()
    ]
    models = next(iter(found["crossover"].values()))
    return (
        "One probe against N people, from the aligned crop to N similarities, ms:\n\n"
        + markdown(("N", *counts), rows)
        + "\n\nFrom how many people on the embedding is cheaper (between measured numbers by a straight line):\n\n"
        + markdown(("personal networks", *models), crossings)
    )


def _times(found: dict[str, Any]) -> tuple[str, ...]:
    cells = [f"{found['ms']:.3f}"]
    for base in BASELINES:
        low, high = found[f"of_{base}_quartiles"]
        cells.append(f"{found[f'of_{base}']:.3f} ({low:.3f} to {high:.3f})")
    return tuple(cells)
