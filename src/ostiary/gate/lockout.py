"""Who has been refused too often waits, and longer each time; whichever process, thread or door he asks.

A try is counted as a refusal *before* the face is judged, in one transaction of the vault's database, and is given
back afterwards if it was none. So parallel requests cannot get more tries than there are, and a process that is
killed while it judges has spent its try. Whom a row belongs to stands there as an HMAC under the vault's log key:
a deleted person leaves no handle behind.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Literal, Protocol

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from ostiary.gate.header import read_row
from ostiary.gate.policy import LockoutRules

tables = sql.MetaData()

TRIES = sql.Table(
    "ostiary_tries",
    tables,
    sql.Column("subject", sql.String(64), primary_key=True),
    sql.Column("spent", sql.Integer, nullable=False),
    sql.Column("lockouts", sql.Integer, nullable=False),
    sql.Column("until", sql.Float(53), nullable=False),
    sql.Column("seen", sql.Float(53), nullable=False),
    sql.Column("round", sql.Integer, nullable=False),
)

Ending = Literal["accepted", "refused", "not_judged"]
"""How a try ended; one that broke, or showed no face that could be judged, is ``not_judged``."""


@dataclass(frozen=True, slots=True)
class Tries:
    """What is known of one subject.

    ``spent`` of the present ``round`` are refusals and tries under way; ``lockouts`` were there in a row; at
    ``until`` (seconds since 1970) the last of them ends, 0 if there is none; ``seen`` was the last try.
    """

    spent: int = 0
    lockouts: int = 0
    until: float = 0.0
    seen: float = 0.0
    round: int = 0


@dataclass(frozen=True, slots=True)
class Ticket:
    """One try: whose, and of which round."""

    subject: str = field(repr=False)
    round: int


def wait(tries: Tries, now: float, rules: LockoutRules) -> float:
    """Seconds until the next try, 0 if it may be now.

    A clock that was set back cannot make it more than the longest lock-out.
    """
    return min(max(0.0, tries.until - now), rules.longest_s)


def begin(tries: Tries, now: float, rules: LockoutRules) -> tuple[Tries, bool]:
    """Take a try, if there is one left; whether there was."""
    if wait(tries, now, rules) > 0:
        return replace(tries, until=min(tries.until, now + rules.longest_s)), False
    if now - tries.seen > rules.forget_s:
        tries = replace(tries, lockouts=0, spent=0, until=0.0, round=tries.round + 1)
    elif tries.until > 0:  # the lock-out is over: as many tries as before, and a longer pause after them
        tries = replace(tries, spent=0, until=0.0, round=tries.round + 1)
    return _locked_if_spent(replace(tries, spent=tries.spent + 1, seen=now), now, rules), True


def end(tries: Tries, round_begun: int, ending: Ending, now: float, rules: LockoutRules) -> Tries:
    """Settle a try. One of an earlier round counts in the present one if it was refused, and else not at all."""
    if ending == "accepted":
        return Tries(seen=tries.seen, round=tries.round + 1)
    if (ending == "refused") == (round_begun == tries.round):
        return tries  # a refusal was counted when it began, and what is not of this round need not be given back
    if ending == "refused":
        return _locked_if_spent(replace(tries, spent=tries.spent + 1), now, rules)
    tries = replace(tries, spent=tries.spent - 1)
    if tries.until > 0 and tries.spent < rules.refusals:
        tries = replace(tries, until=0.0, lockouts=tries.lockouts - 1)
    return tries


def _locked_if_spent(tries: Tries, now: float, rules: LockoutRules) -> Tries:
    if tries.spent < rules.refusals or tries.until > 0:
        return tries
    return replace(tries, until=now + rules.pause(tries.lockouts), lockouts=tries.lockouts + 1)


class Database(Protocol):
    """Transactions and a name for messages; :class:`ostiary.gate.store.Store` of a vault is one."""

    name: str

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection that sees one state."""

    def writing(self) -> AbstractContextManager[Connection]:
        """A connection whose changes are made together, or not."""


class Lockout:
    """The tries of every subject, in the database of a vault. Safe for threads, processes and several doors.

    Args:
        database: the vault's.
        key: of the vault's audit log.
        rules: how many refusals, and how long to wait.
        clock: seconds since 1970. Several doors need the same time.

    Raises:
        VaultError: the database holds no vault, or cannot be written.

    """

    def __init__(self, database: Database, key: bytes, rules: LockoutRules, clock: Callable[[], float]) -> None:
        self._database, self._key, self._rules, self._clock = database, key, rules, clock
        with database.writing() as connection:
            read_row(connection, database.name, lock=True)
            tables.create_all(connection)

    def __repr__(self) -> str:
        return f"Lockout({self._database.name!r}, {self._rules})"

    def wait(self, subject: str) -> float:
        """Seconds until a subject may try again, 0 if it may.

        Raises:
            VaultError: the database does not answer.

        """
        with self._database.reading() as connection:
            return wait(self._read(connection, self._name(subject)), self._clock(), self._rules)

    def begin(self, subject: str) -> Ticket | float:
        """Take a try, to be settled by :meth:`end`; if there is none, the seconds to wait.

        Raises as :meth:`wait`.
        """
        name, now = self._name(subject), self._clock()
        with self._changing(name) as (tries, write):
            tries, taken = begin(tries, now, self._rules)
            write(tries)
        return Ticket(name, tries.round) if taken else wait(tries, now, self._rules)

    def end(self, ticket: Ticket, ending: Ending) -> None:
        """Settle a try. Raises as :meth:`wait`."""
        with self._changing(ticket.subject) as (tries, write):
            write(end(tries, ticket.round, ending, self._clock(), self._rules))

    @contextmanager
    def _changing(self, name: str) -> Iterator[tuple[Tries, Callable[[Tries], None]]]:
        """A subject's tries, and what writes others in their place, within one transaction."""
        with self._database.writing() as connection:
            read_row(connection, self._database.name, lock=True)  # writers of a vault wait for each other here
            before = self._read(connection, name)

            def write(after: Tries) -> None:
                if after == before:
                    return
                changed = connection.execute(
                    sql.update(TRIES).where(TRIES.c.subject == name).values(asdict(after))
                )
                if not changed.rowcount:
                    connection.execute(sql.insert(TRIES).values(subject=name, **asdict(after)))

            yield before, write

    def _read(self, connection: Connection, name: str) -> Tries:
        row = connection.execute(sql.select(TRIES).where(TRIES.c.subject == name)).first()
        return Tries() if row is None else Tries(row.spent, row.lockouts, row.until, row.seen, row.round)

    def _name(self, subject: str) -> str:
        return hmac.new(self._key, f"ostiary lock-out|{subject}".encode(), hashlib.sha256).hexdigest()
