"""A decision of the gate in words, for whoever stands before it or runs it."""

from __future__ import annotations

from ostiary.cli.rendering import WORDS
from ostiary.gate.decision import Decision, Reason

REASONS: dict[Reason, str] = {
    "accepted": "alive, and the right person",
    "locked_out": "too many refusals",
    "not_enrolled": "nobody is enrolled by this handle: enrol first",
    "enrolment_expired": "the last day of this enrolment is over: renew it",
    "enrolled_with_another_model": "enrolled with another model: renew it with a new photo",
    "several_faces": "several people: one at a time",
    "too_few_frames": "not enough pictures with a face that can be judged: stay a moment longer",
    "presentation_attack": "looks like a print, a screen or a mask, not like a living person",
    "another_person": "not the person who was claimed",
    "unknown": "nobody who is enrolled",
    "frames_disagree": "the pictures show several people: one at a time",
    "no_threshold": "there is no threshold to decide by: run `ostiary calibrate`",
    "not_measured": "a model gave no number",
    "error": "something broke",
    "no_face": WORDS["no_face"],
    "too_small": WORDS["too_small"],
    "too_dark": WORDS["too_dark"],
    "too_bright": WORDS["too_bright"],
    "cut_off": WORDS["cut_off"],
    "blurred": WORDS["blurred"],
    "turned_away": WORDS["turned_away"],
}
"""What each reason means, and what can be done about it."""


def sentence(decision: Decision, *, measurements: bool = False) -> str:
    """What was decided and why, in one line; ``measurements`` adds what was measured."""
    numbers = (("liveness", decision.liveness), ("similarity", decision.similarity))
    found = [f"{name} {value:.3f}" for name, value in numbers if value is not None] if measurements else []
    added = f" ({', '.join(found)})" if found else ""
    who = "" if decision.handle is None else f" {decision.handle}"
    if decision.accepted:
        return f"Accepted{who}{added}."
    if decision.problem is not None:
        return f"Refused{who}: {decision.problem}"
    wait = "" if decision.retry_s is None else f"; wait {decision.retry_s:.0f} s"
    return f"Refused{who}: {REASONS[decision.reason]}{wait}{added}."


def exit_code(decision: Decision) -> int:
    """0 accepted, 1 refused, 2 if a stage broke."""
    if decision.reason == "error":
        return 2
    return 0 if decision.accepted else 1
