"""What a vault gives back, and what it takes: records of people, none of which shows a template.

A *template* is what a person is recognised by: an embedding, or a network of the person's own. The vault treats
it as bytes; how they are written is the business of whoever made them.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, get_args

from ostiary.errors import InputError

TemplateKind = Literal["embedding", "personal"]
"""``embedding``: a direction, float32. ``personal``: a network generated for one person."""

LONGEST_HANDLE = 200
LARGEST_TEMPLATE = 4 * 2**20
_HASH = re.compile("[0-9a-f]{64}")
_PICTURES = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"RIFF": "WebP", b"GIF8": "GIF", b"II*\x00": "TIFF"}


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One template of a person and what it was made with.

    ``model`` is the SHA-256 of the weights file and ``preprocess_hash`` that of its preprocess record, 64
    hexadecimal digits each: a template is compared only with what the same two made.
    """

    kind: TemplateKind
    model: str
    preprocess_hash: str
    added: datetime
    template: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Enrolments:
    """All templates of one person, in the order in which they were added.

    ``retention`` is the last day on which they may be used, None if there is none; ``consent`` a note of what
    the person agreed to.
    """

    user: str
    retention: date | None
    consent: str = field(repr=False)
    templates: tuple[Enrolment, ...]


@dataclass(frozen=True, slots=True)
class EnrolledUser:
    """A line of the vault's list: handle and dates, no biometric value.

    ``problem`` is the sentence that says why this person's record does not open, None if it does; the dates are
    then unknown.
    """

    user: str
    added: datetime | None = None
    retention: date | None = None
    expired: bool = False
    templates: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class OpenedVault:
    """Everybody who may be recognised today, and a sentence for each person whose rows do not open."""

    people: tuple[Enrolments, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Deletion:
    """What was deleted, and what may still hold it: sentences for whoever has to see to it."""

    user: str
    templates: int
    remains: tuple[str, ...]


def checked_handle(user: str) -> str:
    """A handle in composed form (NFC).

    Raises:
        InputError: empty, over 200 characters, with a control character, or with spaces around it.

    """
    handle = unicodedata.normalize("NFC", user)
    if not 0 < len(handle) <= LONGEST_HANDLE or handle != handle.strip() or not handle.isprintable():
        raise InputError(
            f"{user[:LONGEST_HANDLE]!r} cannot be a user's handle: give 1 to {LONGEST_HANDLE} printable "
            "characters without spaces around them."
        )
    return handle


def check_enrolment(
    template: bytes, kind: str, model: str, preprocess_hash: str, retention: date | None, consent: str
) -> None:
    """Refuse what a vault does not take.

    Raises:
        InputError: an empty or very large template, or a picture; an unknown kind; a hash that is none; no
            consent note.

    """
    if not isinstance(template, bytes) or not 0 < len(template) <= LARGEST_TEMPLATE:
        raise InputError(f"A template is 1 to {LARGEST_TEMPLATE} bytes: give what the model made of the face.")
    picture = next((name for start, name in _PICTURES.items() if template.startswith(start)), None)
    if picture is not None:
        raise InputError(f"The template is a {picture} picture, and a vault keeps no picture: embed it first.")
    if kind not in get_args(TemplateKind):
        raise InputError(f"{kind!r} is no kind of template: give one of {', '.join(get_args(TemplateKind))}.")
    for name, value in (("model", model), ("preprocess", preprocess_hash)):
        if not _HASH.fullmatch(value):
            raise InputError(f"The {name} hash is not a SHA-256 of 64 lower-case hexadecimal digits.")
    if retention is not None and (not isinstance(retention, date) or isinstance(retention, datetime)):
        raise InputError("The retention is not a date: give the last day on which the enrolment may be used.")
    if not consent.strip():
        raise InputError("The consent note is empty: say what the person agreed to, when, and where it is filed.")
