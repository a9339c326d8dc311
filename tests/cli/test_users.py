"""``vault`` and ``users``: keys, lists, and what a person may ask for."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from ostiary.errors import InputError, NotEnrolledError, VaultError
from ostiary.gate.audit import AuditLog
from ostiary.gate.keys import Passphrase
from ostiary.gate.vault import Vault

Run = Callable[..., Any]
At = tuple[str, ...]
TEMPLATE = b"0123456789 a template"


@pytest.fixture
def filled(at: At, people: Any) -> At:
    """Ada, and bob whose last day is over."""
    with people() as vault:
        for user, retention in (("ada", None), ("bob", date(2020, 1, 1))):
            vault.add(user, TEMPLATE, "embedding", "ab" * 32, "cd" * 32, retention=retention, consent="said")
    return at


def test_everybody_is_listed_without_a_template(run: Run, filled: At) -> None:
    shown = run("list", "--json", *filled)
    ada, bob = json.loads(shown.stdout)
    today = datetime.now(timezone.utc).date().isoformat()
    assert ada == {
        "user": "ada", "enrolled": today, "retention": None, "expired": False, "templates": 1, "problem": None,
    }  # fmt: skip
    assert (bob["user"], bob["expired"], bob["retention"]) == ("bob", True, "2020-01-01")
    table = run("list", *filled)
    assert (table.exit_code, "expired: renew or delete" in table.stdout) == (0, True)
    assert "0123456789" not in shown.stdout + table.stdout


def test_a_record_that_does_not_open_is_exit_code_1(run: Run, filled: At, people: Any) -> None:
    import sqlite3

    with closing(sqlite3.connect(filled[1])) as raw, raw:
        raw.execute("UPDATE ostiary_users SET record = x'00' WHERE handle = 'bob'")
    shown = run("list", "--json", *filled)
    assert shown.exit_code == 1
    assert [one["problem"] is None for one in json.loads(shown.stdout)] == [True, False]


def test_a_person_is_shown(run: Run, filled: At) -> None:
    shown = json.loads(run("show", "ada", "--json", *filled).stdout)
    assert (shown["user"], shown["consent"], shown["retention"]) == ("ada", "said", None)
    assert [one["model_sha256"] for one in shown["templates"]] == ["ab" * 32]
    plain = run("show", "ada", *filled).stdout
    assert "consent: said\n" in plain
    assert f"model {'ab' * 6}\n" in plain
    assert json.loads(run("show", "bob", "--json", *filled).stdout)["expired"] is True
    with pytest.raises(NotEnrolledError, match="'eve' is not enrolled"):
        run("show", "eve", *filled)


def test_a_deletion_is_asked_for_said_and_logged(run: Run, filled: At, people: Any, tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    assert run("delete", "ada", "--log", log, *filled, keys="n\n").exit_code == 1
    with people() as vault:
        assert len(vault.list()) == 2
    shown = run("delete", "ada", "--log", log, *filled, keys="y\n")
    assert shown.stdout.endswith("ada is deleted; templates: 1.\n")
    assert "A backup made before now" in shown.stderr
    with people() as vault:
        assert [one.user for one in vault.list()] == ["bob"]
        entries = list(AuditLog(log, vault.log_key).entries())
    assert [(one.event, one.user) for one in entries] == [("log_started", None), ("deleted", "ada")]
    with pytest.raises(NotEnrolledError):
        run("delete", "ada", "--yes", *filled)


def test_who_has_expired_is_purged(run: Run, filled: At) -> None:
    (gone,) = json.loads(run("purge", "--json", *filled).stdout)
    assert (gone["user"], gone["templates"]) == ("bob", 1)
    again = run("purge", *filled)
    assert (again.exit_code, again.stdout) == (0, "Nobody is deleted.\n")


def test_a_person_takes_everything_along(run: Run, filled: At, tmp_path: Path) -> None:
    archive = tmp_path / "ada.zip"
    shown = run("export", "ada", "--out", archive, *filled)
    assert shown.stdout == ""
    assert "hand it over to this person" in shown.stderr
    with zipfile.ZipFile(archive) as zipped:
        assert zipped.read("templates/1-embedding.bin") == TEMPLATE
    with pytest.raises(InputError, match=r"does not end in \.zip"):
        run("export", "ada", "--out", tmp_path / "ada.tar", *filled)


class TestVault:
    def test_it_is_made_with_a_new_key(self, run: Run, tmp_path: Path) -> None:
        place, key = tmp_path / "door.db", tmp_path / "door.key"
        shown = run("create", "--vault", place, "--key-file", key)
        assert shown.exit_code == 0
        assert shown.stdout == ""
        assert key.read_bytes().hex() not in shown.stderr
        with Vault(place, key.read_bytes()) as vault:
            assert vault.list() == ()

    def test_a_key_that_opens_nothing_is_not_left_behind(self, run: Run, at: At, tmp_path: Path) -> None:
        with pytest.raises(VaultError, match="holds a vault already"):
            run("create", "--vault", at[1], "--key-file", tmp_path / "new.key")
        assert not (tmp_path / "new.key").exists()
        with pytest.raises(VaultError, match="holds a vault already"):
            run("create", *at)
        assert Path(at[3]).exists()

    def test_a_passphrase_is_typed_twice_and_never_shown(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ostiary.gate.key_choice.Passphrase", lambda words: Passphrase(words, cost=14))
        place = tmp_path / "door.db"
        made = run("create", "--vault", place, keys="long enough\nlong enough\n")
        assert made.exit_code == 0
        opened = run("list", "--vault", place, keys="long enough\n")
        assert opened.exit_code == 0
        for shown in (made, opened):
            assert "long enough" not in shown.stdout + shown.stderr
        with pytest.raises(VaultError, match="does not open with this key"):
            run("list", "--vault", place, keys="another one\n")

    def test_the_key_is_changed(self, run: Run, filled: At, tmp_path: Path) -> None:
        new, log = tmp_path / "new.key", tmp_path / "audit.jsonl"
        assert run("rotate", *filled, "--new-key-file", new, "--log", log).exit_code == 0
        with pytest.raises(VaultError, match="does not open"):
            run("list", *filled)
        assert run("list", "--vault", filled[1], "--key-file", new).exit_code == 0
        with Vault(filled[1], new.read_bytes()) as vault:
            assert [one.event for one in AuditLog(log, vault.log_key).entries()][1:] == ["key_changed"]
        done = run("rotate", "--finish", "--vault", filled[1], "--key-file", new)
        assert done.stderr == "The change of the key is finished; people sealed anew: 0.\n"

    def test_a_loss_is_found_and_can_be_settled(self, run: Run, filled: At) -> None:
        import sqlite3

        whole = run("check", *filled)
        assert (whole.exit_code, whole.stdout) == (0, "The vault is whole; people enrolled: 2.\n")
        with closing(sqlite3.connect(filled[1])) as raw, raw:
            raw.execute("DELETE FROM ostiary_users WHERE handle = 'bob'")
            raw.execute("DELETE FROM ostiary_templates WHERE handle = 'bob'")
        lost = run("check", "--json", *filled)
        report = json.loads(lost.stdout)
        assert (lost.exit_code, report["whole"], report["people"]) == (1, False, 1)
        assert "rows were taken away" in report["problems"][0]
        assert run("recount", *filled).exit_code == 0
        assert run("check", *filled).exit_code == 0
