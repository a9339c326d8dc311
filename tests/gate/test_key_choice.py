"""Which key is taken, from files, the keyring or a person; and that no secret is said again."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ostiary.errors import ConfigurationError, VaultError
from ostiary.gate.key_choice import AskedKey, choose_key, make_key_file
from ostiary.gate.keys import KeyRecord, KeyringKey, Passphrase

WORDS = "correct horse battery"


def choose(**named: object) -> object:
    given = {"key_file": None, "passphrase_file": None, "keyring": False, "ask": lambda *_: WORDS}
    return choose_key(**{**given, **named})  # type: ignore[arg-type]


def file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_key_file_holds_bytes_or_digits(tmp_path: Path) -> None:
    key = bytes(range(32))
    assert choose(key_file=file(tmp_path / "raw", key)) == key
    assert choose(key_file=file(tmp_path / "hex", key.hex().encode() + b"\n")) == key
    spaces = b" \n" * 16  # 32 bytes are a key, whatever they are
    assert choose(key_file=file(tmp_path / "spaces", spaces)) == spaces


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"ab" * 31, b"\xff" * 64, b"0" * 9000])
def test_what_is_no_key_is_refused_and_not_repeated(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ConfigurationError, match="holds no key") as caught:
        choose(key_file=file(tmp_path / "key", content))
    assert not content or content[:8].decode("latin-1") not in str(caught.value)


def test_a_passphrase_is_the_first_line(tmp_path: Path) -> None:
    source = choose(passphrase_file=file(tmp_path / "words", f"{WORDS}\r\nsecond\n".encode()))
    assert isinstance(source, Passphrase)
    record, key = Passphrase(WORDS, cost=14).new()
    assert source.key(record) == key
    assert WORDS not in repr(source)
    with pytest.raises(ConfigurationError, match="under 8 characters"):
        choose(passphrase_file=file(tmp_path / "empty", b""))
    with pytest.raises(ConfigurationError, match="UTF-8"):
        choose(passphrase_file=file(tmp_path / "latin", "Schlüssel des Tors".encode("latin-1")))


def test_one_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="one key"):
        choose(key_file=tmp_path / "a", passphrase_file=tmp_path / "b")
    with pytest.raises(ConfigurationError, match="one key"):
        choose(key_file=tmp_path / "a", keyring=True)
    with pytest.raises(ConfigurationError, match="absent cannot be read"):
        choose(key_file=tmp_path / "absent")
    assert isinstance(choose(keyring=True), KeyringKey)


def test_the_vault_says_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []

    def ask(said: str, twice: bool) -> str:
        asked.append((said, twice))
        return WORDS

    record, key = Passphrase(WORDS, cost=14).new()
    assert AskedKey(ask).key(record) == key
    assert asked == [("Passphrase of the vault", False)]
    monkeypatch.setattr(KeyringKey, "key", lambda self, record: b"from the keyring")
    kept = KeyRecord(source="keyring", name="0" * 16, service="ostiary")
    assert AskedKey(ask).key(kept) == b"from the keyring"
    with pytest.raises(VaultError, match="--key-file"):
        AskedKey(ask).key(KeyRecord(source="caller", name="0" * 16))
    assert len(asked) == 1


def test_who_makes_a_passphrase_types_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ostiary.gate.key_choice.Passphrase", lambda words: Passphrase(words, cost=14))
    asked: list[bool] = []
    source = AskedKey(lambda said, twice: asked.append(twice) or WORDS)  # type: ignore[func-returns-value]
    record, key = source.new()
    assert source.key(record) == key
    assert asked == [True]
    assert key.hex() not in repr(source)


def test_a_key_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert make_key_file(path)
    key = path.read_bytes()
    assert (len(key), make_key_file(path), path.read_bytes()) == (32, False, key)
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ConfigurationError, match="cannot be made"):
        make_key_file(tmp_path / "no folder" / "key")
