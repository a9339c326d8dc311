"""What the gate says: yes or no, why, and how long each stage took; nothing of it changes afterwards.

A measured liveness or similarity helps whoever tries faces until one passes. Both are there for the program that
asked, and neither is printed or written unless it is asked for by name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from ostiary.faces.detector import Box
from ostiary.faces.quality import Cause
from ostiary.gate.outcomes import Outcome, Stage

Reason = (
    Literal[
        "accepted",
        "locked_out",  # too many refusals: wait
        "not_enrolled",  # nobody of this handle, or nobody at all
        "enrolment_expired",
        "enrolled_with_another_model",  # enrol again
        "no_face",
        "several_faces",
        "too_few_frames",  # the frames ended before enough of them agreed
        "presentation_attack",
        "another_person",  # not who was claimed
        "unknown",  # nobody who is enrolled
        "frames_disagree",  # the frames of one presentation show several people
        "no_threshold",  # neither a calibration nor the weights say from when on to accept
        "not_measured",  # a model gave no number
        "error",  # a stage broke; see the log
    ]
    | Cause
)
"""Why the gate opened or did not, for a person to be told."""


def why(outcome: Outcome, failed: Reason) -> Reason:
    """The reason that an outcome gives; ``failed`` is that of a stage which measured, and found too little."""
    known: dict[Outcome, Reason] = {"passed": "accepted", "failed": failed, "missing": "no_threshold"}
    return known.get(outcome, "error" if outcome == "error" else "not_measured")


class StageReport(NamedTuple):
    """What became of one stage, and how many milliseconds it took; of several frames, all of them together."""

    stage: Stage
    outcome: Outcome
    milliseconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision of the gate.

    Attributes:
        accepted: whether to open.
        reason: why, or why not.
        handle: who was accepted; for a refusal who was claimed, None where nobody was.
        liveness: in [0, 1], None if it was not measured; of several frames their mean in log-odds.
        similarity: in [0, 1] to the claimed or most similar person, None if it was not measured; of several
            frames the least. No number of a personal verifier compares with one of an embedding.
        configuration: word of the liveness network that judged.
        time: when the decision was made, with its zone.
        stages: what became of each stage that was begun.
        faces: how many were found, in the last frame.
        frames: how many were judged.
        causes: all that is wrong with the picture, the most helpful first.
        box: of the face, in pixels of the last frame with one.
        retry_s: seconds until the lock-out ends, None if there is none.
        problem: what broke, in one sentence for whoever runs the gate; None if nothing did.

    """

    accepted: bool
    reason: Reason
    handle: str | None
    liveness: float | None = field(default=None, repr=False)
    similarity: float | None = field(default=None, repr=False)
    configuration: str
    time: datetime
    stages: tuple[StageReport, ...] = ()
    faces: int = 0
    frames: int = 0
    causes: tuple[Cause, ...] = ()
    box: Box | None = None
    retry_s: float | None = None
    problem: str | None = None

    def __bool__(self) -> bool:
        """As ``accepted``: ``if gate.verify(...)`` must not be true for a refusal."""
        return self.accepted

    @property
    def milliseconds(self) -> dict[str, float]:
        """How long each stage took."""
        return {report.stage: report.milliseconds for report in self.stages}

    @property
    def outcomes(self) -> dict[Stage, Outcome]:
        """What became of each stage that was begun."""
        return {report.stage: report.outcome for report in self.stages}

    def to_dict(self, *, measurements: bool = False) -> dict[str, Any]:
        """Plain values for JSON.

        Args:
            measurements: with ``liveness`` and ``similarity``. Keep them from whoever stands at the gate.

        """
        plain: dict[str, Any] = {
            "accepted": self.accepted,
            "reason": self.reason,
            "handle": self.handle,
            "configuration": self.configuration,
            "time": self.time.isoformat(timespec="milliseconds"),
            "outcomes": self.outcomes,
            "milliseconds": {stage: round(taken, 3) for stage, taken in self.milliseconds.items()},
            "faces": self.faces,
            "frames": self.frames,
            "causes": list(self.causes),
            "box": None if self.box is None else [round(float(value), 1) for value in self.box],
            "retry_s": None if self.retry_s is None else round(self.retry_s, 1),
            "problem": self.problem,
        }
        if measurements:
            plain |= {"liveness": self.liveness, "similarity": self.similarity}
        return plain
