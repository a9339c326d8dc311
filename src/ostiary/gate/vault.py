"""The vault: who is enrolled, sealed so that only this vault's key opens it, and so that deletion is for good.

::

    vault = Vault.create("vault.db", Passphrase("correct horse battery staple"))
    vault.add("ada", template, "embedding", model, preprocess_hash, consent="signed 2026-03-01, folder 7")
    vault.open("ada").templates

Each call is one transaction: a process that is killed leaves the state before or after it. Several processes may
read and write at once. Whatever does not open is a :class:`VaultError`, never an empty answer. A handle stands in
clear beside the sealed rows; docs/security.md says what else a thief of the file sees.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy.engine import Row

from ostiary.errors import ExpiredError, VaultError
from ostiary.gate import access, rotation
from ostiary.gate.access import Access, Session
from ostiary.gate.enrolments import (
    Deletion,
    EnrolledUser,
    Enrolment,
    Enrolments,
    OpenedVault,
    TemplateKind,
    check_enrolment,
    checked_handle,
)
from ostiary.gate.keys import CallerKey, KeySource
from ostiary.gate.store import Store
from ostiary.gate.subject_archive import write_archive

Key = bytes | KeySource
"""32 bytes, or where they come from: :class:`Passphrase`, :class:`KeyringKey`."""

_BACKUPS = (
    "A backup made before now still holds this person's rows and wrapped data key, and the vault's present key "
    "opens them: destroy such backups, or change the vault's key and destroy the present one."
)
_BUSY_LOG = (
    "Another process was reading, so SQLite's write-ahead log beside the vault still holds the deleted rows until "
    "the next deletion, or until all processes have closed the vault."
)
_SERVER_LOG = (
    "The database server keeps deleted rows until it vacuums the tables, and in its write-ahead logs and replicas."
)


def _now() -> datetime:
    return datetime.now(timezone.utc)


class Vault:
    """An existing vault; :meth:`create` makes a new one.

    Safe to use from several threads; a child process opens its own. Close it, or use it in a ``with`` block.

    Args:
        place: a file for SQLite, or a SQLAlchemy URL for several doors.
        key: 32 bytes, or where they come from.
        clock: the time, with its zone; retention ends with a day of UTC.

    Raises:
        VaultError: there is no vault, the key is another, or what is there is damaged.
        ConfigurationError: an impossible place or key.
        MissingExtraError: the database's driver is not installed.

    """

    def __init__(self, place: Path | str, key: Key, *, clock: Callable[[], datetime] = _now) -> None:
        self._access, self._clock = Access(place, _source(key)), clock

    @classmethod
    def create(cls, place: Path | str, key: Key, *, clock: Callable[[], datetime] = _now) -> Vault:
        """Make an empty vault. Arguments as the class.

        Raises:
            VaultError: there is one already, or the place cannot be used.

        """
        access.create(place, _source(key))
        return cls(place, key, clock=clock)

    def __repr__(self) -> str:
        return f"Vault({self.name!r}, key of generation {self._access.generation})"

    def __enter__(self) -> Vault:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections to the database."""
        self._access.store.close()

    @property
    def name(self) -> str:
        """The file, or the URL without its password."""
        return self._access.store.name

    @property
    def store(self) -> Store:
        """The database, for what else must hold at every door of this vault."""
        return self._access.store

    @property
    def log_key(self) -> bytes:
        """A key of this vault for the chain of its audit log; it stays the same when the vault's key changes."""
        with self._access.reading() as session:
            return session.header.log_key

    def add(
        self,
        user: str,
        template: bytes,
        kind: TemplateKind,
        model: str,
        preprocess_hash: str,
        *,
        retention: date | None = None,
        consent: str,
    ) -> None:
        """Enrol a person, or add a template to one who is enrolled.

        Args:
            user: the handle; stored in clear, so rather a number than a name.
            template: what the model made of the face.
            kind: of template.
            model: SHA-256 of the weights file, 64 hexadecimal digits.
            preprocess_hash: SHA-256 of its preprocess record.
            retention: last day of use, of all templates of this person from now on; None for no end.
            consent: note of what the person agreed to; replaces the one before.

        Raises:
            InputError: a handle, template, hash or note that cannot be.
            ExpiredError: the person's enrolment has expired; renew it, so that no old template lives on.
            VaultError: the vault or this person's rows do not open.

        """
        handle = checked_handle(user)
        check_enrolment(template, kind, model, preprocess_hash, retention, consent)
        new = Enrolment(kind, model, preprocess_hash, self._clock(), template)
        with self._access.writing() as session:
            row = session.find(handle)
            before = () if row is None else self._valid(session, row).templates
            session.put(Enrolments(handle, retention, consent, (*before, new)))

    def renew(
        self,
        user: str,
        template: bytes,
        kind: TemplateKind,
        model: str,
        preprocess_hash: str,
        *,
        retention: date | None = None,
        consent: str,
    ) -> None:
        """Replace all templates of a person by a new one; those before are gone as after :meth:`delete`.

        For an expired enrolment, a change of model, or a template that may be known to others. Works also if the
        old rows are damaged. Arguments as :meth:`add`.

        Raises:
            NotEnrolledError: nobody of this handle is enrolled.
            InputError, VaultError: as :meth:`add`.

        """
        handle = checked_handle(user)
        check_enrolment(template, kind, model, preprocess_hash, retention, consent)
        new = Enrolment(kind, model, preprocess_hash, self._clock(), template)
        with self._access.writing() as session:
            session.get(handle)
            session.put(Enrolments(handle, retention, consent, (new,)))
        self._access.store.scrub()

    def open(self, user: str) -> Enrolments:
        """A person's templates, to be compared with a face.

        Raises:
            NotEnrolledError: nobody of this handle is enrolled.
            ExpiredError: the last day of use is over.
            VaultError: the person's rows were changed, exchanged or cut short.

        """
        handle = checked_handle(user)
        with self._access.reading() as session:
            return self._valid(session, session.get(handle))

    def open_all(self) -> OpenedVault:
        """Everybody's templates, of one state of the vault; those that have expired are left out."""
        with self._access.reading() as session:
            found = list(session.everybody())
        people = (one for one in found if isinstance(one, Enrolments) and not self._expired(one.retention))
        return OpenedVault(tuple(people), tuple(str(one) for one in found if isinstance(one, VaultError)))

    def list(self) -> tuple[EnrolledUser, ...]:
        """Everybody who is enrolled, by handle: dates, no biometric value, and no template is opened."""
        with self._access.reading() as session:
            return tuple(self._listed(session, row) for row in session.rows())

    def delete(self, user: str) -> Deletion:
        """Destroy a person's data key and rows. Works also if the rows are damaged.

        Returns:
            What was deleted, and what else may still hold it.

        Raises:
            NotEnrolledError: nobody of this handle is enrolled.

        """
        handle = checked_handle(user)
        with self._access.writing() as session:
            session.get(handle)
            templates = session.remove(handle)
        return Deletion(handle, templates, self._remains())

    def purge(self) -> tuple[Deletion, ...]:
        """Delete everybody whose last day of use is over; a record that does not open stays (:meth:`list`)."""
        with self._access.writing() as session:
            expired = [row.handle for row in session.rows() if self._listed(session, row).expired]
            removed = [(handle, session.remove(handle)) for handle in expired]
        remains = self._remains() if removed else ()
        return tuple(Deletion(handle, templates, remains) for handle, templates in removed)

    def export(self, user: str, out: Path | str) -> Path:
        """Write everything that is stored about a person into a zip archive, in clear, for that person.

        Also for an enrolment that has expired. The file can be read by its owner alone.

        Raises:
            NotEnrolledError: nobody of this handle is enrolled.
            InputError: ``out`` cannot be written.
            VaultError: the person's rows do not open.

        """
        handle = checked_handle(user)
        with self._access.reading() as session:
            found = session.enrolments(session.get(handle))
        return write_archive(found, Path(out))

    def rotate(self, key: Key, *, batch: int = 100) -> None:
        """Change the vault's key, and seal every person's rows anew under a data key of their own.

        From its first transaction on only the new key opens the vault. If the process is killed after that,
        everything stays usable with the new key, and :meth:`finish_rotation` does the rest. Other processes must
        open the vault again. Change to a new passphrase by a new :class:`Passphrase`.

        Args:
            key: the new one, or where it comes from.
            batch: how many people are sealed anew in each transaction.

        Raises:
            VaultError: as :meth:`finish_rotation`.

        """
        self.finish_rotation(batch=batch)
        rotation.switch(self._access, _source(key))
        self.finish_rotation(batch=batch)

    def finish_rotation(self, *, batch: int = 100) -> int:
        """Do what a change of the key has left to do, ``batch`` people in each transaction; how many it were.

        Raises:
            VaultError: some rows do not open: they are named, all others are done, and the change can be finished
                once these users are deleted or renewed.

        """
        return rotation.finish(self._access, batch)

    def check(self) -> tuple[str, ...]:
        """Open every row and count them; a sentence for each thing that is wrong, none if all is well."""
        with self._access.reading() as session:
            found = self._access.store.damage(session.connection)
            found += [str(one) for one in session.everybody() if isinstance(one, VaultError)]
            header, there = session.header, session.counted()
        if there != (header.users, header.templates):
            found.append(
                f"{self.name} should hold {header.users} users and {header.templates} templates, and holds "
                f"{there[0]} and {there[1]}: rows were taken away or put there from outside; restore a backup, "
                "or recount."
            )
        if header.previous is not None:
            found.append(f"{self.name}: a change of its key was interrupted: finish the rotation.")
        return tuple(found)

    def recount(self) -> None:
        """Take what is there as what should be, after a loss that :meth:`check` found and nobody can repair."""
        with self._access.writing() as session:
            session.recount()

    def _valid(self, session: Session, row: Row[Any]) -> Enrolments:
        found = session.enrolments(row)
        if self._expired(found.retention):
            raise ExpiredError(
                f"The enrolment of {found.user!r} ended on {found.retention}: renew it, or purge the vault."
            )
        return found

    def _remains(self) -> tuple[str, ...]:
        if self._access.store.path is None:
            return (_BACKUPS, _SERVER_LOG)
        return (_BACKUPS,) if self._access.store.scrub() else (_BACKUPS, _BUSY_LOG)

    def _listed(self, session: Session, row: Row[Any]) -> EnrolledUser:
        try:
            record = session.opener.record(row)
        except VaultError as error:
            return EnrolledUser(str(row.handle), problem=str(error))
        expired = self._expired(record.retention)
        return EnrolledUser(row.handle, record.added, record.retention, expired, len(record.templates))

    def _expired(self, retention: date | None) -> bool:
        return retention is not None and self._clock().astimezone(timezone.utc).date() > retention


def _source(key: Key) -> KeySource:
    return CallerKey(key) if isinstance(key, bytes) else key
