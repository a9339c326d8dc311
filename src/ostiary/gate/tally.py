"""What the frames of one presentation come to together: alive on average, and the same person in every one.

Liveness adds up in log-odds (runtime/clip.py), each frame's taken from its own threshold: a budget or a cascade
may judge frames by different configurations, whose answers lie on different scales. Similarity does not add up: in
an average, somebody else's living face in one frame could lend its life to a photograph in the others.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from ostiary.gate.decision import Reason, why
from ostiary.gate.gallery import Match
from ostiary.gate.journal import Journal
from ostiary.gate.liveness_stage import Measured
from ostiary.gate.outcomes import Outcome, compared, worst_of
from ostiary.gate.policy import Policy
from ostiary.runtime.clip import MeanOfLogits, log_odds, probability

_EVEN = 0.5
"""The liveness whose log-odds are 0: just at the threshold, where log-odds are taken from it."""


class Tally:
    """Takes frames until they decide; for one presentation, and one thread.

    Args:
        policy: how many frames, and how many may be missing.
        claimed: whether a person was claimed; else a mismatch means that nobody is known.

    """

    def __init__(self, policy: Policy, *, claimed: bool) -> None:
        self._clip = MeanOfLogits(_EVEN, policy.frames, policy.missing_allowed)
        self._single = policy.frames == 1
        self._mismatch: Reason = "another_person" if claimed else "unknown"
        self._log_odds: list[float] = []
        self._alive: Outcome | None = None
        self._matches: list[Match] = []
        self._handles: set[str | None] = set()

    @property
    def done(self) -> bool:
        """Whether further frames change nothing."""
        return self._alive is not None or self._clip.state.decided

    @property
    def frames(self) -> int:
        """How many were judged."""
        return len(self._log_odds)

    @property
    def liveness(self) -> float | None:
        """The mean of the frames in log-odds, as a probability."""
        return probability(statistics.fmean(self._log_odds)) if self._log_odds else None

    @property
    def similarity(self) -> float | None:
        """The least of the frames."""
        return min((one.similarity for one in self._matches if one.similarity is not None), default=None)

    @property
    def handle(self) -> str | None:
        """Who all frames show, None if it is nobody or several."""
        return next(iter(self._handles)) if len(self._handles) == 1 else None

    def hindered(self) -> None:
        """Take a frame without a face that can be judged."""
        self._clip.add(None)

    def alive(self, faces: Sequence[Measured]) -> Outcome:
        """Take the liveness of a frame's faces; what the frame by itself comes to, which is that of the worst."""
        outcome = worst_of(compared(*face) for face in faces)
        value, threshold = next(face for face in faces if compared(*face) == outcome)
        if value is not None and 0 <= value <= 1:
            self._log_odds.append(log_odds(value))
        if outcome not in ("passed", "failed") or self._single:
            self._alive = outcome
        elif value is not None and threshold is not None:
            # Nothing reaches a threshold above 1, and log-odds end there.
            beyond = probability(log_odds(value) - log_odds(threshold)) if threshold <= 1 else 0.0
            self._clip.add(beyond)
        return outcome

    def matched(self, faces: Sequence[Match]) -> None:
        """Take the matches of a frame's faces, largest first."""
        self._matches.extend(faces)
        self._handles.add(faces[0].handle)

    def report(self, journal: Journal, *, ended: bool) -> None:
        """Note what the frames come to; why the last one was not judged stands there already.

        Args:
            journal: of this presentation.
            ended: whether there are no more frames.

        """
        state = self._clip.state
        if self.done and state.reason != "no_answer":
            alive: Outcome = self._alive or ("passed" if state.accepted else "failed")
            journal.put("liveness", alive, why(alive, "presentation_attack"))
        elif ended and self._log_odds:
            journal.put("detection", "passed")
            journal.put("quality", "passed")
            journal.put("liveness", "not_measured", "too_few_frames")
        elif ended and not state.missing:
            journal.put("detection", "not_measured", "too_few_frames")
        self._report_matching(journal)

    def _report_matching(self, journal: Journal) -> None:
        if not self._matches:
            return
        worst = worst_of(one.outcome for one in self._matches)
        if worst == "passed" and len(self._handles) > 1:
            journal.put("matching", "failed", "frames_disagree")
        else:
            journal.put("matching", worst, why(worst, self._mismatch))
