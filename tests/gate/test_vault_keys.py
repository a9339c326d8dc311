"""Where a vault's key comes from: each source opens what it made, and says in a sentence why it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.errors import KeyringLocked

from ostiary.errors import ConfigurationError, VaultError
from ostiary.gate.keys import CallerKey, KeyringKey, KeySource, Passphrase
from ostiary.gate.vault import Vault

WORDS = "correct horse battery staple"
MODEL, PREPROCESS = "ab" * 32, "cd" * 32


class MemoryKeyring(KeyringBackend):
    """A keyring that lasts as long as the test."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[tuple[str, str], str] = {}

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def delete_password(self, service: str, username: str) -> None:
        del self.entries[service, username]


class ForgetfulKeyring(MemoryKeyring):
    def set_password(self, service: str, username: str, password: str) -> None:
        """Keeps nothing, as the null backend does."""


class LockedKeyring(MemoryKeyring):
    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked("locked")


class PlainFileKeyring(MemoryKeyring):
    priority = 0.5  # type: ignore[assignment]


@pytest.fixture
def memory() -> Iterator[MemoryKeyring]:
    before, backend = keyring.get_keyring(), MemoryKeyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


def test_a_passphrase_opens_what_it_made(tmp_path: Path) -> None:
    with Vault.create(tmp_path / "vault.db", Passphrase(WORDS, cost=14)) as vault:
        vault.add("ada", b"a template", "embedding", MODEL, PREPROCESS, consent="signed")
    with Vault(tmp_path / "vault.db", Passphrase(WORDS)) as vault:  # the cost comes from the vault's record
        assert vault.open("ada").templates[0].template == b"a template"
    with pytest.raises(VaultError, match="the key or passphrase is another"):
        Vault(tmp_path / "vault.db", Passphrase(WORDS + "!"))
    with pytest.raises(VaultError, match="comes from its passphrase, and one from the caller was given"):
        Vault(tmp_path / "vault.db", bytes(32))


def test_scrypt_gives_the_key_that_any_other_scrypt_gives() -> None:
    from hashlib import scrypt

    source = Passphrase("cafe\u0301 au lait", cost=14)
    record, key = source.new()
    assert record.scrypt is not None
    salt = bytes.fromhex(record.scrypt.salt)
    assert key == scrypt("caf\u00e9 au lait".encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)
    assert Passphrase("caf\u00e9 au lait").key(record) == key
    other, another = source.new()
    assert (other.scrypt != record.scrypt, another != key) == (True, True)


@pytest.mark.parametrize("cost", ["13", "21", "-1"])
def test_a_record_of_a_cheap_or_endless_passphrase_is_refused(tmp_path: Path, cost: str) -> None:
    import sqlite3
    from contextlib import closing

    Vault.create(tmp_path / "vault.db", Passphrase(WORDS, cost=14)).close()
    with closing(sqlite3.connect(tmp_path / "vault.db", isolation_level=None)) as connection:
        connection.execute("UPDATE ostiary_vault SET key_record = replace(key_record, ':14', ?)", (f":{cost}",))
    with pytest.raises(VaultError, match="the record of how to come by its key is damaged or was changed"):
        Vault(tmp_path / "vault.db", Passphrase(WORDS))


def test_a_keyring_keeps_the_key_and_forgets_it_when_it_is_changed(tmp_path: Path, memory: MemoryKeyring) -> None:
    place = tmp_path / "vault.db"
    with Vault.create(place, KeyringKey()) as vault:
        vault.add("ada", b"a template", "embedding", MODEL, PREPROCESS, consent="signed")
        before = dict(memory.entries)
        vault.rotate(KeyringKey("another service"))
    assert len(before) == len(memory.entries) == 1
    assert not set(before) & set(memory.entries)
    assert [service for service, _ in memory.entries] == ["another service"]
    with Vault(place, KeyringKey()) as vault:
        assert vault.open("ada").templates[0].template == b"a template"
        vault.rotate(Passphrase(WORDS, cost=14))
    assert memory.entries == {}
    with pytest.raises(VaultError, match="comes from its passphrase, and one from the keyring was given"):
        Vault(place, KeyringKey())


def test_a_lost_entry_of_the_keyring_is_a_sentence(tmp_path: Path, memory: MemoryKeyring) -> None:
    Vault.create(tmp_path / "vault.db", KeyringKey()).close()
    for text in ("not hexadecimal", "abcd"):
        memory.entries = dict.fromkeys(memory.entries, text)
        with pytest.raises(VaultError, match="The keyring has no whole entry vault-key-"):
            Vault(tmp_path / "vault.db", KeyringKey())


@pytest.mark.parametrize(
    ("backend", "sentence"),
    [
        (NoKeyring, "offers no keyring that keeps secrets"),
        (PlainFileKeyring, "offers no keyring that keeps secrets"),
        (ForgetfulKeyring, "did not keep the vault's key"),
        (LockedKeyring, r"gives no answer \(KeyringLocked\)"),
    ],
)
@pytest.mark.usefixtures("memory")
def test_a_keyring_that_keeps_no_secret_is_refused(
    tmp_path: Path, backend: type[KeyringBackend], sentence: str
) -> None:
    keyring.set_keyring(backend())
    with pytest.raises(VaultError, match=sentence):
        Vault.create(tmp_path / "vault.db", KeyringKey())


@pytest.mark.parametrize("key", [b"", bytes(16), bytes(33), bytearray(32), "k" * 32])
def test_a_key_of_another_size_or_type_is_refused(key: bytes) -> None:
    with pytest.raises(ConfigurationError, match="A vault's key has 32 random bytes"):
        CallerKey(key)


def test_a_weak_passphrase_or_an_impossible_cost_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="under 8 characters"):
        Passphrase("1234567")
    for cost in (13, 21):
        with pytest.raises(ConfigurationError, match="is not between 14 and 20"):
            Passphrase(WORDS, cost=cost)


@pytest.mark.parametrize("source", [CallerKey(bytes(range(32))), Passphrase(WORDS, cost=14), KeyringKey()])
def test_no_repr_shows_a_key(source: KeySource) -> None:
    assert repr(source) in ("CallerKey(...)", "Passphrase(...)", "KeyringKey('ostiary')")
