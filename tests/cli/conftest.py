"""The commands of the door on one app, with a real detector, real quality, and networks that are fakes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner, Result

from ostiary.cli import audit, doctor, gate, users, vault, watch
from ostiary.errors import OstiaryError
from ostiary.faces.detector import Face
from ostiary.gate.liveness_stage import Measured
from ostiary.gate.matching import EmbeddedPeople, Shot
from ostiary.gate.self_test import drawn_face
from ostiary.gate.vault import Vault

KEY = bytes(range(32))
MARK = 255
"""The grey level of the first pixel of an attack."""

Run = Callable[..., Result]

app = typer.Typer(pretty_exceptions_enable=False)
for _name, _command in {
    "enrol": gate.enrol,
    "enroll": gate.enrol,
    "verify": gate.verify,
    "identify": gate.identify,
    "watch": watch.watch,
    "doctor": doctor.doctor,
    "create": vault.create,
    "rotate": vault.rotate,
    "check": vault.check,
    "recount": vault.recount,
    "list": users.list_users,
    "show": users.show,
    "delete": users.delete,
    "purge": users.purge,
    "export": users.export,
    "audit": audit.verify,
}.items():
    app.command(_name)(_command)


class MarkedLiveness:
    """Whatever has no mark is alive."""

    configuration = "HHH"
    problems = ()

    def __init__(self, *_: object, **__: object) -> None: ...

    def measure(self, pixels: NDArray[np.uint8], faces: Sequence[Face]) -> list[Measured]:
        return [Measured(0.1234 if pixels[0, 0, 0] == MARK else 0.9876, 0.5) for _ in faces]


class ColourMatcher:
    """A person is the colour in the middle of the face."""

    kind, model, preprocess_hash, problems = "embedding", "ab" * 32, "cd" * 32, ()
    false_match_rate = 1e-3
    broken = False

    def __init__(self, *_: object, **__: object) -> None: ...

    def probe(self, shot: Shot) -> NDArray[np.float64]:
        if self.broken:
            raise ZeroDivisionError
        x, y, width, height = shot.face.box
        column, row = int(x + width / 2), int(y + height / 2)
        mean = shot.pixels[row - 20 : row + 20, column - 20 : column + 20].mean((0, 1)) - 128
        colour: NDArray[np.float64] = mean / np.linalg.norm(mean)
        return colour

    def template(self, shots: Sequence[Shot]) -> bytes:
        return self.probe(shots[0]).astype("<f4").tobytes()

    def people(self, templates: Sequence[Sequence[bytes]]) -> EmbeddedPeople:
        return EmbeddedPeople(np.stack([np.frombuffer(own[0], "<f4") for own in templates]), 0.95)


@pytest.fixture
def plain_run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Errors raised on purpose pass: ``cli/app.py`` makes them a sentence and exit code 2."""
    for name in ("VAULT", "KEY_FILE", "PASSPHRASE_FILE", "LOG", "FACE_WEIGHTS", "CALIBRATION", "WEIGHTS"):
        monkeypatch.delenv(f"OSTIARY_{name}", raising=False)

    def invoke(*arguments: str | Path, keys: str | None = None, **environment: str) -> Result:
        result = CliRunner().invoke(
            app, [str(argument) for argument in arguments], input=keys, env={"COLUMNS": "200", **environment}
        )
        if isinstance(result.exception, OstiaryError):
            raise result.exception
        assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
        return result

    return invoke


@pytest.fixture
def run(plain_run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """With the fakes in place of the networks."""
    monkeypatch.setattr("ostiary.gate.setup.LivenessStage", MarkedLiveness)
    monkeypatch.setattr("ostiary.gate.setup.EmbeddingMatcher", ColourMatcher)
    return plain_run


@pytest.fixture
def broken_matcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ColourMatcher, "broken", True)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "vault.key"
    path.write_bytes(KEY)
    path.chmod(0o600)
    return path


@pytest.fixture
def at(tmp_path: Path, key_file: Path) -> tuple[str, ...]:
    """The options that open a new vault."""
    Vault.create(tmp_path / "vault.db", KEY).close()
    return ("--vault", str(tmp_path / "vault.db"), "--key-file", str(key_file))


@pytest.fixture
def people(tmp_path: Path) -> Callable[[], Any]:
    """Open the vault of ``at``."""
    return lambda: Vault(tmp_path / "vault.db", KEY)


@pytest.fixture
def pixels() -> dict[str, NDArray[np.uint8]]:
    """Pictures of ada, of bob, of an attack with ada's face, and of nobody."""
    ada = drawn_face()
    attack = ada.copy()
    attack[0, 0] = MARK
    bob = np.ascontiguousarray(ada[..., ::-1])
    return {"ada": ada, "bob": bob, "attack": attack, "nobody": np.full_like(ada, 120)}


@pytest.fixture
def photo(pixels: dict[str, NDArray[np.uint8]], tmp_path: Path) -> Callable[[str], Path]:
    """A file of one of these pictures."""

    def write(who: str) -> Path:
        path = tmp_path / f"{who}.png"
        Image.fromarray(pixels[who]).save(path)
        return path

    return write
