"""Changing a vault's key, so that it can be interrupted anywhere.

The first transaction makes the new key the vault's, and keeps the old one sealed under the new: from then on the
new key opens everything, and the old key nothing. Then every person's rows are sealed anew under new data keys,
some people in each transaction, and at the end the old key is forgotten. What was interrupted is taken up where it
stopped.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Row

from ostiary.errors import VaultError
from ostiary.gate.access import Access, Session
from ostiary.gate.header import PreviousKey, write_header
from ostiary.gate.keys import KeySource, forget
from ostiary.gate.store import USERS


def switch(access: Access, source: KeySource) -> None:
    """Make another key the vault's; :func:`finish` does the rest.

    If the transaction fails, a keyring keeps an entry that nobody needs: to remove it would lose the vault if the
    database had done its work and only its answer was lost.

    Raises:
        VaultError: the key is the present one, or an earlier change is not finished.

    """
    record, key = source.new()
    with access.writing() as session:
        header = session.header
        if key == session.opener.key or header.previous is not None:
            raise VaultError(
                f"{access.store.name}: the new key is the present one, or an earlier change of the key is not "
                "finished: give another key, and finish that change first."
            )
        previous = PreviousKey(session.opener.key, header.key_record)
        changed = replace(header, generation=header.generation + 1, key_record=record, previous=previous)
        write_header(session.connection, changed, key)
    access.unlocked_by(key, changed.generation)


def finish(access: Access, batch: int) -> int:
    """Seal anew whoever is still sealed under the key before; how many people that were.

    Raises:
        VaultError: some people's rows do not open: they are named, and all others are done.

    """
    done, stuck = 0, set[str]()
    while True:
        with access.writing() as session:
            rows = _waiting(session, stuck, batch)
            for row in rows:
                try:
                    session.put(session.enrolments(row))
                    done += 1
                except VaultError:
                    stuck.add(row.handle)
            previous = session.header.previous
            if not rows and not stuck and previous is not None:
                forget(previous.record)
                session.opener = replace(session.opener, header=replace(session.header, previous=None))
        if not rows:
            break
    access.store.scrub()
    if stuck:
        raise VaultError(
            f"{access.store.name}: the change of the key cannot be finished, for the rows of "
            f"{', '.join(repr(handle) for handle in sorted(stuck))} do not open: delete or renew them first."
        )
    return done


def _waiting(session: Session, stuck: set[str], batch: int) -> list[Row[Any]]:
    """Some people who are sealed under the key before, without those whose rows do not open."""
    if session.header.previous is None:
        return []
    query = sql.select(USERS).where(USERS.c.generation != session.header.generation).order_by(USERS.c.handle)
    found = session.connection.execute(query.limit(batch + len(stuck))).all()
    return [row for row in found if row.handle not in stuck]
