"""The gate: may this face pass? One decision from a picture, or from the frames of one presentation.

::

    gate = Gate(Vault("vault.db", key))
    gate.enrol("ada", ["ada1.jpg", "ada2.jpg"], consent="signed 2026-03-01, folder 7")
    decision = gate.verify("at_the_door.jpg", "ada")

detect -> quality -> liveness -> match -> decide. The gate opens if every stage has passed, and stays shut whatever
else became of one (outcomes.py): no face, no number, no threshold, an error in the middle. Wrong arguments raise;
all that goes wrong after them is a refusal with a reason.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, timezone
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError, InputError
from ostiary.faces.detector import FaceDetector
from ostiary.gate.audit import AuditLog
from ostiary.gate.audit_entry import Event
from ostiary.gate.calibration import Calibration
from ostiary.gate.decision import Decision
from ostiary.gate.enrolment import Enroller, EnrolmentReport
from ostiary.gate.enrolments import checked_handle
from ostiary.gate.examination import Examiner, FindsFaces
from ostiary.gate.gallery import Gallery
from ostiary.gate.liveness_stage import JudgesLiveness, LivenessStage
from ostiary.gate.lockout import Lockout
from ostiary.gate.matching import EmbeddingMatcher, Matcher
from ostiary.gate.outcomes import Stage, decide
from ostiary.gate.policy import Policy
from ostiary.gate.presentation import Presentation
from ostiary.gate.vault import Vault
from ostiary.images import check_image, read_image

Picture = Path | str | bytes | NDArray[np.uint8]
"""A file, its bytes, or RGB uint8 (H, W, 3). OpenCV users: convert from BGR first."""

_DEFAULT_POLICY = Policy()
_WITHOUT_FACE: tuple[Stage, ...] = ("detection", "quality")

log = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(timezone.utc)


class Gate:
    """Enrols people, and decides who passes. Safe to share between threads.

    Args:
        vault: who is enrolled. It stays the caller's, who closes it.
        liveness: None for :class:`ostiary.gate.liveness_stage.LivenessStage` with the packaged weights; give one
            for another configuration, a budget or a cascade.
        matcher: None for :class:`ostiary.gate.matching.EmbeddingMatcher` with the packaged weights.
        calibration: thresholds of this site, for what is made here; a stage that is handed over has its own.
        policy: what the site decides for itself.
        audit: a log that every decision is written to; a decision that cannot be written is a refusal.
        detector: finds the faces; None for :class:`ostiary.faces.detector.FaceDetector`.
        door: names this gate in the log, and where nobody is claimed it is the door that is locked.
        clock: the time, with its zone. Several doors need the same time.

    Raises:
        ConfigurationError: a calibration that nothing here would use, or that is of other models.
        WeightsError: weights cannot be used.
        VaultError: the vault does not open, or cannot be written.

    """

    def __init__(
        self,
        vault: Vault,
        *,
        liveness: JudgesLiveness | None = None,
        matcher: Matcher | None = None,
        calibration: Calibration | None = None,
        policy: Policy = _DEFAULT_POLICY,
        audit: AuditLog | None = None,
        detector: FindsFaces | None = None,
        door: str = "door",
        clock: Callable[[], datetime] = _now,
    ) -> None:
        if calibration is not None and liveness is not None and matcher is not None:
            raise ConfigurationError(
                "The calibration would not be used: give it to the liveness stage and the matcher that you make."
            )
        self.vault, self.policy, self.door = vault, policy, checked_handle(door)
        self._audit, self._clock = audit, clock
        self._liveness = liveness or LivenessStage(calibration=calibration)
        self._matcher = matcher or EmbeddingMatcher(calibration=calibration)
        finder = detector or FaceDetector()
        self._examiner = Examiner(finder, self._liveness, policy)
        self._gallery = Gallery(vault, self._matcher, policy.gallery_s, self._seconds)
        self._enroller = Enroller(vault, finder, self._liveness, self._matcher, self._gallery, policy)
        self._lockout: Lockout | None = None
        if policy.lockout:
            # The tries lie in the vault's own database, so that every door of the vault counts the same.
            self._lockout = Lockout(vault.store, vault.log_key, policy.lockout, self._seconds)
        self.problems = (*self._liveness.problems, *self._matcher.problems)
        for problem in self.problems:
            log.warning("%s", problem)

    def __repr__(self) -> str:
        return f"Gate({self.vault!r}, {self._liveness!r}, {self._matcher!r}, door={self.door!r})"

    @property
    def configuration(self) -> str:
        """The word of the liveness network that judges now."""
        return self._liveness.configuration

    def verify(self, frames: Picture | Iterable[Picture], user: str) -> Decision:
        """Say whether this is the person who is claimed (1:1).

        Args:
            frames: one picture, or the frames of one presentation, of which as many are taken as the policy asks
                for; the source's own errors are a refusal.
            user: the handle that is claimed.

        Raises:
            InputError: a handle that cannot be, or one picture that cannot be read.

        """
        return self._decide(_frames(frames), checked_handle(user))

    def identify(self, frames: Picture | Iterable[Picture]) -> Decision:
        """Say whether this is anybody who is enrolled (1:N), and who. Arguments as :meth:`verify`.

        Everybody is compared, so that false matches grow with the number of people: calibrate for it.
        """
        return self._decide(_frames(frames), None)

    def enrol(
        self,
        user: str,
        photos: Picture | Sequence[Picture],
        *,
        consent: str,
        retention: date | None = None,
        renew: bool = False,
        watched: bool = False,
        duplicates: bool = True,
    ) -> EnrolmentReport:
        """Enrol a person, or add to an enrolment of the same face.

        Args:
            user: the handle; stored in clear, so rather a number than a name.
            photos: one or a few; no photo is kept.
            consent: note of what the person agreed to.
            retention: last day on which the enrolment may be used; None for no end.
            renew: replace what is enrolled under this handle, whoever it is.
            watched: somebody watched the photos being taken: liveness is not asked for.
            duplicates: refuse a face that is enrolled under another handle.

        Returns:
            Whether the person is enrolled, and a sentence on why not.

        Raises:
            NotEnrolledError: there is nothing to renew.
            InputError: a photo that cannot be read, or a handle, note or date that cannot be.
            VaultError: the vault does not open.
            ConfigurationError: the matcher makes no templates.
            AuditError: the log cannot be written; the person may be enrolled already.

        """
        handle = checked_handle(user)
        given = [photos] if isinstance(photos, Path | str | bytes | np.ndarray) else list(photos)
        if not given:
            raise InputError(f"There is no photo to enrol {handle!r} from: give one or more.")
        report = self._enroller.enrol(
            handle,
            [_pixels(photo) for photo in given],
            consent=consent,
            retention=retention,
            renew=renew,
            watched=watched,
            duplicates=duplicates,
        )
        if self._audit is not None and report.enrolled:
            event: Event = "renewed" if renew else "enrolled"
            self._audit.append(event, handle, door=self.door, photos=len(given), watched=watched)
        return report

    def _decide(self, frames: Iterator[NDArray[np.uint8]], claimed: str | None) -> Decision:
        configuration = self.configuration  # before faces are judged: a governor may then change its mind
        subject = f"door {self.door}" if claimed is None else f"user {claimed}"
        run = Presentation(
            self._examiner,
            self._matcher,
            self._gallery,
            self._lockout,
            self.policy,
            claimed=claimed,
            subject=subject,
        )
        run.run(frames)
        decision = self._decision(run, claimed, configuration, self.policy.required)
        if self._audit is None:
            return decision
        run.journal.run("log", lambda: self._write(decision, claimed))
        run.journal.put("log", "passed")
        return self._decision(run, claimed, configuration, self.policy.required | {"log"})

    def _decision(
        self, run: Presentation, claimed: str | None, configuration: str, required: frozenset[Stage]
    ) -> Decision:
        verdict, tally, look = decide(run.journal.outcomes, required), run.tally, run.look
        handle = claimed if claimed is not None or not verdict.opens else tally.handle
        return Decision(
            accepted=verdict.opens,
            reason="accepted" if verdict.opens else run.journal.reason(verdict.stopped_by),
            handle=handle,
            liveness=tally.liveness,
            similarity=tally.similarity,
            configuration=configuration,
            time=self._clock(),
            stages=run.journal.reports(),
            faces=look.found if look else 0,
            frames=tally.frames,
            causes=look.causes if look else (),
            box=look.faces[0].box if look and look.faces else None,
            retry_s=run.retry_s,
            problem=run.journal.problem,
        )

    def _write(self, decision: Decision, claimed: str | None) -> None:
        """Write a decision to the audit log: no measured value, and of a refusal only who was claimed."""
        outcomes = decision.outcomes
        unjudged = any(outcomes.get(stage) in ("failed", "not_measured") for stage in _WITHOUT_FACE)
        if self._audit is None or (unjudged and not self.policy.log_unjudged and not decision.problem):
            return
        event: Event = "accepted" if decision.accepted else "refused"
        if decision.reason == "locked_out":
            event = "locked_out"
        mode = "identify" if claimed is None else "verify"
        self._audit.append(
            event, decision.handle, reason=decision.reason, door=self.door, mode=mode, frames=decision.frames
        )

    def _seconds(self) -> float:
        return self._clock().timestamp()


def _frames(given: Picture | Iterable[Picture]) -> Iterator[NDArray[np.uint8]]:
    """Pixels, one after the other; a single picture is read at once, so that the caller hears what is wrong."""
    if isinstance(given, Path | str | bytes | np.ndarray):
        return iter([_pixels(given)])
    return (_pixels(frame) for frame in given)


def _pixels(picture: Picture) -> NDArray[np.uint8]:
    if not isinstance(picture, np.ndarray):
        return read_image(picture)
    check_image(picture)
    return picture
