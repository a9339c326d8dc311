"""Who is refused too often waits; neither threads nor processes nor a killed program give anybody a try more."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.errors import ConfigurationError, VaultError
from ostiary.gate.lockout import Lockout, Ticket, Tries, begin, end, wait
from ostiary.gate.policy import LockoutRules
from ostiary.gate.store import Store
from ostiary.gate.vault import Vault

KEY = bytes(range(32))
RULES = LockoutRules(refusals=3, pause_s=30, factor=2, longest_s=100, forget_s=1000)


def refused(tries: Tries, now: float, rules: LockoutRules = RULES) -> Tries:
    tries, taken = begin(tries, now, rules)
    assert taken
    return end(tries, tries.round, "refused", now, rules)


def test_the_pauses_grow_to_the_longest_and_each_is_followed_by_as_many_tries() -> None:
    tries, now, pauses = Tries(), 0.0, []
    for _ in range(4):
        for _ in range(RULES.refusals):
            assert wait(tries, now, RULES) == 0
            tries = refused(tries, now)
        pauses.append(wait(tries, now, RULES))
        assert not begin(tries, now + pauses[-1] - 1e-3, RULES)[1]
        now += pauses[-1]
    assert pauses == [30, 60, 100, 100]


def test_an_acceptance_forgets_all_and_so_does_time() -> None:
    tries = refused(refused(Tries(), 0), 0)
    tries, taken = begin(tries, 0, RULES)
    assert taken
    assert wait(tries, 0, RULES) == 30  # the last try counts as a refusal until it is known to be none
    tries = end(tries, tries.round, "accepted", 0, RULES)
    assert (tries.spent, tries.lockouts, wait(tries, 0, RULES)) == (0, 0, 0)
    for _ in range(3):
        tries = refused(tries, 0)
    later = 0 + 30 + RULES.forget_s
    tries = refused(tries, later)
    assert (tries.spent, tries.lockouts) == (1, 0)


def test_what_was_not_judged_is_given_back() -> None:
    tries = refused(refused(Tries(), 0), 0)
    for _ in range(5):
        tries, taken = begin(tries, 0, RULES)
        assert taken
        tries = end(tries, tries.round, "not_judged", 0, RULES)
    assert (tries.spent, tries.until, tries.lockouts) == (2, 0, 0)
    assert wait(refused(tries, 0), 0, RULES) == 30


def test_a_clock_that_was_set_back_locks_nobody_out_for_longer_than_the_longest() -> None:
    tries = Tries()
    for _ in range(3):
        tries = refused(tries, 1e9)
    assert wait(tries, 0, RULES) == 100
    tries, taken = begin(tries, 0, RULES)
    assert not taken
    assert wait(tries, 101, RULES) == 0


STEPS = st.tuples(st.sampled_from(["begin", "refused", "not_judged", "wait"]), st.integers(0, 9))


@given(st.lists(STEPS, max_size=60))
def test_no_interleaving_yields_more_tries_than_there_are(steps: list[tuple[str, int]]) -> None:
    """Tries may overlap and end in any order: those begun within one pause, and not given back, are never more."""
    tries, now = Tries(), 0.0
    under_way: list[tuple[int, float]] = []
    ended: list[float] = []
    for step, number in steps:
        if step == "wait":
            now += 4 * number
        elif step == "begin":
            tries, taken = begin(tries, now, RULES)
            under_way += [(tries.round, now)] * taken
        elif under_way:
            begun, at = under_way.pop(number % len(under_way))
            tries = end(tries, begun, step, now, RULES)  # type: ignore[arg-type]
            ended += [at] * (step == "refused")
        assert min(tries.spent, tries.lockouts) >= 0
        spent = [*ended, *(at for _, at in under_way)]
        assert all(sum(first <= at < first + RULES.pause_s for at in spent) <= RULES.refusals for first in spent)


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with Vault.create(tmp_path / "vault.db", KEY) as vault:
        yield vault


def lockout_of(vault: Vault, seconds: float = 0.0, rules: LockoutRules = RULES) -> Lockout:
    return Lockout(Store(vault.name), vault.log_key, rules, lambda: seconds)


def test_subjects_are_apart_and_doors_are_not(vault: Vault) -> None:
    one, other = lockout_of(vault), lockout_of(vault)
    for lockout in (one, other, one):
        ticket = lockout.begin("user ada")
        assert isinstance(ticket, Ticket)
        lockout.end(ticket, "refused")
    assert one.begin("user ada") == other.begin("user ada") == other.wait("user ada") == 30
    assert other.wait("user bob") == 0
    assert isinstance(one.begin("user bob"), Ticket)
    assert lockout_of(vault, 30).wait("user ada") == 0
    assert vault.check() == ()


def test_parallel_threads_share_the_tries(vault: Vault) -> None:
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: lockout_of(vault).begin("user ada"), range(8)))
    assert sum(isinstance(one, Ticket) for one in taken) == RULES.refusals


_PROCESS = """
import sys
from ostiary.gate.lockout import Lockout, Ticket
from ostiary.gate.policy import LockoutRules
from ostiary.gate.vault import Vault
vault = Vault(sys.argv[1], bytes(range(32)))
from ostiary.gate.store import Store
lockout = Lockout(Store(sys.argv[1]), vault.log_key, LockoutRules(refusals=3), lambda: 0.0)
print(sum(isinstance(lockout.begin("user ada"), Ticket) for _ in range(3)), flush=True)
import os
os._exit(0)  # killed while it judges: nothing is settled
"""


def test_parallel_processes_share_the_tries_and_a_killed_one_has_spent_its_own(vault: Vault) -> None:
    command = [sys.executable, "-c", _PROCESS, vault.name]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ, text=True) for _ in range(2)]
    assert sum(int(process.communicate(timeout=120)[0]) for process in running) == 3
    assert lockout_of(vault).wait("user ada") > 0


def test_no_handle_stays_in_the_file(vault: Vault, tmp_path: Path) -> None:
    vault.add("a-handle-to-look-for", b"template", "embedding", "ab" * 32, "cd" * 32, consent="said")
    lockout = lockout_of(vault)
    lockout.begin("user a-handle-to-look-for")
    assert any(b"a-handle-to-look-for" in file.read_bytes() for file in tmp_path.iterdir())
    vault.delete("a-handle-to-look-for")
    lockout.begin("user a-handle-to-look-for")
    assert not any(b"a-handle-to-look-for" in file.read_bytes() for file in tmp_path.iterdir())
    ticket = lockout.begin("user a-handle-to-look-for")
    assert "a-handle-to-look-for" not in repr((lockout, ticket))


def test_where_there_is_no_vault_there_are_no_tries(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    with pytest.raises(VaultError, match="holds no vault"):
        Lockout(Store(tmp_path / "empty.db"), KEY, RULES, lambda: 0.0)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"refusals": 0}, "lets nobody try"),
        ({"pause_s": 0}, "0 < pause <= longest"),
        ({"pause_s": 4000}, "0 < pause <= longest"),
        ({"longest_s": float("inf")}, "0 < pause <= longest"),
        ({"factor": 0.5}, "a factor from 1 to 100"),
        ({"pause_s": float("nan")}, "0 < pause <= longest"),
        ({"forget_s": 0}, "cannot be forgotten"),
    ],
)
def test_rules_that_make_no_sense(changes: dict[str, float], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        LockoutRules(**changes)  # type: ignore[arg-type]
    assert LockoutRules(factor=100).pause(10_000) == 3600
