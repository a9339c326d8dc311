"""One decision from the frames of a clip, instead of one a frame.

A frame's liveness in log-odds (for a network: the difference of its two logits) adds up where probabilities do
not. *Mean of logits* waits for a fixed number of frames. The *sequential test* (Wald 1945) asks after each frame
whether the evidence is enough, so that clear cases take one frame and only doubtful ones take many.

Frames of one recording are near-duplicates: same face, light and screen. So n of them count as n / (1 + (n - 1) r)
independent frames, where r is their correlation, and with r > 0 no number of frames counts as more than 1 / r.
For normal frames that share what they have in common this is exact, not a correction: the mean then holds all that
the frames tell, and has the variance of that many. It matters, since the promise of the test is kept by likelihood
ratios whatever the dependence, but only by true ones; as independent frames ten copies of one mistake would be ten
proofs.

All frames of a clip must show one face: begin a new clip when the face is lost or another one comes. Whatever is
undecided is not accepted.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

from ostiary.errors import ConfigurationError, InputError

Reason = Literal["undecided", "bona_fide", "presentation_attack", "no_answer"]

RESOLUTION = 2.0**-24
"""Liveness nearer than this to 0 or 1 counts as this near (what a float32 resolves); log-odds stay below 16.7."""


@dataclass(frozen=True, slots=True)
class ClipState:
    """What a clip has come to.

    ``frames`` were counted as evidence, ``missing`` had no answer. ``liveness`` in [0, 1] is the mean of the
    frames in log-odds, as a probability; None before the first.
    """

    frames: int
    missing: int
    liveness: float | None
    reason: Reason

    @property
    def decided(self) -> bool:
        """Whether the decision is final; if not, add more frames."""
        return self.reason != "undecided"

    @property
    def accepted(self) -> bool:
        """Whether the clip is accepted as bona fide; never before it is decided."""
        return self.reason == "bona_fide"


@dataclass(frozen=True, slots=True)
class Evidence:
    """How much frames tell, as fitted on development recordings (``ostiary.reports.clips.fit_evidence``).

    A frame of log-odds x has the log-likelihood ratio ``slope`` x + ``offset`` of bona fide against attack.
    ``correlation`` in [0, 1] is that of two frames of one recording, given its class.

    Raises:
        ConfigurationError: a value is not finite, the slope is not positive, or the correlation not in [0, 1].

    """

    slope: float
    offset: float
    correlation: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.slope) and self.slope > 0 and math.isfinite(self.offset)):
            raise ConfigurationError(
                f"Evidence with slope {self.slope} and offset {self.offset} cannot be: the slope must be positive "
                "and both finite; fit it on development recordings."
            )
        if not 0 <= self.correlation <= 1:
            raise ConfigurationError(f"The correlation of frames is {self.correlation}; it must lie in [0, 1].")

    def ratio(self, mean: float, frames: int) -> float:
        """Log-likelihood ratio, in nats, of ``frames`` frames whose log-odds have this mean."""
        independent = frames / (1 + (frames - 1) * self.correlation)
        return independent * (self.slope * mean + self.offset)


class ClipRule(ABC):
    """Takes the frames of one clip, one at a time; make a new one for each clip.

    Not safe to share between threads.

    Args:
        threshold: the mean of the frames is bona fide if, as a probability, it is at or above this liveness.
        frames: after so many frames with an answer the mean decides at the latest.
        missing_allowed: a frame more than this without an answer ends the clip, and it is not accepted.

    Raises:
        ConfigurationError: the threshold is not in (0, 1], ``frames`` is below 1, or ``missing_allowed`` below 0.

    """

    def __init__(self, threshold: float, frames: int, missing_allowed: int = 8) -> None:
        if not RESOLUTION < threshold <= 1:
            raise ConfigurationError(
                f"A threshold of {threshold} for a clip makes no sense; give one in (0, 1], such as the one "
                "stored with the weights."
            )
        if frames < 1 or missing_allowed < 0:
            raise ConfigurationError(
                f"A clip of {frames} frames with {missing_allowed} missing ones allowed cannot be decided; give "
                "at least 1 and 0."
            )
        self._threshold = threshold
        self._frames = frames
        self._missing_allowed = missing_allowed
        self._log_odds: list[float] = []
        self._state = ClipState(0, 0, None, "undecided")

    def add(self, liveness: float | None) -> None:
        """Take the next frame: its liveness in [0, 1], or None if it got no answer (no face, blurred, ...).

        Raises:
            InputError: the liveness is NaN or outside [0, 1], or the clip is decided already.

        """
        if self._state.decided:
            raise InputError("The clip is decided, and no frame changes that; begin a new one.")
        if liveness is None:
            missing = self._state.missing + 1
            reason: Reason = "no_answer" if missing > self._missing_allowed else "undecided"
            self._state = ClipState(self._state.frames, missing, self._state.liveness, reason)
            return
        self._log_odds.append(log_odds(liveness))
        share = probability(self._mean)
        self._state = ClipState(len(self._log_odds), self._state.missing, share, self._judge(share))

    @property
    def state(self) -> ClipState:
        """What the frames so far have come to."""
        return self._state

    @property
    def _mean(self) -> float:
        # fsum rounds once, so that the order of the frames cannot move a mean across the threshold.
        return math.fsum(self._log_odds) / len(self._log_odds)

    def _judge(self, liveness: float) -> Reason:
        reason = self._judge_evidence()
        if reason != "undecided" or len(self._log_odds) < self._frames:
            return reason
        return "bona_fide" if liveness >= self._threshold else "presentation_attack"

    @abstractmethod
    def _judge_evidence(self) -> Reason:
        """The decision if the frames so far are evidence enough, whatever their number; else ``undecided``."""


class MeanOfLogits(ClipRule):
    """Decides after ``frames`` frames, by their mean log-odds; the order of the frames does not matter."""

    def _judge_evidence(self) -> Reason:
        return "undecided"


class SequentialTest(ClipRule):
    """Wald's sequential probability ratio test: stops as soon as the frames so far are evidence enough.

    Accepts where the likelihood ratio of bona fide against attack reaches 1 / ``apcer``, and refuses where it
    falls to ``bpcer``. If ``evidence`` is true of the clips, at most a share ``apcer`` of the attacks is ever
    accepted so, and at most ``bpcer`` of the bona fide presentations refused (Ville 1939; Wald's own limits lie a
    hair inside of these, and are approximate). Clips still open at ``frames`` frames are decided by their mean,
    which the promise does not cover.

    Args:
        evidence: what a frame tells, fitted on development recordings.
        threshold: decides by the mean, at the last frame.
        apcer: share of attacks that the evidence may accept, in (0, 1/2).
        bpcer: share of bona fide presentations that the evidence may refuse, in (0, 1/2).
        frames: the most frames with an answer.
        missing_allowed: see :class:`ClipRule`.

    Raises:
        ConfigurationError: a rate is not in (0, 1/2), or as for :class:`ClipRule`.

    """

    def __init__(
        self,
        evidence: Evidence,
        threshold: float,
        *,
        apcer: float,
        bpcer: float,
        frames: int = 8,
        missing_allowed: int = 8,
    ) -> None:
        super().__init__(threshold, frames, missing_allowed)
        for name, rate in (("APCER", apcer), ("BPCER", bpcer)):
            if not 0 < rate < 0.5:
                raise ConfigurationError(f"A target {name} of {rate} makes no sense; give a share in (0, 0.5).")
        self._evidence = evidence
        self._accept = -math.log(apcer)
        self._refuse = math.log(bpcer)

    @property
    def ratio(self) -> float:
        """Log-likelihood ratio of the frames so far, in nats: above 0 for bona fide, 0 before the first frame."""
        return self._evidence.ratio(self._mean, len(self._log_odds)) if self._log_odds else 0.0

    @property
    def decided_by_evidence(self) -> bool:
        """Whether the frames so far are evidence enough, so that the promise covers the decision."""
        return self._judge_evidence() != "undecided"

    def _judge_evidence(self) -> Reason:
        if self.ratio >= self._accept:
            return "bona_fide"
        return "presentation_attack" if self.ratio <= self._refuse else "undecided"


def log_odds(liveness: float) -> float:
    """log(p / (1 - p)) of a liveness p in [0, 1], finite at 0 and 1 too.

    Raises:
        InputError: the liveness is NaN or outside [0, 1].

    """
    if not 0 <= liveness <= 1:  # also false for NaN
        raise InputError(f"The liveness of a frame is {liveness}; give a number in [0, 1], or None for no answer.")
    share = min(max(float(liveness), RESOLUTION), 1 - RESOLUTION)
    return math.log(share) - math.log1p(-share)


def probability(log_odds: float) -> float:
    """The p in [0, 1] of log(p / (1 - p)); any finite value is safe."""
    power = math.exp(-abs(log_odds))
    return 1 / (1 + power) if log_odds >= 0 else power / (1 + power)
