"""One person's rows: a data key wrapped by the vault's key, a record and templates sealed by the data key.

The data key belongs to this person alone, so that destroying its one wrapped copy makes all the rest unreadable
(crypto-shredding). Whatever changes, all rows of the person are written anew under a new data key: there is one
way to write. The record lists the templates that belong to it; one that is missing, or that was put there without
the vault, is noticed.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Row

from ostiary.errors import VaultError
from ostiary.gate.enrolments import Enrolment, Enrolments
from ostiary.gate.envelope import new_key, seal, unseal
from ostiary.gate.header import Header
from ostiary.gate.store import TEMPLATES, USERS


@dataclass(frozen=True, slots=True)
class UserRecord:
    """What is known of a person without opening a template. ``templates`` are their row numbers, in order."""

    added: datetime
    retention: date | None
    consent: str = field(repr=False)
    templates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Opener:
    """What opens and seals people's rows: the vault's header and key, and its name for messages."""

    header: Header
    key: bytes = field(repr=False)
    name: str

    def record(self, row: Row[Any]) -> UserRecord:
        """A person's record.

        Raises:
            VaultError: the row was changed, exchanged, or sealed with a key that the vault no longer has.

        """
        return self._opened(row)[0]

    def enrolments(self, row: Row[Any], templates: Sequence[Row[Any]]) -> Enrolments:
        """Everything of a person.

        Args:
            row: of the users' table.
            templates: the person's rows of the templates' table, in any order.

        Raises:
            VaultError: as :meth:`record`, or a template is missing or not of this person.

        """
        record, key = self._opened(row)
        by_number = {template.id: template for template in templates}
        if sorted(by_number, key=str) != sorted(record.templates):
            raise VaultError(
                f"{self.name}: a template of {_shown(row.handle)} was taken away or put there from outside: "
                "restore a backup, or delete this user and enrol again."
            )
        opened = tuple(self._template(by_number[number], key) for number in record.templates)
        return Enrolments(row.handle, record.retention, record.consent, opened)

    def insert(self, connection: Connection, people: Enrolments) -> None:
        """Write all rows of a person who has none, under a new data key."""
        key, handle = new_key(), people.user
        numbers = [secrets.token_hex(16) for _ in people.templates]
        record = {
            "added": min(one.added for one in people.templates).isoformat(),
            "retention": people.retention and people.retention.isoformat(),
            "consent": people.consent,
            "templates": numbers,
        }
        generation = self.header.generation
        connection.execute(
            sql.insert(USERS).values(
                handle=handle,
                generation=generation,
                wrapped_key=seal(self.key, key, self._place("data key", handle, generation=generation)),
                record=seal(key, json.dumps(record).encode(), self._place("record", handle)),
            )
        )
        rows = []
        for number, one in zip(numbers, people.templates, strict=True):
            bound = {
                "id": number,
                "kind": one.kind,
                "model": one.model,
                "preprocess": one.preprocess_hash,
                "added": one.added.isoformat(),
            }
            sealed = seal(key, one.template, self._place("template", handle, **bound))
            rows.append({**bound, "handle": handle, "template": sealed})
        connection.execute(sql.insert(TEMPLATES), rows)

    def _opened(self, row: Row[Any]) -> tuple[UserRecord, bytes]:
        handle = row.handle
        what = f"{self.name}: the record of {_shown(handle)}"
        place = self._place("data key", handle, generation=row.generation)
        key = unseal(self._wrapping_key(row.generation, handle), row.wrapped_key, place, what)
        held = json.loads(unseal(key, row.record, self._place("record", handle), what))
        retention = held["retention"] and date.fromisoformat(held["retention"])
        added = datetime.fromisoformat(held["added"])
        return UserRecord(added, retention, held["consent"], tuple(held["templates"])), key

    def _template(self, row: Row[Any], key: bytes) -> Enrolment:
        names = ("id", "kind", "model", "preprocess", "added")
        place = self._place("template", row.handle, **{name: getattr(row, name) for name in names})
        content = unseal(key, row.template, place, f"{self.name}: the template of {_shown(row.handle)}")
        return Enrolment(row.kind, row.model, row.preprocess, datetime.fromisoformat(row.added), content)

    def _wrapping_key(self, generation: object, handle: object) -> bytes:
        """The vault's key of a generation: the present one, or the one before while it is being changed."""
        if generation == self.header.generation:
            return self.key
        if self.header.previous is not None and generation == self.header.generation - 1:
            return self.header.previous.key
        raise VaultError(
            f"{self.name}: the record of {_shown(handle)} is sealed with a key that the vault no longer has: it "
            "is an old row put back, or was changed; delete this user and enrol again."
        )

    def _place(self, part: str, handle: object, **more: object) -> dict[str, object]:
        return {**more, "part": part, "vault": self.header.vault, "user": handle}


def _shown(handle: object) -> str:
    """A handle as a message shows it; from a damaged database anything may come."""
    return repr(handle)[:210]
