"""Sealing bytes so that they open only with the right key and only in the right place.

AES-256-GCM of the ``cryptography`` package (NIST SP 800-38D), with a fresh random nonce for each seal. What the
bytes belong to (which vault, whose, made by which model) goes in as associated data: it is not stored in the
seal, and a seal that was moved to another place does not open there.

A sealed value is one byte of format, 12 bytes of nonce, then the ciphertext with its 16 bytes of tag.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ostiary.errors import VaultError

FORMAT = 1
KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16


def new_key() -> bytes:
    """32 random bytes of the operating system."""
    return os.urandom(KEY_BYTES)


def seal(key: bytes, content: bytes, place: Mapping[str, object]) -> bytes:
    """Encrypt ``content`` for one place.

    Args:
        key: 32 bytes.
        content: what to hide, of any length.
        place: names and values that say what the content belongs to; the same are needed to open it.

    """
    nonce = os.urandom(_NONCE_BYTES)
    return bytes([FORMAT]) + nonce + AESGCM(key).encrypt(nonce, content, _associated(place))


def unseal(key: bytes, sealed: object, place: Mapping[str, object], what: str) -> bytes:
    """Decrypt what :func:`seal` made with the same key for the same place.

    Args:
        key: 32 bytes.
        sealed: the sealed value, as a database gave it back; anything may stand there.
        place: as in :func:`seal`.
        what: how a refusal begins, such as ``"vault.db: the template of 'ada'"``.

    Raises:
        VaultError: it was changed, exchanged, cut short, sealed with another key, or has another format.

    """
    if not isinstance(sealed, bytes) or len(sealed) < 1 + _NONCE_BYTES + _TAG_BYTES:
        raise VaultError(f"{what} is cut short or missing: restore a backup, or delete it and enrol again.")
    if sealed[0] != FORMAT:
        raise VaultError(
            f"{what} has format {sealed[0]}, and this ostiary reads format {FORMAT}: install the ostiary that "
            "wrote it, or restore a backup."
        )
    nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, _associated(place))
    except InvalidTag:
        raise VaultError(
            f"{what} does not open: it was changed, exchanged with another, or sealed with another key; restore a "
            "backup, or delete it and enrol again."
        ) from None


def _associated(place: Mapping[str, object]) -> bytes:
    """One spelling for one place. JSON keeps names and values apart, so that no two places read alike."""
    values = {name: str(value) for name, value in place.items()}
    return json.dumps({"ostiary": FORMAT, "place": values}, sort_keys=True, separators=(",", ":")).encode()
