"""The vault's own row: which vault it is, which key it has, and a sealed state that only this key opens.

Opening the state proves the key. It holds how many users and templates there are, so that a row taken away from
outside is noticed, and a key for the audit log that outlives every change of the vault's own. While the key is
being changed it also holds the old one, sealed under the new: the new key opens everything at once, and the old
key nothing any more.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sql
from pydantic import ValidationError
from sqlalchemy.engine import Connection, Row

from ostiary.errors import VaultError
from ostiary.gate.envelope import FORMAT, new_key, seal, unseal
from ostiary.gate.keys import KeyRecord
from ostiary.gate.store import VAULT


@dataclass(frozen=True, slots=True)
class PreviousKey:
    """The key before the present one, while some users are still sealed under it."""

    key: bytes = field(repr=False)
    record: KeyRecord


@dataclass(frozen=True, slots=True)
class Header:
    """What the vault's row says, opened.

    ``generation`` counts the vault's keys from 1; ``users`` and ``templates`` are how many rows there should be.
    """

    vault: str
    generation: int
    key_record: KeyRecord
    users: int
    templates: int
    log_key: bytes = field(repr=False)
    previous: PreviousKey | None = None


def new_header(record: KeyRecord) -> Header:
    """The header of an empty vault."""
    return Header(secrets.token_hex(16), 1, record, 0, 0, new_key())


def insert_header(connection: Connection, header: Header, key: bytes) -> None:
    """Write the row of a new vault."""
    connection.execute(sql.insert(VAULT).values(id=1, **_values(header, key)))


def write_header(connection: Connection, header: Header, key: bytes) -> None:
    """Replace the row."""
    connection.execute(sql.update(VAULT).where(VAULT.c.id == 1).values(**_values(header, key)))


def read_row(connection: Connection, name: str, *, lock: bool = False) -> Row[Any]:
    """The row as it stands; locked, where the database locks rows, until the transaction ends.

    Raises:
        VaultError: there is no row, or it is of another format.

    """
    query = sql.select(VAULT).where(VAULT.c.id == 1)
    row = connection.execute(query.with_for_update() if lock else query).first()
    if row is None:
        raise VaultError(f"{name} holds no vault: name the right place, or create one.")
    if row.format != FORMAT:
        raise VaultError(
            f"{name} has format {row.format!s:.20}, and this ostiary reads format {FORMAT}: install the "
            "ostiary that wrote it, or restore a backup."
        )
    return row


def key_record(row: Row[Any], name: str) -> KeyRecord:
    """How to come by the vault's key.

    Raises:
        VaultError: the record was changed beyond reading, or outside of what this package writes.

    """
    try:
        return KeyRecord.model_validate_json(row.key_record)
    except ValidationError:
        raise VaultError(
            f"{name}: the record of how to come by its key is damaged or was changed: restore a backup."
        ) from None


def open_header(row: Row[Any], key: bytes, name: str) -> Header:
    """The header, opened by the vault's key.

    Raises:
        VaultError: the key is another, or the row was changed.

    """
    record = key_record(row, name)
    place = _place(row.vault, row.generation, record)
    try:
        state = json.loads(unseal(key, row.state, {"part": "state", **place}, name))
        previous = None
        if row.previous is not None:
            held = json.loads(unseal(key, row.previous, {"part": "previous key", **place}, name))
            previous = PreviousKey(bytes.fromhex(held["key"]), KeyRecord.model_validate(held["record"]))
    except VaultError:
        raise VaultError(
            f"{name} does not open with this key: the key or passphrase is another, or the vault's own row "
            "was changed; try the right key, then a backup."
        ) from None
    if state["rotating"] != (previous is not None):
        raise VaultError(f"{name}: the vault's own row was changed; restore a backup.")
    return Header(
        row.vault,
        row.generation,
        record,
        state["users"],
        state["templates"],
        bytes.fromhex(state["log_key"]),
        previous,
    )


def _values(header: Header, key: bytes) -> dict[str, object]:
    place = _place(header.vault, header.generation, header.key_record)
    state = {
        "users": header.users,
        "templates": header.templates,
        "log_key": header.log_key.hex(),
        "rotating": header.previous is not None,
    }
    previous = None
    if header.previous is not None:
        held = {"key": header.previous.key.hex(), "record": header.previous.record.model_dump()}
        previous = seal(key, json.dumps(held).encode(), {"part": "previous key", **place})
    return {
        "vault": header.vault,
        "format": FORMAT,
        "generation": header.generation,
        "key_record": header.key_record.model_dump_json(),
        "state": seal(key, json.dumps(state).encode(), {"part": "state", **place}),
        "previous": previous,
    }


def _place(vault: str, generation: int, record: KeyRecord) -> dict[str, object]:
    return {"vault": vault, "generation": generation, "key record": record.model_dump_json()}
