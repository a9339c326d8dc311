"""What the page says to whoever stands before the camera: what to do, and nothing that helps an attack."""

from __future__ import annotations

from ostiary.gate.decision import Decision, Reason
from ostiary.serve.door import Look, LookReason

HELP: dict[Reason, str] = {
    "accepted": "You may pass.",
    "locked_out": "Too many tries. Please wait a little.",
    "not_enrolled": "Nobody is enrolled by this name. Please enrol first.",
    "enrolment_expired": "This enrolment is over. Please have it renewed.",
    "enrolled_with_another_model": "This enrolment is from an older version. Please have it renewed.",
    "no_face": "No face is in view. Step in front of the camera.",
    "several_faces": "Several people are in view. One at a time, please.",
    "too_few_frames": "That was too short. Stay in view a moment longer.",
    "presentation_attack": (
        "The camera cannot tell that you are here in person. Come without a picture or a screen, and look "
        "straight into the camera."
    ),
    "another_person": "This is not the person whose name was given.",
    "unknown": "The door does not know you. Please enrol first, or look straight into the camera once more.",
    "frames_disagree": "The pictures show several people. One at a time, please.",
    "no_threshold": "The door is not set up yet: whoever keeps it has to calibrate it.",
    "not_measured": "Your face could not be measured. Please try again.",
    "error": "Something broke. Please call whoever keeps this door.",
    "too_small": "Come closer.",
    "too_dark": "It is too dark. Step into the light.",
    "too_bright": "It is too bright. Step out of the strong light.",
    "cut_off": "Your face is cut off. Move into the middle of the picture.",
    "blurred": "The picture is blurred. Hold still, or wipe the lens.",
    "turned_away": "Look into the camera.",
}

_GOOD: dict[LookReason, str] = {"fit": "Good. Hold still.", "bona_fide": "A living person."}
_LOOKS: dict[LookReason, str] = {**dict[LookReason, str](HELP.items()), **_GOOD}


def decided(decision: Decision) -> str:
    """What to say about a decision."""
    if decision.retry_s is not None:
        return f"{HELP[decision.reason]} Try again in {max(1, round(decision.retry_s))} seconds."
    if decision.accepted and decision.handle is not None:
        return f"Welcome, {decision.handle}. You may pass."
    return HELP[decision.reason]


def looked(look: Look) -> str:
    """What to say about a look."""
    return _LOOKS[look.reason]
