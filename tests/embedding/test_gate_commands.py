"""The commands of the gate with networks as they are, and the walk-through of docs/door.md word for word."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from ostiary.cli.app import app
from ostiary.errors import OstiaryError
from ostiary.gate.calibration import Calibration, Operating, model_hashes
from ostiary.runtime.liveness import LivenessModel

PAGE = Path(__file__).parents[2] / "docs" / "door.md"
RUN = {"doctor", "enrol", "verify", "identify", "vault", "users", "audit"}
"""Commands that need neither a camera nor somebody's data."""


def run(arguments: list[str]) -> Result:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    if isinstance(result.exception, OstiaryError):
        raise result.exception
    return result


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A liveness threshold that everybody reaches: the portraits of these tests are scans."""
    model = LivenessModel()
    low = Operating(
        value=1e-6, target="bpcer=0.05", rate=0.05, low=0.0, high=0.1, trials=60, people=60, data="drawn",
        made=None,
    )  # fmt: skip
    path = tmp_path / "site.json"
    word = model.metadata.default_configuration
    Calibration.of_liveness({word: low}, model_hashes(model.path, model.metadata.preprocess)).save(path)
    return path


def lines() -> list[str]:
    """What the page tells a reader to type, but for shell scripts."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [line for language, block in fences if not language for line in block.splitlines()]


def test_the_walk_through_runs_word_for_word(
    calibrated: Path, pictures: Path, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("OSTIARY_"):
            monkeypatch.delenv(name)
    for name in ("ada1.jpg", "ada2.jpg", "door.jpg"):
        (tmp_path / name).write_bytes((pictures / "astronaut.png").read_bytes())
    (tmp_path / "face.onnx").write_bytes(calibrated.read_bytes())
    monkeypatch.setenv("OSTIARY_CALIBRATION", str(site))
    done = []
    for line in lines():
        program, *arguments = shlex.split(line)
        if program == "export":
            name, _, value = arguments[0].partition("=")
            monkeypatch.setenv(name, value)
        elif program == "ostiary" and arguments[0] in RUN:
            shown = run(arguments)
            assert shown.exit_code == 0, (line, shown.output)
            done.append(arguments[0])
        elif program == "ostiary":
            parsed(arguments)
    assert set(done) == RUN


def parsed(arguments: list[str]) -> None:
    """The command exists, and takes these options."""
    group = typer.main.get_command(app)
    command = group.commands[arguments[0]]  # type: ignore[attr-defined]
    command.make_context(arguments[0], arguments[1:])
