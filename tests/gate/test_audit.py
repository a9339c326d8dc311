"""An audit log can be added to, and nothing else without its being noticed."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostiary.errors import AuditError, InputError
from ostiary.gate.audit import AuditHead, AuditLog

KEY = bytes(range(32))
AT = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=timezone.utc)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log" / "audit.jsonl"


@pytest.fixture(params=[None, KEY], ids=["hashes", "hmacs"])
def log(request: pytest.FixtureRequest, path: Path) -> AuditLog:
    """Four entries; the first is the log's own."""
    log = AuditLog(path, request.param, clock=lambda: AT)
    log.append("enrolled", "ada", templates=1)
    log.append("refused", reason="spoof", door="north")
    log.append("accepted", "ada", door="north")
    return log


def test_entries_come_back_in_order(log: AuditLog, path: Path) -> None:
    entries = list(log.entries())
    assert [one.number for one in entries] == [0, 1, 2, 3]
    assert [one.event for one in entries] == ["log_started", "enrolled", "refused", "accepted"]
    assert [one.user for one in entries] == [None, "ada", None, "ada"]
    assert entries[2].details == {"reason": "spoof", "door": "north"}
    assert entries[1].at == AT.replace(microsecond=123_000)
    assert log.verify() == AuditHead(3, entries[3].hash)
    assert log.append("gate_stopped").previous == entries[3].hash
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_each_line_is_json_that_anybody_can_follow(path: Path) -> None:
    """The chain as docs/security.md tells it, without this package."""
    from hashlib import sha256

    AuditLog(path).append("accepted", "Zo\u00e9", door="n\nord")
    previous = "0" * 64
    lines = path.read_text("ascii").splitlines()
    assert len(lines) == 2
    for line in lines:
        entry = json.loads(line)
        found = entry.pop("hash")
        assert entry["previous"] == previous
        assert found == sha256(json.dumps(entry, separators=(",", ":")).encode()).hexdigest()
        previous = found


@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_entry_taken_out_breaks_the_chain_there(log: AuditLog, path: Path, number: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:number] + lines[number + 1 :]))
    with pytest.raises(
        AuditError, match=rf"the chain breaks at entry {number} \(line {number + 1}\)|begins a chain"
    ):
        log.verify()


def test_exchanged_and_doubled_entries_break_the_chain(log: AuditLog, path: Path) -> None:
    first, second, third, fourth = path.read_bytes().splitlines(keepends=True)
    for order, number in (((first, third, second, fourth), 1), ((first, second, second, third, fourth), 2)):
        path.write_bytes(b"".join(order))
        with pytest.raises(AuditError, match=f"the chain breaks at entry {number} "):
            log.verify()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0), change=st.integers(1, 255))
def test_any_changed_byte_is_found_at_its_entry(log: AuditLog, path: Path, place: int, change: int) -> None:
    whole = path.read_bytes()
    place %= len(whole)
    changed = bytearray(whole)
    changed[place] ^= change
    path.write_bytes(changed)
    try:
        with pytest.raises(AuditError) as found:
            log.verify()
    finally:
        path.write_bytes(whole)
    number = whole[:place].count(b"\n")
    at_entry_0 = number == 0 and ("begins a chain" in str(found.value) or "entry 0" in str(found.value))
    assert at_entry_0 or f"entry {number} (line {number + 1})" in str(found.value)


def test_a_rewritten_chain_needs_the_key(path: Path) -> None:
    AuditLog(path, KEY).append("refused", "eve")
    path.unlink()
    AuditLog(path, bytes(32)).append("accepted", "eve")
    with pytest.raises(AuditError, match="the key is another, or entry 0"):
        AuditLog(path, KEY).verify()
    with pytest.raises(AuditError, match="does not end with an entry of this chain"):
        AuditLog(path, KEY).append("accepted", "eve")
    path.unlink()
    AuditLog(path).append("accepted", "eve")
    with pytest.raises(AuditError, match="begins a chain of 'sha256': it was not made with a key"):
        AuditLog(path, KEY).verify()


def test_a_keyed_chain_is_not_followed_without_its_key(path: Path) -> None:
    AuditLog(path, KEY).append("accepted", "ada")
    with pytest.raises(AuditError, match="begins a chain of 'hmac-sha256': give its key"):
        AuditLog(path).verify()


def test_a_kept_head_shows_that_the_end_was_cut_or_all_was_written_anew(log: AuditLog, path: Path) -> None:
    head = log.verify()
    assert log.verify(head) == head
    log.append("gate_stopped")
    assert log.verify(head).number == 4
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]))
    assert log.verify().number == 2  # a whole chain: nothing is missing that it could know of
    with pytest.raises(AuditError, match="ends with entry 2, and there was an entry 3: its end was cut off"):
        log.verify(head)
    log.append("refused", "ada")
    with pytest.raises(AuditError, match="entry 3 is another than the one whose hash was kept"):
        log.verify(head)


def test_an_interrupted_line_stays_and_is_told_of(log: AuditLog, path: Path) -> None:
    """Cut anywhere within the last two lines, as a killed writer leaves it; and once more while that is told."""
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    before = len(whole) - len(lines[3])
    for cut in (before + 1, before + 40, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(AuditError, match=r"ends within entry 3 \(line 4\): a writer was interrupted"):
            log.verify()
        log.append("gate_started")
        told = list(log.entries())
        assert [one.event for one in told[3:]] == ["interrupted_write", "gate_started"]
        assert whole[:cut] in path.read_bytes()
        again = path.read_bytes()
        for second in range(cut + 1, len(again) - 1, 60):
            path.write_bytes(again[:second])
            log.append("gate_started")
            assert log.verify().number >= 4


def test_an_interrupted_first_line_is_no_obstacle(path: Path) -> None:
    path.parent.mkdir()
    for start in (b"", b'{"number":0,"at'):
        path.write_bytes(start)
        AuditLog(path).append("gate_started")
        assert AuditLog(path).verify().number == 1


def test_a_changed_last_line_is_not_taken_for_an_interrupted_one(log: AuditLog, path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-5] + b"?" + content[-4:])
    with pytest.raises(AuditError, match=r"the chain breaks at entry 3 \(line 4\)"):
        log.verify()
    with pytest.raises(AuditError, match="does not end with an entry of this chain"):
        log.append("gate_started")


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n", b"[" * 90_000, b"\xff" * 200_000, b"null\n" * 50_000])
def test_what_is_no_log_is_one_sentence(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(AuditError) as found:
        AuditLog(path).verify()
    assert "\n" not in str(found.value)
    with pytest.raises(AuditError, match=r"cannot be read \(No such file or directory\)"):
        AuditLog(path.with_name("absent")).verify()


def test_no_measured_value_gets_into_the_log(path: Path) -> None:
    log = AuditLog(path)
    for value in (0.75, [0.1, 0.2], b"\x01", {"a": 1}, "x" * 301):
        with pytest.raises(InputError, match="'similarity' is no short text or whole number"):
            log.append("refused", similarity=value)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="is no event of the audit log"):
        log.append("opened")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="is no event of the audit log"):
        log.append("log_started")
    with pytest.raises(InputError, match="cannot name a detail"):
        log.append("refused", Reason="spoof")
    with pytest.raises(InputError, match="has over 16384 bytes"):
        log.append("refused", **{f"detail_{number}": "\u00e9" * 300 for number in range(10)})
    assert not path.exists() or path.read_bytes() == b""


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AuditError, match="cannot be written"):
        AuditLog(tmp_path / "file" / "audit.jsonl").append("gate_started")


def test_several_processes_make_one_chain(path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from ostiary.gate.audit import AuditLog\n"
        "log = AuditLog(Path(sys.argv[1]))\n"
        "for turn in range(20): log.append('accepted', sys.argv[2], turn=turn)\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script, path, name]) for name in ("north", "south", "west")
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    entries = list(AuditLog(path).entries())
    assert len(entries) == 1 + 60
    for name in ("north", "south", "west"):
        assert [one.details["turn"] for one in entries if one.user == name] == list(range(20))


def test_a_log_of_many_entries_is_read_at_its_end_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than is looked at when the next entry is added."""
    monkeypatch.setattr("os.fsync", lambda _: None)
    log = AuditLog(path)
    for _ in range(12):
        log.append("refused", **{f"detail_{number}": "x" * 300 for number in range(40)})
    assert path.stat().st_size > 100_000
    assert log.verify().number == 12
