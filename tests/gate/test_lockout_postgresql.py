"""The tries of a vault on PostgreSQL: doors that begin at the same moment share them, too."""

from __future__ import annotations

import importlib.util
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ostiary.gate.lockout import Lockout, Ticket
from ostiary.gate.policy import LockoutRules
from ostiary.gate.store import Store
from ostiary.gate.vault import Vault

_found = importlib.util.spec_from_file_location(
    "vault_on_postgresql", Path(__file__).with_name("test_vault_postgresql.py")
)
assert _found is not None
assert _found.loader is not None
_vaults = importlib.util.module_from_spec(_found)
_found.loader.exec_module(_vaults)
server, place = _vaults.server, _vaults.place  # the fixtures of the vault's own tests

KEY = bytes(range(32))
RULES = LockoutRules(refusals=3)


def test_doors_that_begin_at_once_share_the_tries(place: str) -> None:
    """Each door has connections of its own, and finds no table of tries yet."""
    begin = threading.Barrier(6)
    with Vault.create(place, KEY) as vault:
        key = vault.log_key

    def door(number: int) -> list[Ticket | float]:
        store = Store(place)
        try:
            begin.wait(60)
            lockout = Lockout(store, key, RULES, lambda: 0.0)
            return [lockout.begin("user ada") for _ in range(3)]
        finally:
            store.close()

    with ThreadPoolExecutor(6) as pool:
        taken = [one for tries in pool.map(door, range(6)) for one in tries]
    tickets = [one for one in taken if isinstance(one, Ticket)]
    assert len(tickets) == RULES.refusals
    assert {one for one in taken if not isinstance(one, Ticket)} == {RULES.pause_s}

    store = Store(place)
    lockout = Lockout(store, key, RULES, lambda: 0.0)
    lockout.end(tickets[0], "not_judged")
    assert isinstance(lockout.begin("user ada"), Ticket), "what was given back may be taken by any door"
    assert lockout.begin("user ada") == RULES.pause_s
    store.close()
