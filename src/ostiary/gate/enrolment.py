"""Enrolment: from photos of one living person to a template in the vault, or a sentence that says why not.

What is enrolled decides who passes for years. So more is asked here than at the door: one face in each photo, good
enough to be judged, alive unless somebody watched the photos being taken, and the same person in all of them and
in what is enrolled already. The photos are not kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ostiary.faces.quality import Cause, QualityLimits
from ostiary.gate.decision import Reason
from ostiary.gate.examination import Examiner, FindsFaces
from ostiary.gate.gallery import Candidates, Gallery
from ostiary.gate.journal import Journal
from ostiary.gate.liveness_stage import JudgesLiveness
from ostiary.gate.matching import Likenesses, Matcher, Shot, most_alike
from ostiary.gate.outcomes import TO_ENROL, decide
from ostiary.gate.policy import Policy
from ostiary.gate.vault import Vault

PhotoReason = Reason | Literal["photos_disagree"]
EnrolmentReason = PhotoReason | Literal["enrolled", "already_enrolled", "enrolled_as_another"]


@dataclass(frozen=True, slots=True)
class PhotoReport:
    """One photo: whether it may be enrolled, and why not."""

    accepted: bool
    reason: PhotoReason
    causes: tuple[Cause, ...] = ()


@dataclass(frozen=True, slots=True)
class EnrolmentReport:
    """What came of an enrolment; nothing was stored unless ``enrolled`` is true.

    ``sentence`` says it to whoever enrols people; ``photos`` are in the order in which they were given; ``other``
    is the handle under which this face is enrolled already.
    """

    enrolled: bool
    user: str
    reason: EnrolmentReason
    sentence: str
    photos: tuple[PhotoReport, ...] = ()
    other: str | None = None

    def __bool__(self) -> bool:
        """As ``enrolled``."""
        return self.enrolled

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "enrolled": self.enrolled,
            "user": self.user,
            "reason": self.reason,
            "sentence": self.sentence,
            "photos": [
                {"accepted": photo.accepted, "reason": photo.reason, "causes": list(photo.causes)}
                for photo in self.photos
            ],
            "other": self.other,
        }


class Enroller:
    """Makes templates and puts them into the vault. Arguments as of :class:`ostiary.gate.gate.Gate`."""

    def __init__(
        self,
        vault: Vault,
        detector: FindsFaces,
        liveness: JudgesLiveness,
        matcher: Matcher,
        gallery: Gallery,
        policy: Policy,
    ) -> None:
        self._vault, self._matcher, self._gallery = vault, matcher, gallery
        stricter = replace(policy, several_faces="refuse", frames=1, quality=policy.quality or QualityLimits())
        self._examiner = Examiner(detector, liveness, stricter)

    def enrol(
        self,
        user: str,
        photos: Sequence[NDArray[np.uint8]],
        *,
        consent: str,
        retention: date | None,
        renew: bool,
        watched: bool,
        duplicates: bool,
    ) -> EnrolmentReport:
        """See :meth:`ostiary.gate.gate.Gate.enrol`, with photos that are read already."""
        examined = [self._examined(pixels, watched) for pixels in photos]
        draft = EnrolmentReport(False, user, "error", "", tuple(report for report, _ in examined))
        shots = [shot for _, shot in examined if shot is not None]
        refused = self._refusal(draft, shots, renew=renew, duplicates=duplicates)
        if refused is not None:
            return refused
        store = self._vault.renew if renew else self._vault.add
        store(
            user,
            self._matcher.template(shots),
            self._matcher.kind,
            self._matcher.model,
            self._matcher.preprocess_hash,
            retention=retention,
            consent=consent,
        )
        self._gallery.forget()
        number = "one photo" if len(shots) == 1 else f"{len(shots)} photos"
        sentence = f"{user!r} is enrolled from {number}; no photo is kept."
        return replace(draft, enrolled=True, reason="enrolled", sentence=sentence)

    def _refusal(
        self, draft: EnrolmentReport, shots: Sequence[Shot], *, renew: bool, duplicates: bool
    ) -> EnrolmentReport | None:
        """Why these photos are not enrolled, None if they may be."""
        refused = _unfit(draft)
        if refused is None:
            refused = self._disagreeing(draft, shots)
        if refused is not None:
            return refused
        probes = [self._matcher.probe(shot) for shot in shots]
        if not renew:
            refused = self._occupied(draft, probes)
        if refused is None and duplicates:
            refused = self._duplicate(draft, probes)
        return refused

    def _examined(self, pixels: NDArray[np.uint8], watched: bool) -> tuple[PhotoReport, Shot | None]:
        journal = Journal()
        look = self._examiner.look(pixels, journal)
        if look is not None and look.hindrance is None and not watched:
            self._examiner.judge(look, journal)
        verdict = decide(journal.outcomes, TO_ENROL if watched else TO_ENROL | {"liveness"})
        causes = look.causes if look else ()
        if verdict.opens and look is not None:
            return PhotoReport(True, "accepted", causes), look.shots[0]
        return PhotoReport(False, journal.reason(verdict.stopped_by), causes), None

    def _disagreeing(self, draft: EnrolmentReport, shots: Sequence[Shot]) -> EnrolmentReport | None:
        """Refused if two photos do not match: named is the one that matches the fewest others."""
        if len(shots) < 2:
            return None
        alone = self._matcher.people([[self._matcher.template([shot])] for shot in shots])
        compared = [alone.compare(self._matcher.probe(shot)) for shot in shots]
        mismatches, undecided = [0] * len(shots), False
        for one, other in itertools.permutations(range(len(shots)), 2):
            similarities, thresholds = compared[one]
            outcome = most_alike(Likenesses(similarities[[other]], thresholds[[other]])).outcome
            mismatches[one] += outcome != "passed"
            mismatches[other] += outcome != "passed"
            undecided |= outcome in ("missing", "not_measured")
        if not any(mismatches):
            return None
        if undecided:
            sentence = (
                "The photos cannot be compared, for want of a threshold or of a measurement: calibrate first."
            )
            return replace(draft, reason="no_threshold", sentence=sentence)
        odd = mismatches.index(max(mismatches))
        photos = list(draft.photos)
        photos[odd] = PhotoReport(False, "photos_disagree")
        sentence = f"Photo {odd + 1} shows another face than the others: enrol photos of one person."
        if len(shots) == 2:
            sentence = "The two photos show different faces: enrol photos of one person."
        return replace(draft, reason="photos_disagree", sentence=sentence, photos=tuple(photos))

    def _occupied(self, draft: EnrolmentReport, probes: Sequence[NDArray[np.generic]]) -> EnrolmentReport | None:
        """Refused if somebody else, or the same person by another model, has the handle."""
        present = self._gallery.one(draft.user)
        if present == "not_enrolled":
            return None
        if not isinstance(present, Candidates):
            sentence = (
                f"{draft.user!r} is enrolled already, by another model or for a time that is over: renew it."
            )
            return replace(draft, reason=present, sentence=sentence)
        if all(self._gallery.match(probe, present).outcome == "passed" for probe in probes):
            return None
        sentence = f"{draft.user!r} is enrolled already with another face: renew it, or choose another handle."
        return replace(draft, reason="already_enrolled", sentence=sentence)

    def _duplicate(self, draft: EnrolmentReport, probes: Sequence[NDArray[np.generic]]) -> EnrolmentReport | None:
        """Refused if this face is enrolled under another handle."""
        others = self._gallery.others(draft.user)
        if not isinstance(others, Candidates):
            return None
        for match in (self._gallery.match(probe, others) for probe in probes):
            if match.outcome == "passed":
                sentence = f"This face is enrolled already, as {match.handle!r}: use that, or delete it first."
                return replace(draft, reason="enrolled_as_another", sentence=sentence, other=match.handle)
        return None


def _unfit(draft: EnrolmentReport) -> EnrolmentReport | None:
    """Refused if a photo by itself is."""
    for number, photo in enumerate(draft.photos, 1):
        if not photo.accepted:
            said = _SAID.get(photo.reason, photo.reason.replace("_", " "))
            return replace(draft, reason=photo.reason, sentence=f"Photo {number} cannot be enrolled: {said}.")
    return None


_SAID: dict[str, str] = {
    "no_face": "no face was found in it",
    "several_faces": "it shows several faces",
    "presentation_attack": "it looks like a print or a screen, not like a living person",
    "no_threshold": "there is no liveness threshold to tell a person from a photograph; calibrate first",
    "not_measured": "the liveness model gave no number",
    "error": "a stage broke, and the program's log says which",
    "too_small": "the face is too small",
    "too_dark": "the face is too dark",
    "too_bright": "the face is too bright",
    "cut_off": "the face is cut off",
    "blurred": "the face is blurred",
    "turned_away": "the face is turned away",
}
