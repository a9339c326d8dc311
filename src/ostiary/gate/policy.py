"""What a site decides for itself: whose face counts, how many frames must agree, and how often one may fail.

No threshold stands here. From when on a face is alive, or the right one, is measured and recorded
(calibration.py), not chosen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from ostiary.errors import ConfigurationError
from ostiary.faces.quality import QualityLimits
from ostiary.gate.outcomes import ALWAYS_REQUIRED, Stage

SeveralFaces = Literal["largest", "refuse", "each"]
"""``largest``: the largest face counts, the others are passed over. ``refuse``: nobody passes while several faces
are there. ``each``: every face must be alive and known, so that nobody slips in behind a friend.
"""


@dataclass(frozen=True, slots=True)
class LockoutRules:
    """After ``refusals`` refusals nobody is judged for ``pause_s`` seconds, and each further time longer.

    Only a face that was judged and refused counts: an attack, or another person. Each lock-out is ``factor`` times
    as long as the one before, ``longest_s`` at most. An acceptance forgets all; so do ``forget_s`` seconds
    without a try.

    Raises:
        ConfigurationError: a number is out of its range.

    """

    refusals: int = 5
    pause_s: float = 30
    factor: float = 2
    longest_s: float = 3600
    forget_s: float = 3600

    def __post_init__(self) -> None:
        if self.refusals < 1:
            raise ConfigurationError(f"A lock-out after {self.refusals} refusals lets nobody try: give 1 or more.")
        if not 0 < self.pause_s <= self.longest_s < math.inf or not 1 <= self.factor <= 100:
            raise ConfigurationError(
                f"A lock-out of {self.pause_s} s, each {self.factor} times as long as the one before, up to "
                f"{self.longest_s} s cannot be: give 0 < pause <= longest, and a factor from 1 to 100."
            )
        if not 0 < self.forget_s < math.inf:
            raise ConfigurationError(
                f"Refusals cannot be forgotten after {self.forget_s} s: give a number above 0."
            )

    def pause(self, lockouts: int) -> float:
        """Seconds of a lock-out that follows so many others."""
        # The exponent is bounded: a float overflows long after every pause is the longest.
        return min(self.longest_s, self.pause_s * self.factor ** min(lockouts, 64))


_QUALITY, _LOCKOUT = QualityLimits(), LockoutRules()


@dataclass(frozen=True, slots=True)
class Policy:
    """How a gate behaves.

    Attributes:
        several_faces: what becomes of a frame with several faces.
        smallest_face: narrower faces, in pixels, are passed over beside a larger one, and too small by themselves.
        quality: what a face must have to be judged; None judges every face that is large enough.
        frames: of one presentation, all of which must show the same person; liveness is their mean in log-odds.
        missing_allowed: more frames than this without a face that can be judged end the presentation.
        lockout: None for none.
        thorough: measure every stage even when one has failed, as an evaluation needs it; costs time.
        log_unjudged: write refusals to the audit log, too, where there was no face to judge. A camera that looks
            into an empty hall makes many.
        gallery_s: when nobody is claimed, those who were enrolled elsewhere are known after so many seconds.
            Whoever was deleted is never accepted, whatever this says.

    Raises:
        ConfigurationError: a setting is impossible.

    """

    several_faces: SeveralFaces = "refuse"
    smallest_face: float = 32
    quality: QualityLimits | None = _QUALITY
    frames: int = 1
    missing_allowed: int = 8
    lockout: LockoutRules | None = _LOCKOUT
    thorough: bool = False
    log_unjudged: bool = False
    gallery_s: float = 30

    def __post_init__(self) -> None:
        if self.several_faces not in get_args(SeveralFaces):
            raise ConfigurationError(
                f"{self.several_faces!r} says nothing about several faces: give one of "
                f"{', '.join(get_args(SeveralFaces))}."
            )
        if not 0 <= self.smallest_face < math.inf:
            raise ConfigurationError(f"A face cannot be {self.smallest_face} pixels wide: give 0 or more.")
        if self.frames < 1 or self.missing_allowed < 0:
            raise ConfigurationError(
                f"{self.frames} frames with {self.missing_allowed} missing ones allowed decide nothing: give at "
                "least 1 and 0."
            )
        if self.several_faces == "each" and self.frames > 1:
            raise ConfigurationError(
                "Of several frames only one face can be followed: give several_faces 'largest' or 'refuse', or "
                "one frame."
            )
        if not 0 <= self.gallery_s < math.inf:
            raise ConfigurationError(f"The gallery cannot be kept for {self.gallery_s} s: give 0 or more.")

    @property
    def required(self) -> frozenset[Stage]:
        """The stages that must have passed for the gate to open, but for the log."""
        lockout: tuple[Stage, ...] = ("lockout",) if self.lockout else ()
        return ALWAYS_REQUIRED.union(lockout)
