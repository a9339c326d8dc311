"""What a camera's frame and an enrolment photo share: find the face, judge its quality, ask whether it lives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ostiary.faces.detector import Face
from ostiary.faces.quality import CAUSES, Cause, causes, measure, picture_causes
from ostiary.gate.decision import Reason, why
from ostiary.gate.journal import Journal
from ostiary.gate.liveness_stage import JudgesLiveness, Measured
from ostiary.gate.matching import Shot
from ostiary.gate.outcomes import Outcome, Stage, compared, worst_of
from ostiary.gate.policy import Policy


class FindsFaces(Protocol):
    """What the gate asks for faces: a :class:`ostiary.faces.detector.FaceDetector`, or a tracker over one."""

    def detect(self, image: NDArray[np.uint8], /) -> Sequence[Face]:
        """The faces of an RGB picture (H, W, 3)."""


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Why a frame shows no face that can be judged."""

    stage: Stage
    outcome: Outcome
    reason: Reason


@dataclass(frozen=True, slots=True)
class Look:
    """What a frame shows: the faces to be judged, largest first, or what is in the way."""

    pixels: NDArray[np.uint8] = field(repr=False)
    found: int
    faces: tuple[Face, ...] = ()
    hindrance: Hindrance | None = None
    causes: tuple[Cause, ...] = ()

    def note(self, journal: Journal) -> None:
        """Note what became of detection and quality."""
        hindrance = self.hindrance
        if hindrance is None or hindrance.stage != "detection":
            journal.put("detection", "passed")
        if hindrance is None:
            journal.put("quality", "passed")
        else:
            journal.put(hindrance.stage, hindrance.outcome, hindrance.reason)

    @property
    def shots(self) -> list[Shot]:
        """The faces with their picture."""
        return [Shot(self.pixels, face) for face in self.faces]


class Examiner:
    """Looks at frames by a policy."""

    def __init__(self, detector: FindsFaces, liveness: JudgesLiveness, policy: Policy) -> None:
        self._detector, self._liveness, self._policy = detector, liveness, policy

    def look(self, pixels: NDArray[np.uint8], journal: Journal) -> Look | None:
        """Find the faces and their quality, and note what became of both; None if a stage broke."""
        faces = journal.run("detection", lambda: list(self._detector.detect(pixels)))
        if faces is None:
            return None
        look = self._look(pixels, faces, journal)
        if look is not None:
            look.note(journal)
        return look

    def _look(self, pixels: NDArray[np.uint8], faces: list[Face], journal: Journal) -> Look | None:
        faces.sort(key=lambda face: -face.box.width * face.box.height)
        near = [face for face in faces if face.box.width >= self._policy.smallest_face]
        if not faces:
            return journal.run("quality", lambda: self._empty(pixels))
        if len(near) > 1 and self._policy.several_faces == "refuse":
            hindrance = Hindrance("detection", "failed", "several_faces")
            return Look(pixels, len(faces), tuple(near), hindrance)
        chosen = near if near and self._policy.several_faces == "each" else (near or faces)[:1]
        return journal.run("quality", lambda: self._judged(pixels, len(faces), tuple(chosen)))

    def measure(self, look: Look, journal: Journal) -> list[Measured] | None:
        """The liveness of the faces to be judged; None if the stage broke."""

        def measured() -> list[Measured]:
            answers = list(self._liveness.measure(look.pixels, look.faces))
            if not look.faces or len(answers) != len(look.faces):
                raise RuntimeError("not one answer a face")
            return answers

        return journal.run("liveness", measured)

    def judge(self, look: Look, journal: Journal) -> None:
        """Measure the faces, and note what the worst of them comes to."""
        measured = self.measure(look, journal)
        if measured is not None:
            worst = worst_of(compared(*face) for face in measured)
            journal.put("liveness", worst, why(worst, "presentation_attack"))

    def _empty(self, pixels: NDArray[np.uint8]) -> Look:
        limits = self._policy.quality
        found = picture_causes(pixels, limits) if limits else ()
        reason: Reason = found[0] if found else "no_face"
        return Look(pixels, 0, hindrance=Hindrance("detection", "not_measured", reason), causes=found)

    def _judged(self, pixels: NDArray[np.uint8], found: int, faces: tuple[Face, ...]) -> Look:
        wrong = {cause for face in faces for cause in self._causes(pixels, face)}
        ordered = tuple(cause for cause in CAUSES if cause in wrong)
        hindrance = Hindrance("quality", "failed", ordered[0]) if ordered else None
        return Look(pixels, found, faces, hindrance, ordered)

    def _causes(self, pixels: NDArray[np.uint8], face: Face) -> tuple[Cause, ...]:
        limits = self._policy.quality
        found = causes(measure(pixels, face.box, face.landmarks), limits) if limits else ()
        small = not face.box.width >= self._policy.smallest_face and "too_small" not in found
        return ("too_small", *found) if small else found
