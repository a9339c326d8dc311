"""Whatever the gate prints, logs, raises or stores: neither a key nor a face is in it, in any usual spelling."""

from __future__ import annotations

import base64
import json
import logging
import sqlite3
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ostiary.errors import OstiaryError
from ostiary.gate.audit import AuditLog
from ostiary.gate.gate import Gate
from ostiary.gate.key_choice import AskedKey, choose_key
from ostiary.gate.keys import Passphrase
from ostiary.gate.matching import EmbeddedPeople, Shot
from ostiary.gate.policy import LockoutRules, Policy
from ostiary.gate.vault import Vault

KEY, NEW_KEY = bytes(range(100, 132)), bytes(range(200, 232))
WORDS = "violet umbrella 7 tramway"
CONSENT = "signed on paper, folder nineteen"
PIECE = 12
"""Bytes of a secret that are looked for; so many in a row are no chance."""


def embedding(who: str) -> NDArray[np.float32]:
    """Somebody's direction, float32 (64,)."""
    numbers = np.random.default_rng(list(who.encode())).standard_normal(64)
    unit: NDArray[np.float32] = (numbers / np.linalg.norm(numbers)).astype(np.float32)
    return unit


class Directions:
    """A matcher that makes embeddings of 64 numbers; where it breaks, it says the embedding."""

    kind, model, preprocess_hash, problems = "embedding", "ab" * 32, "cd" * 32, ()

    def __init__(self, world: Any) -> None:
        self._world = world

    def probe(self, shot: Shot) -> NDArray[np.float32]:
        scene = self._world.scene(shot.pixels)
        found = embedding(scene.faces[0])
        if scene.matching is not None:
            raise scene.matching(f"cannot use {found.tolist()} and {found.tobytes()!r}")
        return found

    def template(self, shots: Sequence[Shot]) -> bytes:
        return self.probe(shots[0]).tobytes()

    def people(self, templates: Sequence[Sequence[bytes]]) -> EmbeddedPeople:
        return EmbeddedPeople(np.stack([np.frombuffer(own[0], "<f4") for own in templates]), 0.9)


def spellings(secret: bytes) -> Iterator[bytes]:
    """How pieces of a secret would look in a file or a text."""
    for start in (0, len(secret) - PIECE):
        piece = secret[start : start + PIECE]
        yield piece
        yield piece.hex().encode()
        yield piece.hex().upper().encode()
        yield piece.hex(" ").encode()
        yield repr(piece)[2:-1].encode()
        yield str(list(piece))[1:-1].encode()
        for shift in range(3):  # base64 has three looks, by where a piece begins
            yield base64.b64encode(piece[shift : shift + 9])
            yield base64.urlsafe_b64encode(piece[shift : shift + 9])


def spelled_number(value: float) -> set[bytes]:
    """How a number of an embedding, or a measurement, would begin in a text, cut or rounded."""
    return {f"{abs(value):.4f}".encode(), f"{int(abs(value) * 10_000) / 10_000:.4f}".encode()}


def all_errors(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that it was raised from, hidden ones too."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.fixture(autouse=True)
def good(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fakes' pictures have the quality of a good photo."""
    monkeypatch.setattr("ostiary.gate.examination.measure", lambda *_: None)
    monkeypatch.setattr("ostiary.gate.examination.causes", lambda *_: ())


@pytest.fixture(autouse=True)
def timeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stage takes 0 ms: a time might look like a number of an embedding."""
    monkeypatch.setattr("ostiary.gate.journal.time", SimpleNamespace(perf_counter=lambda: 0.0))


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was shown; the log, of all packages and levels, is added at the end."""
    caplog.set_level(logging.DEBUG)
    return []


def shown(*things: object) -> list[str]:
    """All that Python says of things by itself."""
    return [text for thing in things for text in (repr(thing), str(thing), f"{thing!a}")]


def raised(work: Callable[[], object]) -> list[str]:
    """What an error says, with those behind it and the lines of code."""
    with pytest.raises(OstiaryError) as caught:
        work()
    chain = list(all_errors(caught.value))
    return [*shown(*chain), *(str(error.args) for error in chain), *traceback.format_exception(caught.value)]


def test_a_day_at_the_gate_shows_neither_keys_nor_faces(
    world: Any,
    told: list[str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    policy = Policy(quality=None, smallest_face=20, lockout=LockoutRules(refusals=2), log_unjudged=True)
    with Vault.create(folder / "vault.db", KEY, clock=lambda: world.now) as vault:
        log, log_key = AuditLog(folder / "audit.jsonl", vault.log_key), vault.log_key
        world.vault = vault
        gate: Gate = world.gate(policy, matcher=Directions(world), audit=log)
        for who in ("ada", "bob"):
            told += shown(gate.enrol(who, world.picture(who, liveness=0.98765), consent=CONSENT))
        decisions = [
            gate.verify(world.picture(who, liveness=0.98765), "ada") for who in ("ada", "eve", "eve", "ada")
        ]
        decisions += [gate.identify(world.picture("bob", liveness=0.12345))]
        decisions += [gate.verify(world.picture("bob", liveness=0.98765, matching=ValueError), "bob")]
        assert [one.reason for one in decisions] == [
            "accepted", "another_person", "another_person", "locked_out", "presentation_attack", "error",
        ]  # fmt: skip
        for decision in decisions:
            told += [*shown(decision), json.dumps(decision.to_dict())]
        told += shown(vault.open("ada"), vault.open_all(), vault.list(), vault.check(), *log.entries())
        told += shown(gate, vault, log, *vars(gate).values(), *vars(vault).values())
        told += shown(gate.enrol("bob", world.picture("bob"), consent=CONSENT, renew=True), vault.delete("ada"))
        vault.rotate(NEW_KEY)
        told += [*shown(vault, *vars(vault).values()), *raised(lambda: Vault(folder / "vault.db", KEY))]
    printed = capfd.readouterr()
    text = "\n".join([*told, caplog.text, printed.out, printed.err]).encode("utf-8", "backslashreplace")
    disk = b"".join(path.read_bytes() for path in sorted(folder.iterdir()))
    assert b"another_person" in text  # what is searched is what was said
    assert b"locked_out" in disk
    faces = [embedding(who) for who in ("ada", "bob", "eve")]
    secrets = [KEY, NEW_KEY, log_key, CONSENT.encode(), *(face.tobytes() for face in faces)]
    assert not [
        secret for secret in secrets for spelled in spellings(secret) if spelled in text or spelled in disk
    ]
    measured = [0.98765, 0.12345, (1 + float(embedding("eve") @ embedding("ada"))) / 2]
    for value in (*np.concatenate(faces), *measured):
        assert not [spelled for spelled in spelled_number(float(value)) if spelled in text or spelled in disk]


def test_what_goes_wrong_with_a_key_or_a_row_does_not_say_it(told: list[str], tmp_path: Path, caplog: Any) -> None:
    template, place, key_file = embedding("ada").tobytes(), tmp_path / "vault.db", tmp_path / "vault.key"
    with Vault.create(place, Passphrase(WORDS, cost=14)) as vault:
        vault.add("ada", template, "embedding", "ab" * 32, "cd" * 32, consent=CONSENT)
    asked = AskedKey(lambda *_: WORDS)
    told += raised(lambda: Vault(place, KEY))
    told += raised(lambda: Vault(place, Passphrase(f"{WORDS} wrong", cost=14)))
    with Vault(place, asked) as vault:
        told += shown(asked, vault, *vars(vault).values())
        told += raised(
            lambda: vault.add("ada", template * 100_000, "embedding", "ab" * 32, "cd" * 32, consent=CONSENT)
        )
        told += raised(lambda: vault.add("ada", template, "embedding", "no hash", "cd" * 32, consent=CONSENT))
        with closing(sqlite3.connect(place)) as connection, connection:
            connection.execute("UPDATE ostiary_templates SET template = zeroblob(300)")
        told += raised(lambda: vault.open("ada"))
        told += shown(vault.check(), vault.open_all())
    for content in (KEY + b"x", KEY.hex().encode() + b"00", WORDS.encode()):
        key_file.write_bytes(content)
        told += raised(
            lambda: choose_key(key_file=key_file, passphrase_file=None, keyring=False, ask=lambda *_: "")
        )
    text = "\n".join([*told, caplog.text]).encode("utf-8", "backslashreplace")
    assert b"'ada'" in text
    for secret in (KEY, WORDS.encode(), CONSENT.encode(), template):
        assert not [spelled for spelled in spellings(secret) if spelled in text]


def test_the_search_finds_what_it_looks_for() -> None:
    secret = embedding("ada").tobytes()
    for text in (secret, secret.hex().encode(), repr(secret).encode(), base64.b64encode(b"x" + secret)):
        assert any(spelled in text for spelled in spellings(secret))
    said = repr(embedding("ada").tolist()).encode()
    assert all(any(s in said for s in spelled_number(float(value))) for value in embedding("ada"))
