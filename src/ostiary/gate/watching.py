"""A door that runs: from the frames of a camera to one decision for each person who comes.

A presentation begins when the tracker sees a face that was not there, and gets the frames until another face, or
none, is seen. Frames are never judged one by one: a person whose first frames are blurred would be locked out
before they stand still. After a decision about a face the door rests, and whoever was let in is not judged again
while they stand there. A face that could not be judged (too dark, turned away) is looked at again at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError
from ostiary.faces.detector import Face, FaceDetector
from ostiary.faces.quality import CAUSES
from ostiary.gate.audit import AuditLog
from ostiary.gate.decision import Decision, Reason
from ostiary.gate.gate import Gate
from ostiary.gate.policy import SeveralFaces
from ostiary.gate.sources import Frame
from ostiary.gate.tracking import FaceTracker, FindsFaces, Tracked

UNJUDGED: frozenset[Reason] = frozenset({*CAUSES, "no_face", "several_faces", "too_few_frames"})
"""Refusals that say nothing about the person: the same face may try on at once, and nothing is counted."""


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """A frame and the faces that were found in it."""

    frame: Frame
    tracked: Tracked


@dataclass(frozen=True, slots=True)
class Visit:
    """The decision about one presentation; ``index`` and ``seconds`` are those of the last frame it took."""

    decision: Decision
    index: int
    seconds: float

    def to_dict(self, *, measurements: bool = False) -> dict[str, Any]:
        """Plain values for JSON, as :meth:`ostiary.gate.decision.Decision.to_dict`."""
        place = {"frame": self.index, "seconds": round(self.seconds, 3)}
        return {**place, **self.decision.to_dict(measurements=measurements)}


class Follower:
    """Finds faces for a gate by following them: give it to the gate as its detector, and to :class:`Watch`.

    Where only a window was searched, a policy that cares for other faces gets a search of the whole picture.

    Args:
        several_faces: of the gate's policy.
        detector: searches whole pictures; None for the packaged one.
        tracker: None for one over this detector.

    """

    def __init__(
        self,
        several_faces: SeveralFaces,
        *,
        detector: FindsFaces | None = None,
        tracker: FaceTracker | None = None,
    ) -> None:
        self._one_is_enough = several_faces == "largest"
        self._detector = detector or FaceDetector()
        self._tracker = tracker or FaceTracker(self._detector)
        self._last: Sight | None = None

    def follow(self, frame: Frame) -> Sight:
        """The faces of the next frame."""
        self._last = Sight(frame, self._tracker.find(frame.pixels, frame.seconds))
        return self._last

    def detect(self, image: NDArray[np.uint8], /) -> Sequence[Face]:
        """The faces of RGB (H, W, 3); those of the frame that was followed last are known already."""
        last = self._last
        if last is None or image is not last.frame.pixels:
            return self._detector.detect(image)
        all_known = self._one_is_enough or last.tracked.searched == "picture"
        return last.tracked.faces if all_known else self._detector.detect(image)


class Watch:
    """Decides about everybody who comes before one camera; for one thread.

    Args:
        gate: with ``follower`` as its detector.
        follower: finds the faces.
        user: whom everybody claims to be; None asks whether it is anybody who is enrolled.
        rest_s: seconds, in the source's own time, in which nobody is judged after a face was.
        shown: is told of each frame, for a live view.

    Raises:
        ConfigurationError: an impossible rest.

    """

    def __init__(
        self,
        gate: Gate,
        follower: Follower,
        *,
        user: str | None = None,
        rest_s: float = 2.0,
        shown: Callable[[Sight], None] | None = None,
    ) -> None:
        if not 0 <= rest_s < math.inf:
            raise ConfigurationError(f"A door cannot rest for {rest_s} s: give 0 or more.")
        self._gate, self._follower, self._user, self._rest_s = gate, follower, user, rest_s
        self._shown = shown
        self._let_in = False
        self._rests_until = -math.inf
        self._told: Reason | None = None

    def visits(self, frames: Iterable[Frame]) -> Iterator[Visit]:
        """One visit a presentation. A face that cannot be judged is told of once for each reason, while it stays.

        If the source breaks off during a presentation, that is a refusal, and then the source's error.

        Raises:
            SourceError, ImageError: what ``frames`` raises.
            InputError: the user is no handle.

        """
        seen = (self._follower.follow(frame) for frame in frames)
        sight = next(seen, None)
        while sight is not None:
            if self._shown is not None:
                self._shown(sight)
            if not self._begins(sight):
                sight = next(seen, None)
                continue
            presentation = _Presentation(sight, seen, self._shown)
            decision = self._decide(presentation)
            last = presentation.last.frame
            if self._is_news(decision, last.seconds):
                yield Visit(decision, last.index, last.seconds)
            if presentation.broken is not None:
                raise presentation.broken
            sight = presentation.following or next(seen, None)

    def _decide(self, presentation: _Presentation) -> Decision:
        if self._user is None:
            return self._gate.identify(presentation)
        return self._gate.verify(presentation, self._user)

    def _begins(self, sight: Sight) -> bool:
        """Whether a face is there that has to be judged now."""
        if sight.tracked.new:
            self._let_in, self._told = False, None
        waits = self._let_in or sight.frame.seconds < self._rests_until
        return bool(sight.tracked.faces) and not waits

    def _is_news(self, decision: Decision, seconds: float) -> bool:
        """Settle what a decision means for the next frames; whether it says anything new."""
        if decision.reason not in UNJUDGED:
            self._let_in, self._told = decision.accepted, None
            self._rests_until = seconds + max(self._rest_s, decision.retry_s or 0.0)
            return True
        repeated, self._told = self._told == decision.reason, decision.reason
        return not repeated


@contextmanager
def logged(audit: AuditLog | None, door: str) -> Iterator[None]:
    """Write to the audit log when a door began to run, and when it ended or broke."""
    if audit is None:
        yield
        return
    audit.append("gate_started", door=door)
    ended = "error"
    try:
        yield
        ended = "ended"
    finally:
        audit.append("gate_stopped", door=door, reason=ended)


class _Presentation:
    """The pictures of one face, from a frame on until another face or none is seen.

    ``last`` is the frame that was taken last, ``following`` the one that ended it, and ``broken`` what the source
    raised on the way.
    """

    def __init__(self, first: Sight, seen: Iterator[Sight], shown: Callable[[Sight], None] | None) -> None:
        self.last, self._seen, self._shown = first, seen, shown
        self.following: Sight | None = None
        self.broken: Exception | None = None

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        yield self.last.frame.pixels
        while (sight := self._next()) is not None:
            if sight.tracked.new or not sight.tracked.faces:
                self.following = sight
                return
            self.last = sight
            if self._shown is not None:
                self._shown(sight)
            yield sight.frame.pixels

    def _next(self) -> Sight | None:
        try:
            return next(self._seen, None)
        except Exception as error:
            self.broken = error
            raise
