"""A vault gives back what was enrolled, to whoever has its key and as long as it may; and then nothing of it."""

from __future__ import annotations

import json
import logging
import sqlite3
import stat
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostiary.errors import ConfigurationError, ExpiredError, InputError, NotEnrolledError, VaultError
from ostiary.gate.enrolments import checked_handle
from ostiary.gate.store import default_place
from ostiary.gate.vault import Vault

KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
MODEL, PREPROCESS = "ab" * 32, "cd" * 32
TEMPLATE = bytes(range(7, 250)) * 4
CONSENT = "signed on paper, folder seven"
NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "door" / "vault.db"


@pytest.fixture
def vault(place: Path, clock: Clock) -> Iterator[Vault]:
    with Vault.create(place, KEY, clock=clock) as vault:
        yield vault


def enrol(vault: Vault, user: str, template: bytes = TEMPLATE, **changes: Any) -> None:
    given = {"kind": "embedding", "model": MODEL, "preprocess_hash": PREPROCESS, "consent": CONSENT, **changes}
    vault.add(user, template, **given)


def everything_on_disk(place: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(place.parent.iterdir()))


def test_what_was_added_comes_back_in_order(vault: Vault, place: Path, clock: Clock) -> None:
    enrol(vault, "ada")
    clock.now = NOON.replace(hour=13)
    enrol(vault, "ada", b"a network", kind="personal", retention=date(2027, 3, 1), consent="signed again")
    with Vault(place, KEY, clock=clock) as again:
        found = again.open("ada")
    assert (found.user, found.retention, found.consent) == ("ada", date(2027, 3, 1), "signed again")
    assert [one.template for one in found.templates] == [TEMPLATE, b"a network"]
    assert [one.kind for one in found.templates] == ["embedding", "personal"]
    assert [one.added for one in found.templates] == [NOON, NOON.replace(hour=13)]
    assert {(one.model, one.preprocess_hash) for one in found.templates} == {(MODEL, PREPROCESS)}
    assert vault.check() == ()


def test_the_list_shows_handles_and_dates(vault: Vault) -> None:
    enrol(vault, "zoe", retention=date(2026, 12, 31))
    enrol(vault, "ada")
    first, second = vault.list()
    assert (first.user, first.added, first.retention, first.templates) == ("ada", NOON, None, 1)
    assert (second.user, second.retention, second.expired) == ("zoe", date(2026, 12, 31), False)
    assert second.problem is None


def test_who_is_not_enrolled_is_an_error_and_never_an_empty_answer(vault: Vault, tmp_path: Path) -> None:
    for call in (vault.open, vault.delete, lambda user: vault.export(user, tmp_path / "a.zip")):
        with pytest.raises(NotEnrolledError, match="'nobody' is not enrolled in "):
            call("nobody")
    with pytest.raises(NotEnrolledError):
        vault.renew("nobody", TEMPLATE, "embedding", MODEL, PREPROCESS, consent=CONSENT)
    assert (vault.list(), vault.open_all().people, vault.purge()) == ((), (), ())


def test_renewal_leaves_nothing_of_the_old_templates(vault: Vault, place: Path) -> None:
    enrol(vault, "ada")
    enrol(vault, "ada", b"second")
    sealed = stored(place, "SELECT template FROM ostiary_templates") + stored(
        place, "SELECT wrapped_key FROM ostiary_users"
    )
    vault.renew("ada", b"third", "personal", "ef" * 32, PREPROCESS, consent="anew")
    found = vault.open("ada")
    assert [(one.template, one.kind, one.model) for one in found.templates] == [(b"third", "personal", "ef" * 32)]
    assert (found.consent, vault.check()) == ("anew", ())
    left = everything_on_disk(place)
    assert len(sealed) == 3
    assert not any(value in left for value in sealed)


def test_deletion_shreds_the_key_and_says_what_a_backup_holds(vault: Vault, place: Path) -> None:
    enrol(vault, "ada")
    enrol(vault, "bob", b"bob's")
    before = everything_on_disk(place)
    (key,) = stored(place, "SELECT wrapped_key FROM ostiary_users WHERE handle = 'ada'")
    (record,) = stored(place, "SELECT record FROM ostiary_users WHERE handle = 'ada'")
    (template,) = stored(place, "SELECT template FROM ostiary_templates WHERE handle = 'ada'")
    deletion = vault.delete("ada")
    assert (deletion.user, deletion.templates) == ("ada", 1)
    (remains,) = deletion.remains
    assert "A backup made before now still holds" in remains
    left = everything_on_disk(place)
    for value in (key, record, template, b"ada"):
        assert value in before
        assert value not in left
    with pytest.raises(NotEnrolledError):
        vault.open("ada")
    assert vault.open("bob").templates[0].template == b"bob's"
    assert vault.check() == ()


def test_deletion_tells_of_a_reader_that_keeps_the_old_pages(vault: Vault, place: Path) -> None:
    enrol(vault, "ada")
    with sqlite3_connection(place) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM ostiary_users").fetchall()
        remains = vault.delete("ada").remains
        assert any("write-ahead log" in sentence for sentence in remains)
        reader.execute("ROLLBACK")
    enrol(vault, "bob")
    assert len(vault.delete("bob").remains) == 1


def test_an_enrolment_ends_with_its_last_day(vault: Vault, clock: Clock, tmp_path: Path) -> None:
    enrol(vault, "ada", retention=date(2026, 3, 2))
    enrol(vault, "bob")
    clock.now = datetime(2026, 3, 2, 23, 59, tzinfo=timezone.utc)
    assert vault.open("ada").retention == date(2026, 3, 2)
    assert vault.purge() == ()
    clock.now = datetime(2026, 3, 3, tzinfo=timezone.utc)
    with pytest.raises(ExpiredError, match="'ada' ended on 2026-03-02: renew it, or purge"):
        vault.open("ada")
    with pytest.raises(ExpiredError):  # a new template must not bring the old ones back
        enrol(vault, "ada", retention=date(2030, 1, 1))
    assert [one.user for one in vault.open_all().people] == ["bob"]
    assert [(one.user, one.expired) for one in vault.list()] == [("ada", True), ("bob", False)]
    vault.export("ada", tmp_path / "still.zip")
    assert [(one.user, one.templates) for one in vault.purge()] == [("ada", 1)]
    assert ([one.user for one in vault.list()], vault.check()) == (["bob"], ())


def test_an_expired_enrolment_can_be_renewed(vault: Vault, clock: Clock) -> None:
    enrol(vault, "ada", retention=date(2026, 3, 2))
    clock.now = NOON.replace(year=2027)
    vault.renew("ada", b"new", "embedding", MODEL, PREPROCESS, retention=date(2028, 1, 1), consent=CONSENT)
    assert [one.template for one in vault.open("ada").templates] == [b"new"]


def test_the_export_can_be_read_without_this_package(vault: Vault, tmp_path: Path) -> None:
    enrol(vault, "ada", retention=date(2027, 1, 1))
    enrol(vault, "ada", b"a network", kind="personal", retention=date(2027, 1, 1))
    path = vault.export("ada", tmp_path / "out" / "ada.zip")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        record = json.loads(archive.read("record.json"))
        assert [archive.read(one["file"]) for one in record["templates"]] == [TEMPLATE, b"a network"]
        assert "biometric data" in archive.read("README.txt").decode()
    assert (record["handle"], record["consent"], record["retention"]) == ("ada", CONSENT, "2027-01-01")
    assert [one["model_sha256"] for one in record["templates"]] == [MODEL, MODEL]
    assert [one.name for one in path.parent.iterdir()] == ["ada.zip"]
    with pytest.raises(InputError, match=r"does not end in \.zip"):
        vault.export("ada", tmp_path / "ada.txt")


def test_no_secret_is_in_clear_on_disk_in_logs_in_reprs_or_in_errors(
    vault: Vault, place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    enrol(vault, "ada")
    shown = [repr(vault), repr(vault.open("ada")), repr(vault.list()), repr(vault.open_all()), str(vault.check())]
    with pytest.raises(VaultError) as wrong:
        Vault(place, OTHER_KEY)
    with sqlite3_connection(place) as connection:
        connection.execute("UPDATE ostiary_templates SET model = 'x'")
    with pytest.raises(VaultError) as changed:
        vault.open("ada")
    shown += [repr(wrong.value), repr(changed.value), caplog.text]
    disk = everything_on_disk(place)
    for secret in (KEY, OTHER_KEY, TEMPLATE[:24], CONSENT.encode(), vault.log_key):
        for spelled in (secret, secret.hex().encode(), repr(secret)[2:-1].encode()):
            assert spelled not in disk
            assert spelled.decode("latin-1") not in "\n".join(shown)
    assert b"ada" in disk  # handles are in clear, as the documents say


def test_the_file_can_be_read_by_its_owner_alone(vault: Vault, place: Path) -> None:
    enrol(vault, "ada")
    assert {stat.S_IMODE(path.stat().st_mode) for path in place.parent.iterdir()} == {0o600}


def test_a_changed_key_opens_everything_and_the_old_one_nothing(vault: Vault, place: Path) -> None:
    for number in range(3):
        enrol(vault, f"user {number}", b"template %d" % number)
    log_key, old = vault.log_key, stored(place, "SELECT wrapped_key FROM ostiary_users")
    vault.rotate(OTHER_KEY)
    assert vault.log_key == log_key
    assert vault.check() == ()
    with pytest.raises(VaultError, match="does not open with this key"):
        Vault(place, KEY)
    with Vault(place, OTHER_KEY) as again:
        people = again.open_all().people
    assert [one.templates[0].template for one in people] == [b"template 0", b"template 1", b"template 2"]
    left = everything_on_disk(place)
    assert not any(value in left for value in old)
    with pytest.raises(VaultError, match="the new key is the present one"):
        vault.rotate(OTHER_KEY)


def test_another_process_notices_a_changed_key(vault: Vault, place: Path) -> None:
    enrol(vault, "ada")
    with Vault(place, KEY) as other:
        vault.rotate(OTHER_KEY)
        for call in (lambda: other.open("ada"), lambda: enrol(other, "bob"), other.list, other.check):
            with pytest.raises(VaultError, match="was changed while this process had it open"):
                call()
    assert [one.user for one in vault.list()] == ["ada"]


def test_a_damaged_user_stops_the_change_of_a_key_for_no_one_else(vault: Vault, place: Path) -> None:
    for user in ("ada", "bob", "eve"):
        enrol(vault, user)
    with sqlite3_connection(place) as connection:
        connection.execute("UPDATE ostiary_templates SET added = 'never' WHERE handle = 'bob'")
    with pytest.raises(VaultError, match="for the rows of 'bob' do not open"):
        vault.rotate(OTHER_KEY)
    with Vault(place, OTHER_KEY) as again:
        assert [one.user for one in again.open_all().people] == ["ada", "eve"]
        assert any("was interrupted: finish the rotation" in sentence for sentence in again.check())
        again.renew("bob", b"new", "embedding", MODEL, PREPROCESS, consent=CONSENT)
        assert again.finish_rotation() == 0
        assert again.check() == ()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"template": b""}, "A template is 1 to"),
        ({"template": "text"}, "A template is 1 to"),
        ({"template": b"\xff\xd8\xff\xe0 a photo"}, "is a JPEG picture, and a vault keeps no picture"),
        ({"template": b"\x89PNG\r\n\x1a\n"}, "is a PNG picture"),
        ({"kind": "photo"}, "'photo' is no kind of template: give one of embedding, personal"),
        ({"model": "AB" * 32}, "The model hash is not a SHA-256"),
        ({"preprocess_hash": "ab"}, "The preprocess hash is not a SHA-256"),
        ({"retention": NOON}, "The retention is not a date"),
        ({"consent": " "}, "The consent note is empty"),
        ({"user": ""}, "cannot be a user's handle"),
        ({"user": " ada"}, "cannot be a user's handle"),
        ({"user": "a\nb"}, "cannot be a user's handle"),
        ({"user": "a" * 201}, "cannot be a user's handle"),
    ],
)
def test_what_a_vault_does_not_take(vault: Vault, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        enrol(vault, **{"user": "ada", **changes})
    assert vault.list() == ()


def test_a_handle_is_one_however_it_is_typed(vault: Vault) -> None:
    enrol(vault, "Zoe\u0301")
    assert vault.open("Zo\u00e9").user == "Zo\u00e9" == checked_handle("Zoe\u0301")
    enrol(vault, "zo\u00e9")
    assert len(vault.list()) == 2


def test_opening_creates_nothing_and_creating_replaces_nothing(tmp_path: Path, vault: Vault, place: Path) -> None:
    absent = tmp_path / "absent.db"
    with pytest.raises(VaultError, match=r"absent\.db is not there: name the right place"):
        Vault(absent, KEY)
    assert not absent.exists()
    (tmp_path / "empty.db").touch()
    with pytest.raises(VaultError, match=r"empty\.db holds no vault"):
        Vault(tmp_path / "empty.db", KEY)
    enrol(vault, "ada")
    with pytest.raises(VaultError, match="holds a vault already"):
        Vault.create(place, OTHER_KEY)
    assert vault.check() == ()
    (tmp_path / "text.db").write_text("not a database, but long enough to be looked at" * 40)
    with pytest.raises(VaultError, match="damaged or not a database"):
        Vault(tmp_path / "text.db", KEY)


@pytest.mark.parametrize(
    ("url", "error", "sentence"),
    [
        ("sqlite://", ConfigurationError, "A vault in memory"),
        ("nosuch://door", ConfigurationError, "knows no database 'nosuch'"),
        ("://", ConfigurationError, "URL cannot be read"),
        (
            "postgresql://ostiary:hush@127.0.0.1:1/door",
            VaultError,
            r"ostiary:\*\*\*@127.0.0.1:1/door cannot be used",
        ),
    ],
)
def test_an_impossible_place_is_one_sentence(url: str, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence) as found:
        Vault(url, KEY)
    assert "hush" not in str(found.value)


def test_the_default_place_is_of_this_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_place().parts[-2:] == ("ostiary", "vault.db")


def test_a_url_of_a_file_is_that_file(place: Path, vault: Vault) -> None:
    enrol(vault, "ada")
    with Vault(f"sqlite:///{place}", KEY) as again:
        assert [one.user for one in again.list()] == ["ada"]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    user=st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable() and text == text.strip()),
    template=st.binary(min_size=1, max_size=300).map(lambda content: b"." + content),
    consent=st.text(min_size=1).filter(str.strip),
)
def test_any_handle_template_and_note_come_back(vault: Vault, user: str, template: bytes, consent: str) -> None:
    vault.add(user, template, "personal", MODEL, PREPROCESS, consent=consent)
    found = vault.open(user)
    assert (found.consent, found.templates[-1].template) == (consent, template)


class sqlite3_connection:  # noqa: N801 - reads like the function it stands for
    """A connection without this package, committed and closed at the end."""

    def __init__(self, place: Path) -> None:
        self._connection = sqlite3.connect(place, isolation_level=None)

    def __enter__(self) -> sqlite3.Connection:
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def stored(place: Path, query: str) -> list[Any]:
    with sqlite3_connection(place) as connection:
        return [value for (value,) in connection.execute(query)]
