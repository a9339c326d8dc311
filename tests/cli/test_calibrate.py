"""The commands around a threshold: choose it from a file, fit it to a camera, and try to fool it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from ostiary.cli import calibrate, evaluate_system
from ostiary.errors import ConfigurationError, InputError, OstiaryError, RateError
from ostiary.faces.detector import Box, Face
from ostiary.faces.preprocess import Preprocess
from ostiary.gate.calibration import Calibration
from ostiary.liveness import CheckedFace, ImageCheck
from ostiary.runtime.liveness_record import Threshold


class GreyModel:
    path = Path(__file__)
    metadata = type("Record", (), {"preprocess": Preprocess(crop="loose", size=16)})

    def threshold(self, word: str) -> Threshold:
        return Threshold(value=0.5, target="eer", rate=0.1, n_bona_fide=50, n_attack=80, data="made up")


class GreyLiveness:
    """The liveness is the grey level of the first pixel."""

    model = GreyModel()

    def __init__(
        self, weights: str | None = None, *, configuration: str | None = None, threshold: float | None = None
    ) -> None:
        self.configuration = configuration or "H"
        self._threshold = 0.5 if threshold is None else threshold

    def check(self, image: Any) -> ImageCheck:
        value = float(image[0, 0, 0]) / 255
        accepted = value >= self._threshold
        face = Face(Box(0, 0, 4, 4), np.zeros((5, 2), np.float32), 0.9)
        reason = "bona_fide" if accepted else "presentation_attack"
        return ImageCheck(
            (CheckedFace(face, value, self._threshold, accepted, reason),),  # type: ignore[arg-type]
            self.configuration,
        )


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("ostiary.liveness.Liveness", GreyLiveness)
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command("calibrate")(calibrate.calibrate)
    app.command("calibrate-site")(calibrate.calibrate_site)
    app.command("attack-test")(calibrate.attack_test)
    app.command("system")(evaluate_system.system)

    def invoke(*arguments: str | Path, keys: str | None = None) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=keys)
        if isinstance(result.exception, OstiaryError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result

    return invoke


def _camera(folder: Path, *levels: int) -> Path:
    folder.mkdir()
    for number, level in enumerate(levels):
        Image.new("RGB", (8, 8), (level,) * 3).save(folder / f"{number:03d}.png")
    return folder


def _scores(path: Path, count: int) -> Path:
    lines = [f"{n}.png,bona_fide,{0.6 + 0.3 * n / count},,HHH\n" for n in range(count)]
    lines += [f"a{n}.png,attack,{0.1 + 0.3 * n / count},print,HHH\n" for n in range(count)]
    path.write_text("path,label,liveness,species,configuration\n" + "".join(lines))
    return path


def test_a_score_file_becomes_a_calibration(run: Any, tmp_path: Path) -> None:
    out = tmp_path / "site.json"
    shown = run("calibrate", "--scores", _scores(tmp_path / "s.csv", 100), "--target", "apcer=0.05", "--out", out)
    (found,) = Calibration.load(out).liveness.values()
    assert 0.39 < found.value <= 0.6
    assert "accept at >= " in shown.stdout
    plain = run(
        "calibrate", "--scores", tmp_path / "s.csv", "--target", "bpcer=0.05", "--out", out, "--data", "hall",
        "--json",
    )  # fmt: skip
    assert json.loads(plain.stdout)["liveness"]["HHH"]["data"] == "hall"


def test_few_scores_are_refused_and_leave_no_file(run: Any, tmp_path: Path) -> None:
    scores = _scores(tmp_path / "s.csv", 40)
    with pytest.raises(RateError, match=r"40 attacks of species print.*60 \(rule of 3\)"):
        run("calibrate", "--scores", scores, "--target", "apcer=0.05", "--out", tmp_path / "site.json")
    assert not (tmp_path / "site.json").exists()


def test_a_camera_raises_the_stored_threshold(run: Any, tmp_path: Path) -> None:
    arguments = ("--scores", tmp_path / "site.csv", "--out", tmp_path / "site.json", "--configuration", "H")
    run("calibrate-site", "--person", "ann", "--camera", _camera(tmp_path / "ann", *[204] * 30), *arguments)
    assert Calibration.load(tmp_path / "site.json").liveness["H"].value == 204 / 255
    run("calibrate-site", "--person", "ben", "--camera", _camera(tmp_path / "ben", *[153] * 30), *arguments)
    found = Calibration.load(tmp_path / "site.json").liveness["H"]
    assert (found.value, found.people) == (153 / 255, 2), "both people count"


def test_an_attack_test_asks_and_reports(run: Any, tmp_path: Path) -> None:
    camera = _camera(tmp_path / "camera", *[255] * 6, *[255] * 6, *[51] * 24)
    out = tmp_path / "out"
    shown = run(
        "attack-test", "--trials", "2", "--frames", "1", "--camera", camera, "--out", out, keys="\n\n\n\n\n\ns\n"
    )
    report = json.loads((out / "report.json").read_text())
    assert report["bona_fide"]["accepted"] == 2
    assert [found["trials"] for found in report["species"].values()] == [2, 2]
    assert "0 of 2 attempts with a phone were accepted: at most 77.6 % are, with 95 % confidence." in shown.output
    assert "[print 1/2] Hold a printed photo" in shown.output


def test_a_camera_pulled_out_leaves_the_trials_that_were_made(run: Any, tmp_path: Path) -> None:
    camera = _camera(tmp_path / "camera", *[255] * 6)
    with pytest.raises(InputError, match="no frame"):
        run(
            "attack-test",
            "--trials",
            "1",
            "--frames",
            "1",
            "--camera",
            camera,
            "--out",
            tmp_path / "o",
            keys="\n\n",
        )
    assert json.loads((tmp_path / "o" / "report.json").read_text())["header"]["n"] == 1


def test_an_attack_test_takes_the_thresholds_of_the_site(run: Any, tmp_path: Path) -> None:
    site = tmp_path / "site.json"
    arguments = ("--person", "ann", "--scores", tmp_path / "site.csv", "--out", site)
    run("calibrate-site", "--camera", _camera(tmp_path / "ann", *[204] * 9), *arguments)
    camera = _camera(tmp_path / "camera", *[190] * 6)
    run(
        "attack-test", "--trials", "1", "--frames", "1", "--camera", camera, "--out", tmp_path / "o",
        "--calibration", site, keys="\nq\n",
    )  # fmt: skip
    assert json.loads((tmp_path / "o" / "report.json").read_text())["bona_fide"]["accepted"] == 0
    with pytest.raises(ConfigurationError, match="no threshold for L, but for H"):
        run(
            "attack-test",
            "--camera",
            camera,
            "--out",
            tmp_path / "p",
            "--calibration",
            site,
            "--configuration",
            "L",
        )


def test_a_system_needs_one_list(run: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="either --trials or --index"):
        run("system", "--images", tmp_path, "--out", tmp_path / "out")
