"""The same vault on a real PostgreSQL, for several doors; skipped, with a word, where none is installed."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy as sql

from ostiary.errors import NotEnrolledError, VaultError
from ostiary.gate.vault import Vault

pytest.importorskip("psycopg", reason="the driver psycopg is not installed")

KEY, NEW_KEY = bytes(range(32)), bytes(range(32, 64))
MODEL, PREPROCESS = "ab" * 32, "cd" * 32


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """URL of a server that runs for this module on a socket of its own."""
    programs = shutil.which("initdb") or next(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), None)
    if programs is None:
        pytest.skip("PostgreSQL is not installed here: initdb was not found")
    binaries = Path(programs).resolve().parent
    account = unprivileged()
    with TemporaryDirectory(prefix="ostiary-pg-", ignore_cleanup_errors=True) as folder:
        if account is not None:
            shutil.chown(folder, account)
        data = f"{folder}/data"
        flags = ["--username=ostiary", "--auth=trust", "--encoding=UTF8", "--no-sync", f"--pgdata={data}"]
        subprocess.run([binaries / "initdb", *flags], check=True, capture_output=True, user=account, cwd=folder)
        settings = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", f"unix_socket_directories={folder}"]
        with subprocess.Popen(
            [binaries / "postgres", "-D", data, *settings],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=account,
            cwd=folder,
        ) as process:
            url = f"postgresql://ostiary@/postgres?host={folder}"
            try:
                wait_for(url)
                yield url
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(30)


def unprivileged() -> str | None:
    """PostgreSQL does not run as root; None if this process is not root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


def wait_for(url: str) -> None:
    engine = sql.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    deadline = time.monotonic() + 60
    while True:
        try:
            engine.connect().close()
        except sql.exc.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            engine.dispose()
            return


@pytest.fixture
def place(server: str) -> Iterator[str]:
    yield server
    engine = sql.create_engine(server.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(sql.text("DROP TABLE IF EXISTS ostiary_templates, ostiary_users, ostiary_vault"))
    engine.dispose()


def add(vault: Vault, user: str, template: bytes) -> None:
    vault.add(user, template, "personal", MODEL, PREPROCESS, consent="signed")


def test_add_open_renew_rotate_and_delete(place: str) -> None:
    with pytest.raises(VaultError, match="holds no vault"):
        Vault(place, KEY)
    with Vault.create(place, KEY) as vault:
        with pytest.raises(VaultError, match="holds a vault already"):
            Vault.create(place, KEY)
        add(vault, "ada", b"first")
        add(vault, "ada", b"second" * 20_000)
        add(vault, "bob", b"bob's")
        vault.renew("bob", b"anew", "personal", MODEL, PREPROCESS, consent="signed")
        vault.rotate(NEW_KEY)
        assert vault.check() == ()
    with pytest.raises(VaultError, match="does not open with this key"):
        Vault(place, KEY)
    with Vault(place, NEW_KEY) as vault:
        assert [one.template for one in vault.open("ada").templates] == [b"first", b"second" * 20_000]
        assert [one.template for one in vault.open("bob").templates] == [b"anew"]
        assert [sentence[:19] for sentence in vault.delete("ada").remains] == [
            "A backup made befor",
            "The database server",
        ]
        with pytest.raises(NotEnrolledError):
            vault.open("ada")
        assert ([one.user for one in vault.list()], vault.check()) == (["bob"], ())


def test_doors_write_and_read_at_once(place: str) -> None:
    Vault.create(place, KEY).close()
    problems: list[object] = []

    def door(number: int) -> None:
        try:
            with Vault(place, KEY) as vault:
                for turn in range(5):
                    add(vault, f"user {number} {turn}", b"own")
                    add(vault, "shared", b"%d %d" % (number, turn))
                    problems.extend(vault.check())
        except Exception as error:  # a thread's error would else be lost
            problems.append(error)

    doors = [threading.Thread(target=door, args=(number,)) for number in range(3)]
    for thread in doors:
        thread.start()
    for thread in doors:
        thread.join()
    assert problems == []
    with Vault(place, KEY) as vault:
        assert len(vault.list()) == 16
        found = sorted(one.template for one in vault.open("shared").templates)
        assert found == sorted(b"%d %d" % (number, turn) for number in range(3) for turn in range(5))
        assert vault.check() == ()


def test_an_exchanged_row_and_a_changed_key_are_refused(place: str) -> None:
    with Vault.create(place, KEY) as vault, Vault(place, KEY) as other:
        add(vault, "ada", b"ada's")
        add(vault, "bob", b"bob's")
        engine = sql.create_engine(place.replace("postgresql:", "postgresql+psycopg:"))
        with engine.begin() as connection:
            connection.execute(
                sql.text(
                    "UPDATE ostiary_users SET (wrapped_key, record) = "
                    "(SELECT wrapped_key, record FROM ostiary_users WHERE handle = 'bob') WHERE handle = 'ada'"
                )
            )
        engine.dispose()
        with pytest.raises(VaultError, match="the record of 'ada' does not open"):
            vault.open("ada")
        vault.delete("ada")
        vault.rotate(NEW_KEY)
        with pytest.raises(VaultError, match="was changed while this process had it open"):
            add(other, "eve", b"eve's")
        assert [one.user for one in vault.list()] == ["bob"]
