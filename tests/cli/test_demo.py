"""``ostiary demo``: its pictures, and what it shows with networks that answer well or badly."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from ostiary import Liveness, read_image
from ostiary.cli.demo import demo
from ostiary.errors import WeightsError
from ostiary.faces.detector import Face, FaceDetector
from ostiary.faces.quality import QualityLimits, causes, measure
from ostiary.gate.demo import ENROLMENT, PICTURES, TRIES
from ostiary.gate.liveness_stage import Measured
from ostiary.gate.matching import EmbeddedPeople, Shot
from ostiary.gate.setup import Stages
from ostiary.runtime.packaged import Shelf

Run = Callable[..., Result]
NAMES = (ENROLMENT.picture, *(act.picture for act in TRIES))

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(demo)


class Seer:
    """Knows the pictures: a screen is not alive, and who is narrow is Grace Hopper."""

    configuration, problems = "HHH", ()
    kind, model, preprocess_hash = "embedding", "ab" * 32, "cd" * 32

    def __init__(self, *, fooled: bool) -> None:
        self._screen = read_image(PICTURES / "collins_on_a_screen.jpg")
        self._fooled = fooled

    def measure(self, pixels: NDArray[np.uint8], faces: Sequence[Face]) -> list[Measured]:
        attack = np.array_equal(pixels, self._screen) and not self._fooled
        return [Measured(0.1234 if attack else 0.9876, 0.5) for _ in faces]

    def probe(self, shot: Shot) -> NDArray[np.float32]:
        return np.array([0, 1] if shot.pixels.shape[1] == 341 else [1, 0], np.float32)

    def template(self, shots: Sequence[Shot]) -> bytes:
        return self.probe(shots[0]).tobytes()

    def people(self, templates: Sequence[Sequence[bytes]]) -> EmbeddedPeople:
        return EmbeddedPeople(np.stack([np.frombuffer(own[0], "<f4") for own in templates]), 0.9)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    (tmp_path / "face.onnx").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def invoke(*options: str, fooled: bool = False) -> Result:
        seer = Seer(fooled=fooled)
        monkeypatch.setattr(Stages, "load", lambda **_: Stages(seer, seer))
        result = CliRunner().invoke(app, ["--weights", str(tmp_path / "face.onnx"), *options])
        assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
        return result

    return invoke


def test_it_enrols_lets_in_and_refuses_a_stranger_and_a_screen(run: Run, tmp_path: Path) -> None:
    result = run()
    assert result.exit_code == 0
    said = [line.strip() for line in result.output.splitlines() if line.startswith("   ")]
    assert said[0] == "'collins' is enrolled from one photo; no photo is kept."
    assert said[1::2] == [
        "Accepted collins.",
        "Refused collins: not the person who was claimed.",
        "Refused collins: looks like a print, a screen or a mask, not like a living person.",
    ]
    assert [line.rpartition(";")[0] for line in said[2::2]] == [
        "alive: yes; the person who was claimed: yes",
        "alive: yes; the person who was claimed: no",
        "alive: no; the person who was claimed: yes",
    ]
    assert "ostiary vault create" in result.output
    assert not any(number in result.output for number in ("0.12", "0.98"))
    assert [path.name for path in tmp_path.iterdir()] == ["face.onnx"]  # the vault is gone


def test_as_json(run: Run) -> None:
    result = run("--json")
    parts = json.loads(result.stdout)
    assert [(part["as_expected"], Path(part["picture"]).name) for part in parts] == [
        (True, name) for name in NAMES
    ]
    assert [part["answer"].get("accepted") for part in parts] == [None, True, False, False]
    assert "liveness" not in parts[1]["answer"]


def test_a_gate_that_lets_a_screen_in_is_told_of(run: Run) -> None:
    result = run(fooled=True)
    assert result.exit_code == 1
    assert result.output.count("This is not what should have come of it.") == 1
    assert "The gate did not answer as it should" in result.output


def test_without_face_weights_one_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OSTIARY_FACE_WEIGHTS", raising=False)
    monkeypatch.setattr("ostiary.gate.demo.EMBEDDING", Shelf("face embedding", {}, None, "OSTIARY_FACE_WEIGHTS"))
    result = CliRunner().invoke(app, [])
    assert isinstance(result.exception, WeightsError)
    assert "without face embedding weights" in str(result.exception)
    assert "`ostiary demo --weights FILE`" in str(result.exception)
    assert "\n" not in str(result.exception)


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_shows_one_face_that_can_be_judged(name: str) -> None:
    assert f"`{name}`" in (PICTURES / "README.md").read_text("utf-8")
    assert (PICTURES / name).stat().st_size < 60_000
    pixels = read_image(PICTURES / name)
    (face,) = FaceDetector().detect(pixels)
    assert causes(measure(pixels, face.box, face.landmarks), QualityLimits()) == ()


def test_the_packaged_liveness_knows_the_screen_from_the_portrait() -> None:
    """If new weights do not, ``benchmarks/demo_pictures.py`` has to be changed, or the weights do."""
    judge = Liveness()
    verdicts = [judge.check(PICTURES / name).faces[0].accepted for name in NAMES if name != "hopper.jpg"]
    assert verdicts == [True, True, False]
