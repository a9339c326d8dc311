"""The audit log: what the gate did and when, in a file to which one can only add.

Each line is an entry in JSON and carries the hash of the one before, so that an entry that was changed, taken out
or put in breaks the chain from there on. With a key (``Vault.log_key``) the chain is made of HMACs, and only who
has the key can make another that fits. Entries taken off the *end* leave a whole chain: keep the head (number and
hash) elsewhere from time to time, and verify against it.

A process that is killed while it writes leaves part of a line. The line stays, marked as interrupted, and the next
entry holds its hash.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from ostiary.errors import AuditError
from ostiary.gate.audit_entry import LONGEST_LINE, AuditEntry, Detail, Event, check_entry, parse_entry
from ostiary.gate.enrolments import checked_handle

_PATIENCE_S = 10.0
_CHAINS = {False: "sha256", True: "hmac-sha256"}
_INTERRUPTED = b" (interrupted)\n"


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The last entry's number and hash: what to keep elsewhere, to notice later that the end was cut off."""

    number: int
    hash: str


def _now() -> datetime:
    return datetime.now(timezone.utc)


class AuditLog:
    """A log file; the first entry makes it. Safe for several threads and processes of one machine.

    Args:
        path: of the log; ``PATH.lock`` beside it keeps writers apart.
        key: 32 bytes that make the chain one of HMACs, None for plain hashes. Always the same for one log.
        clock: the time, with its zone.

    """

    def __init__(
        self, path: Path | str, key: bytes | None = None, *, clock: Callable[[], datetime] = _now
    ) -> None:
        self.path, self._key, self._clock = Path(path), key, clock
        self._lock = FileLock(f"{path}.lock", timeout=_PATIENCE_S, mode=0o600)

    def __repr__(self) -> str:
        return f"AuditLog({str(self.path)!r}, {_CHAINS[self._key is not None]})"

    def append(self, event: Event, user: str | None = None, **details: Detail) -> AuditEntry:
        """Add an entry; it is on the disk when this returns.

        Args:
            event: what happened.
            user: the handle, None where nobody was claimed or recognised.
            details: short words and whole numbers, such as ``reason="spoof"`` or ``door="north"``.

        Raises:
            InputError: an unknown event, or a detail that does not belong there.
            AuditError: the log's end is broken, its key is another, or it cannot be written.

        """
        check_entry(event, details)
        handle = None if user is None else checked_handle(user)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._lock, _opened_to_append(self.path) as file:
                last, torn = self._end(file)
                mark = _INTERRUPTED if torn and not torn.endswith(_INTERRUPTED) else b""
                note = _described(torn + mark) if torn else {}
                first: list[AuditEntry] = []
                if last is None:
                    start = {"chain": _CHAINS[self._key is not None], "log": secrets.token_hex(8), **note}
                    first = [self._entry(None, "log_started", None, start)]
                elif torn:
                    first = [self._entry(last, "interrupted_write", None, note)]
                entry = self._entry(first[-1] if first else last, event, handle, details)
                file.write(mark + b"".join(one.line() for one in (*first, entry)))
                file.flush()
                os.fsync(file.fileno())
        except Timeout:
            raise AuditError(
                f"{self.path} has been held by another process for {_PATIENCE_S:.0f} seconds: try again."
            ) from None
        except OSError as error:
            raise AuditError(f"{self.path} cannot be written ({error.strerror}): name another place.") from None
        return entry

    def verify(self, head: AuditHead | None = None) -> AuditHead:
        """Follow the chain from the first entry to the last.

        Args:
            head: one that was kept earlier; the log must contain it, at its place.

        Returns:
            The head of the log.

        Raises:
            AuditError: it names the first entry that is broken, and its line; or the log cannot be read.

        """
        last: AuditEntry | None = None
        for entry in self.entries():
            last = entry
            if head is not None and entry.number == head.number and entry.hash != head.hash:
                raise AuditError(
                    f"{self.path}: entry {entry.number} is another than the one whose hash was kept: the log was "
                    "written anew."
                )
        if last is None:
            raise AuditError(f"{self.path} has no entry: the log was emptied, or never written.")
        if head is not None and last.number < head.number:
            raise AuditError(
                f"{self.path} ends with entry {last.number}, and there was an entry {head.number}: its end was "
                "cut off."
            )
        return AuditHead(last.number, last.hash)

    def entries(self) -> Iterator[AuditEntry]:
        """The entries in order, each after its link was checked.

        Raises:
            AuditError: as :meth:`verify`, when the broken entry is reached.

        """
        try:
            with self.path.open("rb") as file:
                yield from self._followed(file)
        except OSError as error:
            raise AuditError(f"{self.path} cannot be read ({error.strerror}): name the log's file.") from None

    def _followed(self, file: BinaryIO) -> Iterator[AuditEntry]:
        last: AuditEntry | None = None
        torn, torn_at = b"", 0
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), 1):
            entry = parse_entry(line)
            expected = 0 if last is None else last.number + 1
            if entry is None and len(torn) < _MOST_TORN:
                torn, torn_at = torn + line, torn_at or number
                continue
            if torn and (entry is None or not _tells_of(entry, torn)):
                raise self._broken(expected, torn_at)
            if entry is None or entry.number != expected or (last and entry.previous != last.hash):
                raise self._broken(expected, number)
            self._check_link(entry, number)
            last, torn, torn_at = entry, b"", 0
            yield entry
        if torn:
            expected = 0 if last is None else last.number + 1
            if _is_whole(torn):
                raise self._broken(expected, torn_at)
            raise AuditError(
                f"{self.path} ends within entry {expected} (line {torn_at}): a writer was interrupted, or the end "
                "was cut off; the next entry will say so, and the chain goes on."
            )

    def _check_link(self, entry: AuditEntry, line: int) -> None:
        chain = entry.details.get("chain")
        if entry.number == 0 and chain != _CHAINS[self._key is not None]:
            wanted = "give its key" if self._key is None else "it was not made with a key, though one is given"
            raise AuditError(f"{self.path} begins a chain of {chain!r:.30}: {wanted}.")
        if entry.link(self._key) == entry.hash:
            return
        if entry.number == 0 and self._key is not None:
            raise AuditError(f"{self.path}: the key is another, or entry 0 (line {line}) was changed.")
        raise self._broken(entry.number, line)

    def _broken(self, number: int, line: int) -> AuditError:
        return AuditError(
            f"{self.path}: the chain breaks at entry {number} (line {line}): it was changed, taken out or put in; "
            "what stands before it is as it was written."
        )

    def _entry(
        self, last: AuditEntry | None, event: str, user: str | None, details: Mapping[str, Detail]
    ) -> AuditEntry:
        at = self._clock().astimezone(timezone.utc)
        number, previous = (0, None) if last is None else (last.number + 1, last.hash)
        return AuditEntry.linked(number, at, event, user, details, previous, self._key)

    def _end(self, file: BinaryIO) -> tuple[AuditEntry | None, bytes]:
        """The last entry, and what an interrupted writer left after it."""
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - _MOST_TORN - LONGEST_LINE)
        file.seek(start)
        torn = b""
        for line in reversed(file.readlines()):
            entry = parse_entry(line)
            if entry is not None:
                self._check_end(entry, torn)
                return entry, torn
            torn = line + torn
        if start or _is_whole(torn):
            raise self._unfit()
        return None, torn

    def _check_end(self, entry: AuditEntry, torn: bytes) -> None:
        if _is_whole(torn) or entry.link(self._key) != entry.hash:
            raise self._unfit()

    def _unfit(self) -> AuditError:
        return AuditError(
            f"{self.path} does not end with an entry of this chain (it was changed, or the key is another): "
            "verify it, put it aside, and a new log begins."
        )


_MOST_TORN = 4 * LONGEST_LINE
"""Bytes that interrupted writers can have left together."""


def _described(torn: bytes) -> dict[str, Detail]:
    return {"bytes": len(torn), "sha256": hashlib.sha256(torn).hexdigest()}


def _is_whole(lines: bytes) -> bool:
    """Whether these lines were written to their end, so that they should have been entries."""
    return lines.endswith(b"\n") and not lines.endswith(_INTERRUPTED)


def _tells_of(entry: AuditEntry, torn: bytes) -> bool:
    described = _described(torn)
    told = {name: entry.details.get(name) for name in described}
    return entry.event in ("interrupted_write", "log_started") and told == described


def _opened_to_append(path: Path) -> BinaryIO:
    """The log, readable by its owner alone if it is made here."""
    return open(path, "a+b", opener=lambda name, flags: os.open(name, flags, 0o600))
