"""The rules that decide, written out, for code in another language to be compared with all of them at once."""

from __future__ import annotations

import base64
import itertools
import math
import zlib
from typing import Any

from ostiary.faces.quality import CAUSES
from ostiary.gate.outcomes import ALWAYS_REQUIRED, OUTCOMES, STAGES, TO_ENROL, Stage, compared, decide, worst_of
from ostiary.runtime.clip import MeanOfLogits

TO_LIVE: frozenset[Stage] = TO_ENROL | {"liveness"}
"""What a living face has shown; it says nothing about whose it is."""

_REASONS = (
    "accepted",
    "no_face",
    "several_faces",
    *CAUSES,
    "presentation_attack",
    "another_person",
    "no_threshold",
    "not_measured",
    "error",
)
"""What can become of one picture where one person is claimed, and nobody keeps a vault or counts tries."""


def rules() -> dict[str, Any]:
    """The rules that decide, written out.

    ``table`` has one byte for each combination of outcomes, in the order of ``itertools.product``, a factor a
    stage: the place of the stage that keeps the gate shut, or 255 where it opens. ``clips`` are lists of
    liveness, threshold and what they come to together. NaN and infinity stand as words.
    """
    table = bytearray()
    for row in itertools.product(OUTCOMES, repeat=len(STAGES)):
        stopped_by = decide(dict(zip(STAGES, row, strict=True)), STAGES).stopped_by
        table.append(255 if stopped_by is None else STAGES.index(stopped_by))
    values = (None, math.nan, -math.inf, math.inf, -1e-9, 0.0, 0.5, math.nextafter(0.5, 0), 1.0, 1 + 1e-9, 1.5)
    return {
        "stages": list(STAGES),
        "outcomes": list(OUTCOMES),
        "to_pass": [stage for stage in STAGES if stage in ALWAYS_REQUIRED],
        "to_live": [stage for stage in STAGES if stage in TO_LIVE],
        "reasons": list(_REASONS),
        "table": packed(bytes(table)),
        "compared": [
            [_plain(value), _plain(threshold), compared(value, threshold)]
            for value, threshold in itertools.product(values, repeat=2)
        ],
        "worst": [[row, worst_of(row)] for n in range(4) for row in itertools.product(OUTCOMES, repeat=n)],
        "clips": [_clip(answers) for answers in itertools.product((0.0, 0.2, 0.7, 1.0), repeat=3)],
    }


def packed(content: bytes) -> str:
    """Bytes as base64 of their zlib-compressed form."""
    return base64.b64encode(zlib.compress(content, 9)).decode()


def _clip(answers: tuple[float, ...]) -> dict[str, Any]:
    rule = MeanOfLogits(0.6, len(answers))
    for answer in answers:
        rule.add(answer)
    state = rule.state
    return {"threshold": 0.6, "liveness": answers, "together": state.liveness, "accepted": state.accepted}


def _plain(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(value)
