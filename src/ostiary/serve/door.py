"""The door that a server keeps: a gate, and beside it the question how a face looks before anybody is judged.

A page shows whoever stands there what to do ("come closer") many times a second. Such a look costs no try and must
therefore say nothing about who it is, nor whether it lives.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ostiary.faces.detector import Box, FaceDetector
from ostiary.faces.quality import Cause, Quality, measure
from ostiary.gate.audit_entry import Event
from ostiary.gate.decision import Reason, why
from ostiary.gate.examination import Examiner
from ostiary.gate.examination import Look as Sight
from ostiary.gate.gate import Gate
from ostiary.gate.journal import Journal
from ostiary.gate.matching import Matcher
from ostiary.gate.outcomes import TO_ENROL, compared, decide, worst_of
from ostiary.gate.policy import Policy
from ostiary.gate.setup import open_log
from ostiary.gate.vault import Vault
from ostiary.serve.dial import Dial
from ostiary.serve.thresholds import Thresholds

LookReason = Reason | Literal["fit", "bona_fide"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a picture looks.

    Attributes:
        fit: whether its face can be judged.
        alive: whether it passed as a living person; None where that was not asked, or could not be.
        reason: ``fit`` or ``bona_fide``, or what is in the way.
        liveness: in [0, 1], None if it was not measured.
        configuration: word of the network that judged.
        faces: how many were found.
        causes: all that is wrong with the face, the most helpful first.
        box: of the largest face, in pixels.
        size: width and height of the picture.
        quality: of that face.
        milliseconds: that it took.

    """

    fit: bool
    alive: bool | None
    reason: LookReason
    liveness: float | None = field(repr=False)
    configuration: str
    faces: int
    causes: tuple[Cause, ...]
    box: Box | None
    size: tuple[int, int]
    quality: Quality | None
    milliseconds: float


class Door:
    """A gate with its name, and what a page wants to know of it. Safe to share between threads.

    Args:
        vault: who is enrolled; it stays the caller's, who closes it.
        dial: measures liveness.
        matcher: knows people.
        policy: what the site decides for itself.
        thresholds: for people to read; the dial and the matcher have their own.
        log: file of the audit log, None for none.
        name: of the door.

    Raises:
        VaultError, InputError: as :class:`ostiary.gate.gate.Gate`.

    """

    def __init__(
        self,
        vault: Vault,
        dial: Dial,
        matcher: Matcher,
        policy: Policy,
        *,
        thresholds: Thresholds,
        log: Path | None = None,
        name: str = "door",
    ) -> None:
        detector = FaceDetector()
        self.vault, self.dial, self.thresholds, self.policy, self.name = vault, dial, thresholds, policy, name
        self.audit = open_log(log, vault)
        self.gate = Gate(
            vault, liveness=dial, matcher=matcher, policy=policy, audit=self.audit, detector=detector, door=name
        )
        self._examiner = Examiner(detector, dial, policy)

    def look(self, pixels: NDArray[np.uint8], *, judge: bool) -> Look:
        """How a picture looks.

        Args:
            pixels: RGB (H, W, 3).
            judge: whether the face is alive, as well. Nothing counts how often that is asked.

        """
        begun, journal = time.perf_counter(), Journal()
        look = self._examiner.look(pixels, journal)
        fit = look is not None and look.hindrance is None
        liveness = self._liveness(look, journal) if look is not None and fit and judge else None
        verdict = decide(journal.outcomes, TO_ENROL | {"liveness"} if judge else TO_ENROL)
        passed: LookReason = "bona_fide" if judge else "fit"
        largest = look.faces[0] if look is not None and look.faces else None
        return Look(
            fit=fit,
            alive=verdict.opens if liveness is not None else None,
            reason=passed if verdict.opens else journal.reason(verdict.stopped_by),
            liveness=liveness,
            configuration=self.dial.configuration,
            faces=look.found if look is not None else 0,
            causes=look.causes if look is not None else (),
            box=None if largest is None else largest.box,
            size=(pixels.shape[1], pixels.shape[0]),
            quality=None if largest is None else measure(pixels, largest.box, largest.landmarks),
            milliseconds=1000 * (time.perf_counter() - begun),
        )

    def note(self, event: Event, user: str) -> None:
        """Write to the audit log what was done about a person, if there is a log.

        Raises:
            AuditError: it cannot be written.

        """
        if self.audit is not None:
            self.audit.append(event, user, door=self.name)

    def _liveness(self, look: Sight, journal: Journal) -> float | None:
        """The least of the faces that are judged; what it comes to is noted."""
        measured = self._examiner.measure(look, journal)
        if measured is None:
            return None
        worst = worst_of(compared(*face) for face in measured)
        journal.put("liveness", worst, why(worst, "presentation_attack"))
        values = [face.value for face in measured]
        return None if None in values else min(value for value in values if value is not None)
