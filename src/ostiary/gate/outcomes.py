"""What became of each stage, and the one function that opens: all required stages passed, or the gate is shut.

A stage that failed, that nobody has measured, that has no threshold to be measured against, that broke, or that
nobody has heard of all count alike: not passed. No stage makes up for another.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Stage = Literal["lockout", "enrolment", "detection", "quality", "liveness", "matching", "log"]
"""In the order in which a refusal is explained: the first that has not passed gives the reason."""

Outcome = Literal["passed", "failed", "missing", "error", "not_measured"]
"""``failed``: measured, and not enough. ``not_measured``: no answer, or one that is no number in its range.
``missing``: there is nothing to measure with or against, such as a threshold. ``error``: the stage broke.
"""

STAGES: tuple[Stage, ...] = get_args(Stage)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

ALWAYS_REQUIRED: frozenset[Stage] = frozenset({"enrolment", "detection", "quality", "liveness", "matching"})
"""No policy opens a gate without these."""

TO_ENROL: frozenset[Stage] = frozenset({"detection", "quality"})
"""What a photo must have to be enrolled; liveness as well, unless somebody watched it being taken."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the gate opens; ``stopped_by`` is the first stage that keeps it shut, None if it opens."""

    opens: bool
    stopped_by: Stage | None


def decide(outcomes: Mapping[Stage, Outcome], required: Collection[Stage]) -> Verdict:
    """Open if every required stage has passed.

    Args:
        outcomes: by stage; a stage that is not there is ``missing``.
        required: the stages that must have passed. Where none is required nothing has been shown: it stays shut.

    """
    shut = [stage for stage in STAGES if stage in required and outcomes.get(stage) != "passed"]
    opens = bool(required) and not shut and set(required) <= set(STAGES)
    return Verdict(opens, shut[0] if shut else None)


def worst_of(outcomes: Iterable[Outcome]) -> Outcome:
    """What several faces, or several frames, come to together: ``passed`` only if there is one and all have."""
    return min(outcomes, key=_WORST_FIRST.index, default="missing")


def compared(value: float | None, threshold: float | None) -> Outcome:
    """What a measurement in [0, 1] comes to: passed if it reaches the threshold.

    A threshold that is not above 0 would pass everything, and counts as none; one above 1 is reached by nothing.
    """
    if threshold is None or not 0 < threshold < math.inf:
        return "missing"
    if value is None or not 0 <= value <= 1:  # also true for NaN
        return "not_measured"
    return "passed" if value >= threshold else "failed"


_WORST_FIRST: tuple[Outcome, ...] = ("error", "failed", "missing", "not_measured", "passed")
