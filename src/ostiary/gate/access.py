"""A vault's database together with the key that opens it: sessions, each of them one transaction.

A session reads one state of the vault, or changes it as a whole. Writers wait for each other at the vault's own
row, which holds the count of everything and which each of them changes; readers wait for nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection, Row

from ostiary.errors import NotEnrolledError, VaultError
from ostiary.gate.enrolments import Enrolments
from ostiary.gate.header import Header, insert_header, key_record, new_header, open_header, read_row, write_header
from ostiary.gate.keys import KeySource
from ostiary.gate.sealed_user import Opener
from ostiary.gate.store import TEMPLATES, USERS, Store, tables


@dataclass(slots=True)
class Session:
    """The vault within one transaction."""

    connection: Connection
    opener: Opener

    @property
    def header(self) -> Header:
        """The vault's header, with what this session has changed."""
        return self.opener.header

    def find(self, handle: str) -> Row[Any] | None:
        """A person's row, None if there is none."""
        return self.connection.execute(sql.select(USERS).where(USERS.c.handle == handle)).first()

    def get(self, handle: str) -> Row[Any]:
        """A person's row.

        Raises:
            NotEnrolledError: there is none.

        """
        row = self.find(handle)
        if row is None:
            raise NotEnrolledError(f"{handle!r} is not enrolled in {self.opener.name}: enrol this user first.")
        return row

    def enrolments(self, row: Row[Any]) -> Enrolments:
        """A person's rows, opened.

        Raises:
            VaultError: see :meth:`ostiary.gate.sealed_user.Opener.enrolments`.

        """
        query = sql.select(TEMPLATES).where(TEMPLATES.c.handle == row.handle)
        return self.opener.enrolments(row, self.connection.execute(query).all())

    def rows(self) -> Sequence[Row[Any]]:
        """Every person's row, by handle."""
        return sorted(self.connection.execute(sql.select(USERS)).all(), key=lambda row: str(row.handle))

    def everybody(self) -> Iterator[Enrolments | VaultError]:
        """Every person's rows, opened, or what kept them from opening."""
        templates: dict[object, list[Row[Any]]] = {}
        for template in self.connection.execute(sql.select(TEMPLATES)):
            templates.setdefault(template.handle, []).append(template)
        for row in self.rows():
            try:
                yield self.opener.enrolments(row, templates.get(row.handle, []))
            except VaultError as error:
                yield error

    def counted(self) -> tuple[int, int]:
        """How many users and templates there are."""
        users, templates = (
            self.connection.execute(sql.select(sql.func.count()).select_from(table)).scalar_one()
            for table in (USERS, TEMPLATES)
        )
        return users, templates

    def put(self, people: Enrolments) -> None:
        """Write a person's rows, in place of those before."""
        self.remove(people.user)
        self.opener.insert(self.connection, people)
        self._count(1, len(people.templates))

    def remove(self, handle: str) -> int:
        """Remove a person's rows, whether they open or not; how many templates that were."""
        templates = self.connection.execute(sql.delete(TEMPLATES).where(TEMPLATES.c.handle == handle)).rowcount
        users = self.connection.execute(sql.delete(USERS).where(USERS.c.handle == handle)).rowcount
        self._count(-users, -templates)
        return templates

    def recount(self) -> None:
        """Make the header's numbers those of the rows."""
        users, templates = self.counted()
        self._count(users - self.header.users, templates - self.header.templates)

    def _count(self, users: int, templates: int) -> None:
        header = replace(self.header, users=self.header.users + users, templates=self.header.templates + templates)
        self.opener = replace(self.opener, header=header)


class Access:
    """An open vault.

    Raises:
        VaultError: there is no vault, the key is another, or what is there is damaged.

    """

    def __init__(self, place: Path | str, source: KeySource) -> None:
        self.store = Store(place)
        try:
            with self.store.reading() as connection:
                row = read_row(connection, self.store.name)
            key = source.key(key_record(row, self.store.name))
            self._unlocked = key, open_header(row, key, self.store.name).generation
        except BaseException:
            self.store.close()
            raise

    @property
    def generation(self) -> int:
        """How many keys the vault has had, the present one included."""
        return self._unlocked[1]

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one state of the vault."""
        with self.store.reading() as connection:
            yield Session(connection, self._opener(read_row(connection, self.store.name)))

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session whose changes are made together when the block ends well, and else are not made."""
        with self.store.writing() as connection:
            opener = self._opener(read_row(connection, self.store.name, lock=True))
            session = Session(connection, opener)
            yield session
            if session.header != opener.header:
                write_header(connection, session.header, opener.key)

    def unlocked_by(self, key: bytes, generation: int) -> None:
        """Go on with another key, after the session that changed it has ended."""
        self._unlocked = key, generation

    def _opener(self, row: Row[Any]) -> Opener:
        key, generation = self._unlocked
        if row.generation != generation:
            raise VaultError(
                f"The key of {self.store.name} was changed while this process had it open: open it again with the "
                "new key."
            )
        return Opener(open_header(row, key, self.store.name), key, self.store.name)


def create(place: Path | str, source: KeySource) -> None:
    """Make an empty vault.

    Raises:
        VaultError: there is one already, or the place cannot be used.

    """
    store = Store(place, create=True)
    try:
        with store.writing() as connection:
            if not store.is_empty(connection):
                raise VaultError(f"{store.name} holds a vault already: open it, or name another place.")
            record, key = source.new()
            tables.create_all(connection)
            insert_header(connection, new_header(record), key)
    finally:
        store.close()
