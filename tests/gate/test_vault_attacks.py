"""Whoever can write the database can destroy a vault, and still cannot make it accept anything."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.errors import NotEnrolledError, VaultError
from ostiary.gate.enrolments import Enrolments
from ostiary.gate.envelope import new_key, seal, unseal
from ostiary.gate.vault import Vault

KEY = bytes(range(32))
MODEL, OTHER_MODEL, PREPROCESS = "ab" * 32, "ef" * 32, "cd" * 32
PEOPLE = {"ada": (b"ada's first", b"ada's second"), "bob": (b"bob's first", b"bob's second")}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vault of two people with two templates each, by two models, closed."""
    place = tmp_path_factory.mktemp("pristine") / "vault.db"
    with Vault.create(place, KEY) as vault:
        for user, templates in PEOPLE.items():
            for template, model in zip(templates, (MODEL, OTHER_MODEL), strict=True):
                vault.add(user, template, "embedding", model, PREPROCESS, consent="signed")
    return place


@pytest.fixture
def place(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(pristine, tmp_path / "vault.db"))


def change(place: Path, *statements: str) -> None:
    """What somebody does who can write the file and has no key."""
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def of(table: str, column: str, user: str) -> str:
    return f"(SELECT {column} FROM ostiary_{table} WHERE handle = '{user}' ORDER BY model LIMIT 1)"


SWAPS = {
    "another's template": f"UPDATE ostiary_templates SET template = {of('templates', 'template', 'bob')} "
    "WHERE handle = 'ada'",
    "another's record": "UPDATE ostiary_users SET record = "
    "(SELECT record FROM ostiary_users WHERE handle = 'bob')",
    "another's key": "UPDATE ostiary_users SET wrapped_key = "
    "(SELECT wrapped_key FROM ostiary_users WHERE handle = 'bob')",
    "another's key and record": "UPDATE ostiary_users SET (wrapped_key, record) = "
    "(SELECT wrapped_key, record FROM ostiary_users WHERE handle = 'bob')",
    "one's own templates exchanged": "UPDATE ostiary_templates SET template = "
    f"(SELECT template FROM ostiary_templates WHERE handle = 'ada' AND model = '{OTHER_MODEL}') "
    "WHERE handle = 'ada'",
    "another model": f"UPDATE ostiary_templates SET model = '{'0' * 64}' WHERE handle = 'ada'",
    "another preprocessing": f"UPDATE ostiary_templates SET preprocess = '{'0' * 64}' WHERE handle = 'ada'",
    "another kind": "UPDATE ostiary_templates SET kind = 'personal' WHERE handle = 'ada'",
    "another date": "UPDATE ostiary_templates SET added = '2020-01-01T00:00:00+00:00' WHERE handle = 'ada'",
    "a template taken away": f"DELETE FROM ostiary_templates WHERE handle = 'ada' AND model = '{MODEL}'",
    "a template put there": "INSERT INTO ostiary_templates "
    "SELECT 'x', 'ada', kind, model, preprocess, added, template "
    "FROM ostiary_templates WHERE handle = 'bob' LIMIT 1",
    "another's template moved": "UPDATE ostiary_templates SET handle = 'ada' WHERE handle = 'bob'",
    "an earlier generation": "UPDATE ostiary_users SET generation = 0 WHERE handle = 'ada'",
    "a later generation": "UPDATE ostiary_users SET generation = 7 WHERE handle = 'ada'",
    "an earlier format of a seal": "UPDATE ostiary_users "
    "SET record = CAST(x'00' || substr(record, 2) AS BLOB) WHERE handle = 'ada'",
    "a seal cut short": "UPDATE ostiary_users SET wrapped_key = substr(wrapped_key, 1, 20) WHERE handle = 'ada'",
    "a seal of another type": "UPDATE ostiary_users SET record = 1125899906842624 WHERE handle = 'ada'",
    "an empty seal": "UPDATE ostiary_templates SET template = x'' WHERE handle = 'ada'",
}


@pytest.mark.parametrize("statement", SWAPS.values(), ids=list(SWAPS))
def test_what_was_exchanged_is_refused_in_one_sentence(place: Path, statement: str) -> None:
    change(place, statement)
    with Vault(place, KEY) as vault:
        with pytest.raises(VaultError, match="'ada'") as refused:
            vault.open("ada")
        assert not isinstance(refused.value, NotEnrolledError)
        assert "\n" not in str(refused.value)
        assert "ada" not in {one.user for one in vault.open_all().people}
        assert any("'ada'" in problem for problem in vault.open_all().problems)
        assert any("'ada'" in sentence for sentence in vault.check())
        vault.delete("ada")  # whatever it is, it can be deleted
        assert "ada" not in {one.user for one in vault.list()}


def test_a_user_under_anothers_name_is_refused(place: Path) -> None:
    change(
        place,
        "DELETE FROM ostiary_templates WHERE handle = 'bob'",
        "DELETE FROM ostiary_users WHERE handle = 'bob'",
        "UPDATE ostiary_users SET handle = 'bob'",
        "UPDATE ostiary_templates SET handle = 'bob'",
    )
    with Vault(place, KEY) as vault:
        with pytest.raises(VaultError, match="'bob' does not open"):
            vault.open("bob")
        (listed,) = vault.list()
        assert (listed.user, listed.added) == ("bob", None)
        assert "does not open" in (listed.problem or "")


def test_a_user_taken_away_is_noticed_by_the_check(place: Path) -> None:
    change(
        place,
        "DELETE FROM ostiary_templates WHERE handle = 'bob'",
        "DELETE FROM ostiary_users WHERE handle = 'bob'",
    )
    with Vault(place, KEY) as vault:
        (sentence,) = vault.check()
        assert "should hold 2 users and 4 templates, and holds 1 and 2" in sentence
        vault.recount()
        assert vault.check() == ()


def test_a_row_of_another_vault_is_refused(place: Path, tmp_path: Path) -> None:
    """Also if both have the same key."""
    with Vault.create(tmp_path / "other.db", KEY) as other:
        other.add("ada", b"an intruder", "embedding", MODEL, PREPROCESS, consent="signed")
    change(
        place,
        f"ATTACH '{tmp_path / 'other.db'}' AS other",
        "DELETE FROM ostiary_templates WHERE handle = 'ada'",
        "REPLACE INTO ostiary_users SELECT * FROM other.ostiary_users",
        "INSERT INTO ostiary_templates SELECT * FROM other.ostiary_templates",
    )
    with Vault(place, KEY) as vault, pytest.raises(VaultError, match="the record of 'ada' does not open"):
        vault.open("ada")


def test_a_deleted_user_put_back_is_refused_once_the_key_was_changed(place: Path, tmp_path: Path) -> None:
    backup = shutil.copy(place, tmp_path / "backup.db")
    with Vault(place, KEY) as vault:
        vault.delete("ada")
        vault.rotate(new_key())
        change(
            place,
            f"ATTACH '{backup}' AS backup",
            "INSERT INTO ostiary_users SELECT * FROM backup.ostiary_users WHERE handle = 'ada'",
            "INSERT INTO ostiary_templates SELECT * FROM backup.ostiary_templates WHERE handle = 'ada'",
        )
        with pytest.raises(VaultError, match="sealed with a key that the vault no longer has"):
            vault.open("ada")
        assert len(vault.check()) == 2


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("UPDATE ostiary_vault SET format = 0", "has format 0, and this ostiary reads format 1"),
        ("UPDATE ostiary_vault SET format = 'one'", "has format one, and this ostiary reads format 1"),
        ("UPDATE ostiary_vault SET generation = 0", "does not open with this key"),
        ("UPDATE ostiary_vault SET vault = 'x'", "does not open with this key"),
        ("UPDATE ostiary_vault SET state = x'01'", "does not open with this key"),
        ("UPDATE ostiary_vault SET previous = state", "does not open with this key"),
        (
            "UPDATE ostiary_vault SET key_record = replace(key_record, 'caller', 'keyring')",
            "comes from its keyring",
        ),
        ("UPDATE ostiary_vault SET key_record = '{}'", "the record of how to come by its key is damaged"),
        ("DELETE FROM ostiary_vault", "holds no vault"),
        ("DROP TABLE ostiary_vault", "holds no vault"),
    ],
)
def test_a_changed_row_of_the_vault_is_refused(place: Path, statement: str, sentence: str) -> None:
    change(place, statement)
    with pytest.raises(VaultError, match=sentence):
        Vault(place, KEY)


def test_a_trigger_is_noticed_by_the_check(place: Path) -> None:
    change(
        place,
        "CREATE TABLE kept (key)",
        "CREATE TRIGGER keeps BEFORE DELETE ON ostiary_users BEGIN INSERT INTO kept VALUES (old.wrapped_key); END",
    )
    with Vault(place, KEY) as vault:
        (sentence,) = vault.check()
    assert "has a trigger or view 'keeps'" in sentence


@pytest.mark.parametrize("key", [bytes(32), bytes(31) + b"\x01"])
def test_a_wrong_key_opens_nothing(place: Path, key: bytes) -> None:
    with pytest.raises(VaultError, match="does not open with this key: the key or passphrase is another"):
        Vault(place, key)


def judged(place: Path) -> tuple[dict[str, Enrolments], bool]:
    """Who opens with what, and whether anything was found to be wrong. Nothing but a VaultError may come."""
    opened: dict[str, Enrolments] = {}
    try:
        vault = Vault(place, KEY)
    except VaultError:
        return {}, True
    with vault:
        for user in PEOPLE:
            with suppress(VaultError):
                opened[user] = vault.open(user)
        try:
            wrong = bool(vault.check()) or any(one.problem for one in vault.list())
        except VaultError:
            wrong = True
    return opened, wrong


def test_a_flipped_bit_is_noticed_or_changes_nothing(pristine: Path, tmp_path: Path) -> None:
    """SQLite leaves some bytes unused; elsewhere each bit is noticed by an error or by the check."""
    content = pristine.read_bytes()
    original, wrong = judged(pristine)
    assert (set(original), wrong) == (set(PEOPLE), False)
    choose = random.Random(11)
    place, noticed = tmp_path / "flipped.db", 0
    written = [at for at, byte in enumerate(content) if byte]
    for at in choose.sample(written, 60):
        remove(place)
        flipped = bytearray(content)
        flipped[at] ^= 1 << choose.randrange(8)
        place.write_bytes(flipped)
        opened, wrong = judged(place)
        assert all(original[user] == found for user, found in opened.items()), f"byte {at}"
        assert wrong or len(opened) == len(PEOPLE), f"byte {at}"
        noticed += wrong
    assert noticed > 45


def test_a_file_cut_short_is_refused_or_opens_what_is_whole(pristine: Path, tmp_path: Path) -> None:
    content = pristine.read_bytes()
    original, _ = judged(pristine)
    place = tmp_path / "short.db"
    for length in (0, 1, 50, 100, 4095, 4096, *range(8192, len(content), 4096), len(content) - 1):
        remove(place)
        place.write_bytes(content[:length])
        opened, wrong = judged(place)
        assert wrong, f"{length} bytes"
        assert all(original[user] == found for user, found in opened.items())


def remove(place: Path) -> None:
    for path in place.parent.glob(f"{place.name}*"):
        path.unlink()


words = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)


@given(content=st.binary(max_size=50), here=words, there=words, flip=st.integers(0))
def test_a_seal_opens_only_whole_and_in_its_place(
    content: bytes, here: dict[str, str], there: dict[str, str], flip: int
) -> None:
    key = new_key()
    sealed = seal(key, content, here)
    assert unseal(key, sealed, here, "It") == content
    assert content not in sealed or len(content) < 4
    assert seal(key, content, here) != sealed
    if here != there:
        with pytest.raises(VaultError, match=r"^It does not open"):
            unseal(key, sealed, there, "It")
    changed = bytearray(sealed)
    changed[flip % len(sealed)] ^= 1 << (flip % 8)
    for broken in (bytes(changed), sealed[:-1], sealed + b"\0", sealed[: flip % len(sealed)], None, 5, "text"):
        with pytest.raises(VaultError, match=r"^It "):
            unseal(key, broken, here, "It")
    with pytest.raises(VaultError, match=r"^It does not open"):
        unseal(new_key(), sealed, here, "It")
