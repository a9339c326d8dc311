"""Where a vault's key comes from: the caller, a passphrase, or the keyring of the operating system.

A source makes a key for a new vault together with a record of how to come by it again (salt and cost of a
passphrase, name of a keyring entry). The record holds no secret and is stored beside what the key protects; a
record that was changed leads to another key, and another key opens nothing.
"""

from __future__ import annotations

import os
import secrets
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import BaseModel, ConfigDict, Field

from ostiary.errors import ConfigurationError, MissingExtraError, VaultError
from ostiary.gate.envelope import KEY_BYTES, new_key

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

LEAST_PASSPHRASE = 8
"""Characters. NIST SP 800-63B asks for as many of a secret that a person remembers."""

COST = 17
"""log2 of scrypt's N: 128 MiB of memory for a guess (r = 8, p = 1), what OWASP's cheat sheet asks for."""

_SALT_BYTES = 16
_BLOCK_SIZE = 8


class ScryptCost(BaseModel):
    """Salt and cost of a passphrase (RFC 7914). The bounds refuse a record that was made cheap, or a trap."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    salt: str = Field(pattern="^[0-9a-f]{32}$")
    log2_n: int = Field(ge=14, le=20)


class KeyRecord(BaseModel):
    """How to come by a vault's key again; no secret.

    ``name`` tells the keys of several vaults apart; ``scrypt`` belongs to a passphrase, ``service`` to a keyring.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["caller", "passphrase", "keyring"]
    name: str = Field(pattern="^[0-9a-f]{16}$")
    scrypt: ScryptCost | None = None
    service: str | None = None


class KeySource(Protocol):
    """What a vault asks for its key."""

    def new(self) -> tuple[KeyRecord, bytes]:
        """A key of 32 bytes for a new vault or a rotation, and its record."""

    def key(self, record: KeyRecord) -> bytes:
        """The key of an existing vault.

        Raises:
            VaultError: the vault's key comes from elsewhere, or is not there.

        """


class CallerKey:
    """32 bytes that the caller keeps: from a file on a card, a TPM, a secret manager.

    Raises:
        ConfigurationError: not 32 bytes.

    """

    def __init__(self, key: bytes) -> None:
        if not isinstance(key, bytes) or len(key) != KEY_BYTES:
            raise ConfigurationError(f"A vault's key has {KEY_BYTES} random bytes: make one with os.urandom.")
        self._key = key

    def __repr__(self) -> str:
        return "CallerKey(...)"

    def new(self) -> tuple[KeyRecord, bytes]:
        """The caller's key."""
        return KeyRecord(source="caller", name=_name()), self._key

    def key(self, record: KeyRecord) -> bytes:
        """The caller's key."""
        _check_source(record, "caller")
        return self._key


class Passphrase:
    """A key from words, by scrypt with a salt of each vault's own.

    Args:
        words: at least 8 characters. Composed (NFC), so that every keyboard gives the same bytes.
        cost: log2 of scrypt's N, 14 to 20, for new keys; each step doubles time and memory of a guess.

    Raises:
        ConfigurationError: too short, or an impossible cost.

    """

    def __init__(self, words: str, *, cost: int = COST) -> None:
        if len(words) < LEAST_PASSPHRASE:
            raise ConfigurationError(
                f"The passphrase has under {LEAST_PASSPHRASE} characters: choose a longer one."
            )
        if not 14 <= cost <= 20:
            raise ConfigurationError(f"The cost {cost} of a passphrase is not between 14 and 20.")
        self._words = unicodedata.normalize("NFC", words).encode("utf-8", "surrogatepass")
        self._cost = cost

    def __repr__(self) -> str:
        return "Passphrase(...)"

    def new(self) -> tuple[KeyRecord, bytes]:
        """A key under a new salt."""
        scrypt = ScryptCost(salt=os.urandom(_SALT_BYTES).hex(), log2_n=self._cost)
        record = KeyRecord(source="passphrase", name=_name(), scrypt=scrypt)
        return record, self.key(record)

    def key(self, record: KeyRecord) -> bytes:
        """The key under the record's salt and cost; wrong words give a key that opens nothing."""
        _check_source(record, "passphrase")
        if record.scrypt is None:
            raise VaultError("The vault's record of its passphrase has no salt: restore a backup.")
        scrypt = Scrypt(
            salt=bytes.fromhex(record.scrypt.salt),
            length=KEY_BYTES,
            n=2**record.scrypt.log2_n,
            r=_BLOCK_SIZE,
            p=1,
        )
        return scrypt.derive(self._words)


class KeyringKey:
    """A random key that the operating system's keyring holds for this user account.

    Args:
        service: under which name the keyring lists the entries of new keys.

    """

    def __init__(self, service: str = "ostiary") -> None:
        self._service = service

    def __repr__(self) -> str:
        return f"KeyringKey({self._service!r})"

    def new(self) -> tuple[KeyRecord, bytes]:
        """A new entry, read back before anything is sealed with it.

        Raises:
            VaultError: there is no keyring that keeps secrets, or it does not keep this one.

        """
        record, key = KeyRecord(source="keyring", name=_name(), service=self._service), new_key()
        keyring = _keyring()
        _asked(lambda: keyring.set_password(self._service, _entry(record), key.hex()))
        if _stored(record) != key:
            raise VaultError(
                "The keyring did not keep the vault's key: use a passphrase, or keep the key yourself."
            )
        return record, key

    def key(self, record: KeyRecord) -> bytes:
        """The entry of an existing vault."""
        _check_source(record, "keyring")
        key = _stored(record)
        if key is None:
            raise VaultError(
                f"The keyring has no whole entry {_entry(record)} of {record.service}: log in as the account that "
                "made the vault, or restore the keyring."
            )
        return key


def forget(record: KeyRecord) -> None:
    """Remove a key that is no longer needed from where it was kept, if that is a keyring.

    Raises:
        VaultError: the keyring does not answer.

    """
    if record.source == "keyring" and _stored(record) is not None:
        keyring = _keyring()
        _asked(lambda: keyring.delete_password(record.service or "", _entry(record)))


def _stored(record: KeyRecord) -> bytes | None:
    keyring = _keyring()
    text = _asked(lambda: keyring.get_password(record.service or "", _entry(record)))
    try:
        key = bytes.fromhex(text or "")
    except ValueError:
        return None
    return key if len(key) == KEY_BYTES else None


def _keyring() -> KeyringBackend:
    """The keyring in use. Those below priority 1 hold nothing, or hold it in a plain file."""
    try:
        import keyring
        from keyring.core import recommended
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "keyring", "gate") from None
    backend = keyring.get_keyring()
    if not recommended(backend):
        raise VaultError(
            "This machine offers no keyring that keeps secrets: use a passphrase, or keep the key yourself."
        )
    return backend


def _asked(question: Callable[[], str | None]) -> str | None:
    from keyring.errors import KeyringError

    try:
        return question()
    except KeyringError as error:
        raise VaultError(
            f"The keyring gives no answer ({type(error).__name__}): unlock it, or use a passphrase."
        ) from None


def _check_source(record: KeyRecord, source: str) -> None:
    if record.source != source:
        raise VaultError(
            f"The vault's key comes from its {record.source}, and one from the {source} was given: give the "
            f"{record.source}'s."
        )


def _entry(record: KeyRecord) -> str:
    return f"vault-key-{record.name}"


def _name() -> str:
    return secrets.token_hex(8)
