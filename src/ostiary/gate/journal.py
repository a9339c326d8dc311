"""One run through the stages: what became of each, why, and how long it took; one that breaks becomes ``error``.

What a foreign exception says may hold numbers of a face. So the log and the decision get the sentence of an error
that this package raised on purpose, and of any other only its kind and the line of code where it arose.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ostiary.errors import OstiaryError
from ostiary.gate.decision import Reason, StageReport
from ostiary.gate.outcomes import STAGES, Outcome, Stage

Answer = TypeVar("Answer")

log = logging.getLogger(__name__)


class Journal:
    """Collects what the stages of one decision came to; for one thread."""

    def __init__(self) -> None:
        self.outcomes: dict[Stage, Outcome] = {}
        self.problem: str | None = None
        self._reasons: dict[Stage, Reason] = {}
        self._seconds: dict[Stage, float] = {}

    def run(self, stage: Stage, work: Callable[[], Answer]) -> Answer | None:
        """Do a stage's work; None, and the outcome ``error``, if it raises."""
        begun = time.perf_counter()
        try:
            return work()
        except Exception as error:  # whatever broke, the gate stays shut
            self.problem = _described(error)
            log.warning("The gate's stage %r broke: %s", stage, self.problem)
            self.put(stage, "error", "error")
            return None
        finally:
            self._seconds[stage] = self._seconds.get(stage, 0.0) + time.perf_counter() - begun

    def put(self, stage: Stage, outcome: Outcome, reason: Reason = "accepted") -> None:
        """Note what became of a stage; an error stays one, whatever comes after it."""
        if self.outcomes.get(stage) != "error":
            self.outcomes[stage], self._reasons[stage] = outcome, reason

    @property
    def broke(self) -> bool:
        """Whether a stage did."""
        return "error" in self.outcomes.values()

    def reason(self, stopped_by: Stage | None) -> Reason:
        """Why a stage keeps the gate shut: that one broke, if any did; of one that never began, "not_measured"."""
        if self.broke:
            return "error"
        return "not_measured" if stopped_by is None else self._reasons.get(stopped_by, "not_measured")

    def reports(self) -> tuple[StageReport, ...]:
        """Every stage that was begun, in order."""
        return tuple(
            StageReport(stage, self.outcomes[stage], 1000 * self._seconds.get(stage, 0.0))
            for stage in STAGES
            if stage in self.outcomes
        )


def _described(error: Exception) -> str:
    if isinstance(error, OstiaryError):
        return str(error)
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(where.filename).name}, line {where.lineno}."
