"""What the gate keeps: the vault's file and the audit log. Whatever was changed is noticed, or of no effect."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from fuzz_trial import Files, Subject

from ostiary.errors import AuditError, OstiaryError, VaultError
from ostiary.gate.audit import AuditHead, AuditLog
from ostiary.gate.setup import parse_head
from ostiary.gate.vault import Vault

_KEY = bytes(range(32))
_MODEL, _PREPROCESS = "ab" * 32, "cd" * 32
_PEOPLE = ("ada", "bob", "eve")


def _template(user: str) -> bytes:
    return hashlib.sha256(user.encode()).digest() * 4


def _vaults(folder: Path) -> Sequence[Files]:
    made = []
    for number in (2, 3):
        place = folder / f"{number}.db"
        with Vault.create(place, _KEY) as vault:
            for user in _PEOPLE[:number]:
                vault.add(user, _template(user), "embedding", _MODEL, _PREPROCESS, consent="signed")
        made.append({"vault.db": place.read_bytes()})
    return made


def _read_vault(folder: Path) -> object:
    """Who opens, if nothing was said to be wrong; an error if something was. Nobody ever opens as another."""
    opened: dict[str, bytes] = {}
    wrong = None
    with Vault(folder / "vault.db", _KEY) as vault:
        for user in _PEOPLE:
            try:
                (template,) = vault.open(user).templates
            except VaultError:
                continue
            assert template.template == _template(user), f"{user!r} opens with another template"
            opened[user] = template.template
        everybody = {one.user: one.templates[0].template for one in vault.open_all().people}
        assert all(template == _template(user) for user, template in everybody.items())
        problems = [*vault.check(), *(one.problem for one in vault.list() if one.problem)]
        wrong = problems[0] if problems else None
    if wrong is not None:
        raise VaultError(wrong)
    return opened


def _logs(folder: Path) -> Sequence[Files]:
    made = []
    for name, key in (("plain", None), ("keyed", _KEY)):
        seconds = iter(range(100))
        log = AuditLog(
            folder / name, key, clock=lambda seconds=seconds: datetime.fromtimestamp(next(seconds), timezone.utc)
        )
        for number in range(4):
            entry = log.append(
                "accepted" if number % 2 else "refused", f"user {number}", reason="unknown", frames=number
            )
        content = (folder / name).read_bytes()
        made.append({name: content, "head": f"{entry.number}:{entry.hash}".encode(), "whole": content})
    return [
        {"log": files.pop(name), **files, "key": key}
        for files, name, key in zip(made, ("plain", "keyed"), (b"", _KEY), strict=True)
    ]


def _read_log(folder: Path) -> object:
    """All entries, if the chain leads to the head that was kept; then one more is written."""
    key = (folder / "key").read_bytes() or None
    head = parse_head((folder / "head").read_text())
    whole = _entries(folder / "whole", key)
    log = AuditLog(folder / "log", key)
    refused: OstiaryError | None = None
    try:
        log.verify(head)
        entries = _entries(folder / "log", key)
        assert entries[: len(whole)] == whole, "entries were changed, and the chain is said to be whole"
    except AuditError as error:
        refused = error
    with suppress(AuditError):
        log.append("checked")
        # A new entry must not make a chain whole that was broken.
        if refused is not None:
            _verify_refuses(log, head)
    if refused is not None:
        raise refused
    return entries


def _verify_refuses(log: AuditLog, head: AuditHead) -> None:
    try:
        log.verify(head)
    except AuditError:
        return
    entries = list(log.entries())
    assert any(entry.event == "interrupted_write" for entry in entries), "an entry mended a broken chain"


def _entries(path: Path, key: bytes | None) -> list[dict[str, object]]:
    return [entry.to_dict() for entry in AuditLog(path, key).entries()]


GATE = (
    Subject("vaults", _vaults, _read_vault, ("vault.db",), sealed=True),
    Subject("audit logs", _logs, _read_log, ("log",), sealed=True),
)
