"""One presentation: somebody stands at the gate, frames come in, and the stages are run until they decide.

Whoever is locked out is not looked at. Then it is asked whom the face could be, so that nobody is judged in vain;
then faces are found, judged and matched, frame by frame. A try is taken before the first face is judged, and
settled at the end; a program that is stopped in between has spent it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ostiary.gate.examination import Examiner, Look
from ostiary.gate.gallery import Candidates, Gallery, Match
from ostiary.gate.journal import Journal
from ostiary.gate.lockout import Ending, Lockout, Ticket
from ostiary.gate.matching import Matcher
from ostiary.gate.outcomes import decide
from ostiary.gate.policy import Policy
from ostiary.gate.tally import Tally

_NO_FRAME = np.zeros((0, 0, 3), np.uint8)
"""What comes after the last one."""


class Presentation:
    """Runs the stages, once; for one thread.

    Args:
        examiner: finds and judges faces.
        matcher: makes probes of faces.
        gallery: who may be recognised.
        lockout: who has to wait; None for nobody.
        policy: of the gate.
        claimed: the handle that was claimed, None where everybody is compared.
        subject: whose refusals count.

    """

    def __init__(
        self,
        examiner: Examiner,
        matcher: Matcher,
        gallery: Gallery,
        lockout: Lockout | None,
        policy: Policy,
        *,
        claimed: str | None,
        subject: str,
    ) -> None:
        self._examiner, self._matcher, self._gallery, self._lockout = examiner, matcher, gallery, lockout
        self._policy, self._claimed, self._subject = policy, claimed, subject
        self._ticket: Ticket | None = None
        self.journal = Journal()
        self.tally = Tally(policy, claimed=claimed is not None)
        self.look: Look | None = None
        self.retry_s: float | None = None

    def run(self, frames: Iterator[NDArray[np.uint8]]) -> None:
        """Take frames until they decide; what became of every stage then stands in ``journal``."""
        candidates = self._candidates() if self._may_try() else None
        if candidates is not None:
            ended = False
            while not (ended or self.tally.done or self._is_stopped()):
                pixels = self.journal.run("detection", lambda: next(frames, _NO_FRAME))
                ended = pixels is _NO_FRAME
                if pixels is not None and not ended:
                    self._take(pixels, candidates)
            self.tally.report(self.journal, ended=ended)
        self._settle()

    def _is_stopped(self) -> bool:
        return self.journal.broke or self.journal.outcomes.get("lockout") == "failed"

    def _may_try(self) -> bool:
        """Whether nothing is known yet that keeps the subject from trying."""
        lockout = self._lockout
        if lockout is None:
            return True
        seconds = self.journal.run("lockout", lambda: lockout.wait(self._subject))
        if seconds is not None:
            self._lock_out(seconds)
        return seconds == 0

    def _candidates(self) -> Candidates | None:
        claimed, gallery = self._claimed, self._gallery
        found = self.journal.run(
            "enrolment", lambda: gallery.everybody() if claimed is None else gallery.one(claimed)
        )
        if isinstance(found, str):
            self.journal.put("enrolment", "missing" if found == "not_enrolled" else "failed", found)
        if not isinstance(found, Candidates):
            return None
        self.journal.put("enrolment", "passed")
        return found

    def _take(self, pixels: NDArray[np.uint8], candidates: Candidates) -> None:
        look = self._examiner.look(pixels, self.journal)
        if look is None:
            return
        self.look = look
        if look.hindrance is not None:
            self.tally.hindered()
            return
        if self._ticket is None and not self._begins():
            return
        measured = self._examiner.measure(look, self.journal)
        if measured is None:
            return
        alive = self.tally.alive(measured)
        if alive == "passed" or self._policy.frames > 1 or self._policy.thorough:
            matches = self.journal.run("matching", lambda: self._matches(look, candidates))
            if matches is not None:
                self.tally.matched(matches)

    def _matches(self, look: Look, candidates: Candidates) -> list[Match]:
        return [self._gallery.match(self._matcher.probe(shot), candidates) for shot in look.shots]

    def _begins(self) -> bool:
        """Take a try, if there is one left; parallel requests may have taken the last since the first look."""
        lockout = self._lockout
        if lockout is None:
            return True
        begun = self.journal.run("lockout", lambda: lockout.begin(self._subject))
        if isinstance(begun, Ticket):
            self._ticket = begun
        elif begun is not None:
            self._lock_out(begun)
        return self._ticket is not None

    def _lock_out(self, seconds: float) -> None:
        if seconds > 0:
            self.retry_s = seconds
            self.journal.put("lockout", "failed", "locked_out")
        else:
            self.journal.put("lockout", "passed")

    def _settle(self) -> None:
        lockout, ticket = self._lockout, self._ticket
        if lockout is None or ticket is None:
            return
        outcomes = self.journal.outcomes
        ending: Ending = "not_judged"
        if decide(outcomes, self._policy.required).opens:
            ending = "accepted"
        elif "failed" in (outcomes.get("liveness"), outcomes.get("matching")):
            ending = "refused"
        self.journal.run("lockout", lambda: lockout.end(ticket, ending))
