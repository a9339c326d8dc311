"""``audit verify``: a log of the door is whole, and says so; a changed one, or one cut short, is an error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ostiary.errors import AuditError, ConfigurationError
from ostiary.gate.audit import AuditLog

Run = Callable[..., Any]
At = tuple[str, ...]


@pytest.fixture
def log(run: Run, at: At, photo: Callable[[str], Path], tmp_path: Path) -> Path:
    """A day at the door: ada is enrolled, is let in, and bob is not."""
    path = tmp_path / "audit.jsonl"
    run("enrol", "ada", photo("ada"), "--consent", "said", "--log", path, *at)
    run("verify", photo("ada"), "--user", "ada", "--log", path, "--door", "north", *at)
    run("verify", photo("bob"), "--user", "ada", "--log", path, *at)
    return path


def test_a_whole_log_gives_its_head(run: Run, at: At, log: Path) -> None:
    shown = run("audit", log, *at)
    first, second = shown.stdout.splitlines()
    assert (shown.exit_code, first) == (0, "The log is whole: 4 entries.")
    head = second.rpartition(" ")[2]
    assert run("audit", log, "--head", head, *at).exit_code == 0
    found = json.loads(run("audit", log, "--json", *at).stdout)
    assert f"{found['number']}:{found['hash']}" == head
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [one["event"] for one in entries] == ["log_started", "enrolled", "accepted", "refused"]
    assert entries[2]["details"]["door"] == "north"
    assert entries[3]["details"]["reason"] == "another_person"


def test_a_changed_log_and_a_cut_one_are_errors(run: Run, at: At, log: Path) -> None:
    head = run("audit", log, *at).stdout.split()[-1]
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:-1]))
    assert run("audit", log, *at).exit_code == 0
    with pytest.raises(AuditError, match="its end was cut off"):
        run("audit", log, "--head", head, *at)
    log.write_text("".join(lines).replace("another_person", "presentation_attack"))
    with pytest.raises(AuditError, match="chain breaks at entry 3"):
        run("audit", log, *at)


def test_the_key_is_the_vaults_and_a_log_without_one_is_plain(run: Run, at: At, log: Path, tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="give its key"):
        run("audit", log, "--plain")
    plain = tmp_path / "plain.jsonl"
    AuditLog(plain).append("accepted", "ada")
    assert run("audit", plain, "--plain").exit_code == 0


@pytest.mark.parametrize("head", ["", "3", "3:ab", "x:" + "a" * 64, "-1:" + "a" * 64])
def test_what_is_no_head_is_refused(run: Run, tmp_path: Path, head: str) -> None:
    with pytest.raises(ConfigurationError, match="no head of a log"):
        run("audit", tmp_path / "absent.jsonl", "--head", head)
