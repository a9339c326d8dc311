"""A vault whose process is killed stands in the old state or in the new one; several processes share it.

The processes are real: this file is also the script that they run. It forks, so that a thousand kills stay cheap.
``OSTIARY_KILLS`` sets how many processes are killed at a random time.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

from ostiary.errors import VaultError
from ostiary.gate.vault import Vault

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

OLD_KEY, NEW_KEY = bytes(range(32)), bytes(range(32, 64))
MODEL, PREPROCESS = "ab" * 32, "cd" * 32
KILLS = int(os.environ.get("OSTIARY_KILLS", "12"))
USERS = ("ada", "bob")

State = dict[str, list[str]]


def add(vault: Vault, user: str, text: str) -> None:
    vault.add(user, text.encode(), "personal", MODEL, PREPROCESS, consent="signed")


def renew(vault: Vault, user: str, text: str) -> None:
    vault.renew(user, text.encode(), "personal", MODEL, PREPROCESS, consent="signed")


CHANGES: dict[str, Callable[[Vault], object]] = {
    "add a user": lambda vault: add(vault, "zoe", "zoe 1"),
    "add a template": lambda vault: add(vault, "ada", "ada 2"),
    "renew": lambda vault: renew(vault, "ada", "ada anew"),
    "delete": lambda vault: vault.delete("ada"),
    "rotate": lambda vault: vault.rotate(NEW_KEY, batch=1),  # killed also between people
}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a folder: what a killed process wrote is in the kernel's hands either way."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        yield Path(folder) / "vault.db"


def test_killed_at_any_statement_the_state_is_the_old_or_the_new(place: Path) -> None:
    found = run("statements", place)
    assert set(found) == {*CHANGES, "create"}
    for outcomes in found.values():
        assert len(outcomes) > 4
        assert set(outcomes) == {"old", "new"}
        assert outcomes == sorted(outcomes, reverse=True)  # the old state up to the commit, and then the new one


def test_killed_at_random_times_nothing_acknowledged_is_lost(place: Path) -> None:
    acknowledged = run("random", place)["acknowledged"]
    assert len(acknowledged) == KILLS
    assert sum(acknowledged) > KILLS


def test_several_processes_write_and_read_at_once(place: Path) -> None:
    assert run("together", place)["seen"]
    with Vault(place, OLD_KEY) as vault:
        assert vault.check() == ()
        shared = sorted(one.template.decode() for one in vault.open("shared").templates)
        assert shared == sorted(f"shared {writer} {number}" for writer in range(3) for number in range(4))
        assert len(vault.list()) == 1 + 3 * 4


def run(mode: str, place: Path) -> dict[str, list[Any]]:
    """Run this file as a script; what it found."""
    command = [sys.executable, __file__, mode, str(place)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300 + KILLS, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[Any]] = json.loads(done.stdout)
    return found


# What the script does.


def main(mode: str, place: Path) -> None:
    modes: dict[str, Callable[[Path], dict[str, list[Any]]]] = {
        "statements": lambda place: {name: killed_at_statements(name, place) for name in (*CHANGES, "create")},
        "random": lambda place: {"acknowledged": killed_at_random(place)},
        "together": lambda place: {"seen": together(place)},
    }
    print(json.dumps(modes[mode](place)))


def killed_at_statements(name: str, place: Path) -> list[str]:
    """Kill a process at its first, second, ... statement or commit until one gets to its end."""
    pristine = place.with_name("pristine.db")
    if name == "create":
        pristine.unlink(missing_ok=True)
    elif not pristine.exists():
        with Vault.create(pristine, OLD_KEY) as vault:
            for user in USERS:
                add(vault, user, f"{user} 1")
    outcomes, ended = [], False
    while not ended:
        for path in place.parent.glob("vault.db*"):
            path.unlink()
        if pristine.exists():
            shutil.copy(pristine, place)
        ended = forked(lambda: changed_until(name, place, len(outcomes)))
        outcomes.append(standing(name, place))
    return outcomes


def changed_until(name: str, place: Path, statements: int) -> None:
    """Make the change in this process, and kill the process after so many statements and commits."""
    seen = 0

    def count(*_: object) -> None:
        nonlocal seen
        if seen == statements:
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1

    if name == "create":
        hook(count)
        Vault.create(place, OLD_KEY).close()
        return
    with Vault(place, OLD_KEY) as vault:
        hook(count)
        CHANGES[name](vault)


def hook(count: Callable[..., None]) -> None:
    for moment in ("before_cursor_execute", "commit"):
        event.listen(Engine, moment, count)
    event.listen(Pool, "checkin", count)  # after a commit


def standing(name: str, place: Path) -> str:
    """Whether the vault is as before or as after the change; anything else is an error."""
    old: State = {user: [f"{user} 1"] for user in USERS}
    new = {
        "add a user": {**old, "zoe": ["zoe 1"]},
        "add a template": {**old, "ada": ["ada 1", "ada 2"]},
        "renew": {**old, "ada": ["ada anew"]},
        "delete": {user: old[user] for user in USERS if user != "ada"},
        "rotate": old,
        "create": {},
    }[name]
    if name == "create":
        with suppress(VaultError):
            assert state(place, OLD_KEY) == {}
            return "new"
        Vault.create(place, OLD_KEY).close()  # an interrupted creation is no obstacle
        return "old"
    if name == "rotate":
        return rotated(place, old)
    found = state(place, OLD_KEY)
    assert found in (old, new), found
    return "new" if found == new else "old"


def rotated(place: Path, people: State) -> str:
    """Exactly one of both keys opens everything; and what was left to do can be done."""
    try:
        assert state(place, OLD_KEY) == people
    except VaultError:
        with Vault(place, NEW_KEY) as vault:
            assert contents(vault) == people
            add(vault, "new", "new 1")
            vault.delete("new")
            vault.finish_rotation()
        assert state(place, NEW_KEY) == people
        return "new"
    try:
        Vault(place, NEW_KEY)
    except VaultError:
        return "old"
    raise AssertionError("both keys open the vault")


def killed_at_random(place: Path) -> list[int]:
    """Kill writers at random times; each goes on with what the one before had made. How much each acknowledged."""
    Vault.create(place, OLD_KEY).close()
    choose, made, counts = random.Random(5), 0, []
    for _ in range(KILLS):
        source, sink = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(source)
            write_on(place, made, sink)
        os.close(sink)
        os.read(source, 1)  # the first change is made: from here on at any time
        time.sleep(choose.random() * 0.1)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        acknowledged = 1
        while more := os.read(source, 4096):
            acknowledged += len(more)
        os.close(source)
        found, made = state(place, OLD_KEY), made + acknowledged
        assert found in (after(made), after(made + 1)), (made, found)
        made += found != after(made)
        counts.append(acknowledged)
    return counts


def write_on(place: Path, made: int, sink: int) -> None:
    with Vault(place, OLD_KEY) as vault:
        while True:
            change(vault, made)
            os.write(sink, b".")
            made += 1


def change(vault: Vault, number: int) -> None:
    """Add a user, renew the one before, delete the one before that, and again."""
    user = f"user {number // 3 % 20}"
    if number % 3 == 0:
        add(vault, user, f"first {number}")
    elif number % 3 == 1:
        renew(vault, user, f"second {number}")
    elif number % 6 == 2:
        vault.delete(user)
    else:
        add(vault, user, f"third {number}")


def after(changes: int) -> State:
    """What stands in the vault after so many changes."""
    people: State = {}
    for number in range(changes):
        user = f"user {number // 3 % 20}"
        if number % 3 == 0:
            people.setdefault(user, []).append(f"first {number}")
        elif number % 3 == 1:
            people[user] = [f"second {number}"]
        elif number % 6 == 2:
            del people[user]
        else:
            people[user].append(f"third {number}")
    return people


def together(place: Path) -> list[int]:
    """Several processes write, this one reads; how many users it saw, look by look."""
    Vault.create(place, OLD_KEY).close()
    children = []
    for writer in range(3):
        child = os.fork()
        if child == 0:
            with Vault(place, OLD_KEY) as vault:
                for number in range(4):
                    add(vault, f"user {writer} {number}", "own")
                    add(vault, "shared", f"shared {writer} {number}")
            os._exit(0)
        children.append(child)
    seen = []
    with Vault(place, OLD_KEY) as vault:
        while children:
            assert vault.check() == ()
            seen.append(len(vault.open_all().people))
            gone, status = os.waitpid(children[0], os.WNOHANG)
            assert status == 0
            children = [child for child in children if child != gone]
    assert seen == sorted(seen)
    return seen


def forked(work: Callable[[], None]) -> bool:
    """Whether a child that does this work gets to its end; else it was killed."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), status
    return status == 0


def state(place: Path, key: bytes) -> State:
    with Vault(place, key) as vault:
        found = contents(vault)
        assert [sentence for sentence in vault.check() if "was interrupted" not in sentence] == []
    return found


def contents(vault: Vault) -> State:
    opened = vault.open_all()
    assert opened.problems == ()
    return {one.user: [template.template.decode() for template in one.templates] for one in opened.people}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
