"""A calibration in sentences: what was chosen, what was measured there, and what it is worth."""

from __future__ import annotations

from collections.abc import Iterator

from ostiary.gate.calibration import Calibration, Companion, Operating


def calibration_lines(calibration: Calibration) -> Iterator[str]:
    """A few lines for each threshold."""
    for word, operating in calibration.liveness.items():
        yield from _lines(f"liveness, {word}" if word else "liveness", operating)
    if calibration.matching is not None:
        mirrored = " with the mirrored face" if calibration.matching_flip else ""
        yield from _lines(f"similarity{mirrored}", calibration.matching)


def _lines(what: str, operating: Operating) -> Iterator[str]:
    moved = ""
    if operating.value_low is not None and operating.value_high is not None:
        moved = f"; on other people {operating.value_low:.4f} - {operating.value_high:.4f}"
    yield f"{what}: accept at >= {operating.value:.6g} for {operating.target} on {operating.data}{moved}"
    if operating.rate is not None and operating.low is not None and operating.high is not None:
        name = operating.target.partition("=")[0].upper()
        yield f"  {name} {_measured(operating.rate, operating.low, operating.high)}, {_behind(operating)}" + (
            ""
            if operating.upper_limit is None
            else f"; at most {100 * operating.upper_limit:.2f} % (one-sided 95 %)"
        )
    if operating.other is not None:
        other = operating.other
        yield f"  {other.name.upper()} {_measured(other.rate, other.low, other.high)}, {_behind(other)}"
    if operating.warning:
        yield f"  {operating.warning}"


def _measured(rate: float, low: float, high: float) -> str:
    return f"{100 * rate:.2f} % ({100 * low:.2f} - {100 * high:.2f} %)"


def _behind(found: Operating | Companion) -> str:
    people = "unknown people" if found.people is None else f"{found.people:,} people"
    return f"{found.trials:,} trials of {people}"
