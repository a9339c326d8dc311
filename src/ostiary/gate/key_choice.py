"""Which key opens a vault, by what a person can name: a file, the keyring, or words that are asked for.

No secret is ever an argument of a command, where every user of the machine could read it. Where nothing is named,
the vault itself says where its key comes from.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ostiary.errors import ConfigurationError, VaultError
from ostiary.gate.envelope import KEY_BYTES, new_key
from ostiary.gate.keys import KeyRecord, KeyringKey, Passphrase
from ostiary.gate.vault import Key

Ask = Callable[[str, bool], str]
"""Asks a person for a passphrase: what to say, and whether it has to be typed twice."""

_LARGEST_FILE = 4096


class AskedKey:
    """The keyring's entry, or words that are asked for, as the vault's record says; for a new key, words."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._made: dict[str, bytes] = {}  # by name of the record: nobody types what was made just now again

    def __repr__(self) -> str:
        return "AskedKey(...)"

    def new(self) -> tuple[KeyRecord, bytes]:
        """A key from a new passphrase."""
        record, key = Passphrase(self._ask("New passphrase of the vault", True)).new()
        self._made[record.name] = key
        return record, key

    def key(self, record: KeyRecord) -> bytes:
        """The key of an existing vault.

        Raises:
            VaultError: the vault's key is one that the caller keeps.

        """
        if record.source == "keyring":
            return KeyringKey().key(record)
        if record.source == "passphrase" and record.name in self._made:
            return self._made[record.name]
        if record.source == "passphrase":
            return Passphrase(self._ask("Passphrase of the vault", False)).key(record)
        raise VaultError("The vault's key is one that you keep yourself: name its file with --key-file.")


def choose_key(*, key_file: Path | None, passphrase_file: Path | None, keyring: bool, ask: Ask) -> Key:
    """The key that was named, or one that is asked for when it is needed.

    Args:
        key_file: holds 32 bytes, or 64 hexadecimal digits.
        passphrase_file: holds the words, in its first line.
        keyring: take the operating system's keyring.
        ask: asks a person.

    Raises:
        ConfigurationError: more than one was named, or a file cannot be read or holds no key.

    """
    if (key_file is not None) + (passphrase_file is not None) + keyring > 1:
        raise ConfigurationError(
            "A vault has one key: name a key file, a passphrase file or the keyring, not two."
        )
    if key_file is not None:
        return _key_in(key_file)
    if passphrase_file is not None:
        return Passphrase(_words_in(passphrase_file))
    return KeyringKey() if keyring else AskedKey(ask)


def make_key_file(path: Path) -> bool:
    """Put a new random key into a file that only its owner can read, unless there is one; whether it was made.

    Raises:
        ConfigurationError: it cannot be written there.

    """
    if path.exists():
        return False
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(new_key())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be made ({error.strerror}): name another file.") from None
    return True


def _key_in(path: Path) -> bytes:
    content = _content(path)
    if len(content) == KEY_BYTES:
        return content
    try:
        key = bytes.fromhex(content.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigurationError(
            f"{path} holds no key: it must have {KEY_BYTES} random bytes, or {2 * KEY_BYTES} hexadecimal digits."
        )
    return key


def _words_in(path: Path) -> str:
    try:
        lines = _content(path).decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} holds no passphrase: it must be text in UTF-8.") from None
    return lines[0] if lines else ""


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_FILE)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}): name the key's file.") from None
