"""One line of the audit log: what it may say, how it is spelled, and its link in the chain.

An entry is about an event, never about a face: words and whole numbers are allowed, and no measured value, since a
logged similarity helps whoever tries faces until one passes. There is one spelling for each entry, so that any
changed byte shows.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, get_args

from ostiary.errors import InputError

Event = Literal[
    "log_started",
    "interrupted_write",
    "gate_started",
    "gate_stopped",
    "accepted",
    "refused",
    "locked_out",
    "enrolled",
    "renewed",
    "deleted",
    "purged",
    "exported",
    "key_changed",
    "checked",
    "calibrated",
]
"""What can be logged; the first two are written by the log itself."""

Detail = str | int | bool | None
"""What a detail may be."""

NOTHING = "0" * 64
"""What the first entry follows."""

LONGEST_TEXT = 300
LONGEST_LINE = 16_384
_NAME = re.compile("[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An entry as it stands in the log.

    ``number`` counts from 0; ``at`` is in UTC; ``user`` is the handle as the vault has it, None where nobody was
    claimed or recognised; ``hash`` covers all the rest and the ``previous`` entry's hash.
    """

    number: int
    at: datetime
    event: str
    user: str | None
    details: Mapping[str, Detail]
    previous: str
    hash: str

    @classmethod
    def linked(
        cls,
        number: int,
        at: datetime,
        event: str,
        user: str | None,
        details: Mapping[str, Detail],
        previous: str | None,
        key: bytes | None,
    ) -> AuditEntry:
        """A new entry with its hash; ``at`` is cut to milliseconds, ``previous`` None for the first.

        Raises:
            InputError: the entry is too long.

        """
        at = at.replace(microsecond=at.microsecond // 1000 * 1000)
        entry = cls(number, at, event, user, dict(details), previous or NOTHING, NOTHING)
        entry = replace(entry, hash=entry.link(key))
        if len(entry.line()) > LONGEST_LINE:
            raise InputError(f"The entry {event!r} has over {LONGEST_LINE} bytes: log fewer details.")
        return entry

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, in the order of the file."""
        return {
            "number": self.number,
            "at": self.at.isoformat(timespec="milliseconds"),
            "event": self.event,
            "user": self.user,
            "details": dict(self.details),
            "previous": self.previous,
            "hash": self.hash,
        }

    def line(self) -> bytes:
        """The entry as the file has it, with its end of line."""
        return json.dumps(self.to_dict(), separators=(",", ":")).encode() + b"\n"

    def link(self, key: bytes | None) -> str:
        """The hash that this entry should have: SHA-256, or HMAC-SHA-256 where the log has a key."""
        covered = {name: value for name, value in self.to_dict().items() if name != "hash"}
        content = json.dumps(covered, separators=(",", ":")).encode()
        if key is None:
            return hashlib.sha256(content).hexdigest()
        return hmac.new(key, content, hashlib.sha256).hexdigest()


def parse_entry(line: bytes) -> AuditEntry | None:
    """The entry that a line spells, None if it is not spelled as this package does."""
    try:
        values = json.loads(line)
        entry = AuditEntry(**{**values, "at": datetime.fromisoformat(values["at"])})
        return entry if entry.line() == line else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def check_entry(event: str, details: Mapping[str, object]) -> None:
    """Refuse what an audit log does not take.

    Raises:
        InputError: an unknown event, or a detail that is no short word, whole number, truth value or None.

    """
    if event not in get_args(Event)[2:]:
        raise InputError(f"{event!r} is no event of the audit log: give one of {', '.join(get_args(Event)[2:])}.")
    for name, value in details.items():
        if not _NAME.fullmatch(name):
            raise InputError(f"{name[:40]!r} cannot name a detail of the audit log: use a short lower-case word.")
        if not isinstance(value, str | int | None) or len(str(value)) > LONGEST_TEXT:
            raise InputError(
                f"The detail {name!r} is no short text or whole number, and the audit log takes nothing else: no "
                "measured value belongs there."
            )
