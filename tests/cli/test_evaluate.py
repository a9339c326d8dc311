from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner, Result

from ostiary.cli import evaluate
from ostiary.errors import ConfigurationError, DataIndexError, OstiaryError, ScoreFileError
from ostiary.faces.preprocess import Preprocess
from ostiary.reports.scores import read_scores
from ostiary.runtime.liveness_record import ConfigurationRecord, Metadata, Threshold

COLUMNS = "path,label,species,subject,split,dataset,capture,box\n"
STORED = Threshold(value=0.5, target="eer", rate=0.1, n_bona_fide=50, n_attack=80, data="made up")


class GreyModel:
    """Liveness is the mean grey level; under L half of it."""

    def __init__(self, weights: str | None = None) -> None:
        self.path = Path(__file__)
        self.words = ["H", "L"]
        self.metadata = Metadata(
            name="grey",
            version="0",
            licence="Apache-2.0",
            data=["none"],
            preprocess=Preprocess(crop="loose", size=16),
            configurations={
                "H": ConfigurationRecord(parameters=2, macs=20, threshold=STORED),
                "L": ConfigurationRecord(
                    parameters=1, macs=10, threshold=STORED.model_copy(update={"value": 0.25})
                ),
            },
            default_configuration="H",
            training_commit="none",
        )

    def liveness(
        self, crops: NDArray[np.uint8], word: str | None = None, *, switched: bool = False
    ) -> NDArray[np.float32]:
        return (crops.mean(axis=(1, 2, 3)) / 255 * (0.5 if word == "L" else 1)).astype(np.float32)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("ostiary.reports.evaluation.open_liveness", GreyModel)
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command("liveness")(evaluate.liveness)
    app.command("scores")(evaluate.scores)

    def invoke(*arguments: str | Path) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if isinstance(result.exception, OstiaryError):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, Path]:
    """An index of 12 bright bona fide and 12 dark attacks of six people, and their pictures."""
    folder, lines = tmp_path / "pictures", []
    folder.mkdir()
    for place in range(24):
        attack = place % 2
        Image.new("RGB", (32, 32), (60 + 5 * place if attack else 220 - 5 * place,) * 3).save(
            folder / f"{place}.png"
        )
        label = "attack,print" if attack else "bona_fide,"
        split = "test" if place < 20 else "development"
        lines.append(f"{place}.png,{label},p{place % 6},{split},grey,,8 8 16 16\n")
    (tmp_path / "index.csv").write_text(COLUMNS + "".join(lines))
    return tmp_path / "index.csv", folder


def test_everything_lands_in_the_folder(run: Any, data: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("liveness", "--index", data[0], "--images", data[1], "--out", out)
    assert result.exit_code == 0
    assert "Liveness on grey" in result.stdout
    assert "development split" in result.stderr
    assert {path.name for path in out.iterdir()} == {
        "scores.csv",
        "report.md",
        "report.json",
        "det.png",
        "scores_H.png",
        "scores_L.png",
        "error_against_cost.png",
    }
    report = json.loads((out / "report.json").read_text())
    found = report["configurations"]["L"]
    assert found["threshold"] == 0.25
    assert (found["n_bona_fide"], found["n_attack"]) == (12, 12)
    assert report["header"]["model"]["name"] == "grey"
    assert report["cost"]["by_configuration"] == {"H": 1.0, "L": 0.5}
    assert len(read_scores(out / "scores.csv").configurations["H"].samples) == 24
    assert not list(tmp_path.glob(".out*"))


def test_json_is_all_of_stdout(run: Any, data: tuple[Path, Path], tmp_path: Path) -> None:
    result = run(
        *("liveness", "--index", data[0], "--images", data[1], "--out", tmp_path / "out", "--json"),
        *("--configuration", "H", "--threshold", "0.6", "--split", "test", "--seed", "3"),
    )
    report = json.loads(result.stdout)
    assert list(report["configurations"]) == ["H"]
    assert report["configurations"]["H"]["threshold"] == 0.6
    assert (report["header"]["n"], report["header"]["seed"]) == (20, 3)
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())


def test_our_scores_judged_again_give_the_same_rates(run: Any, data: tuple[Path, Path], tmp_path: Path) -> None:
    run("liveness", "--index", data[0], "--images", data[1], "--out", tmp_path / "a", "--threshold", "0.5")
    run("scores", tmp_path / "a" / "scores.csv", "--out", tmp_path / "b", "--threshold", "0.5")
    first, second = (json.loads((tmp_path / name / "report.json").read_text()) for name in "ab")
    assert first["configurations"] == second["configurations"]
    assert (tmp_path / "a" / "scores.csv").read_bytes() == (tmp_path / "b" / "scores.csv").read_bytes()


def test_time_in_place_of_operations(run: Any, data: tuple[Path, Path], tmp_path: Path) -> None:
    bench = tmp_path / "bench.json"
    bench.write_text(json.dumps({"configurations": {"H": {"specialised": 1.01}, "L": {"specialised": 0.86}}}))
    arguments = (
        "liveness",
        "--index",
        data[0],
        "--images",
        data[1],
        "--out",
        tmp_path / "out",
        "--latency",
        bench,
    )
    run(*arguments)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["cost"]["by_configuration"] == {"H": 1.01, "L": 0.86}
    bench.write_text("[]")
    with pytest.raises(ConfigurationError, match="bench liveness"):
        run(*arguments)


def test_the_quality_gate_leaves_faces_unanswered(run: Any, data: tuple[Path, Path], tmp_path: Path) -> None:
    """Every picture of the data is of one grey level, and its face half as wide as the gate asks for."""
    run("liveness", "--index", data[0], "--images", data[1], "--out", tmp_path / "out", "--quality")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    found = report["configurations"]["H"]
    assert found["reasons"] == {"too_small": 24}
    assert (found["bpnrr"], found["apnrr"]) == (1, {"print": 1})
    assert report["header"]["quality"]["face_width"] == 32
    assert "too_small 24" in (tmp_path / "out" / "report.md").read_text()


def test_several_indexes_each_with_its_pictures(run: Any, data: tuple[Path, Path], tmp_path: Path) -> None:
    index, folder = data
    other = tmp_path / "other.csv"
    other.write_text(index.read_text().replace(",grey,", ",second,"))
    run(
        "liveness",
        "--index",
        index,
        "--images",
        folder,
        "--index",
        other,
        "--images",
        folder,
        "--out",
        tmp_path / "o",
    )
    found = json.loads((tmp_path / "o" / "report.json").read_text())["configurations"]["H"]
    assert set(found["datasets"]) == {"grey", "second"}
    assert found["n_attack"] == 24
    assert found["people"] == 12


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--configuration", "X"], ConfigurationError, "no configuration 'X'"),
        (["--threshold", "1.5"], ConfigurationError, r"in \[0, 1\]"),
        (["--threshold", "nan"], ConfigurationError, r"in \[0, 1\]"),
        (["--split", "train"], DataIndexError, "no rows of split 'train'"),
    ],
)
def test_wrong_requests_write_nothing(
    run: Any,
    data: tuple[Path, Path],
    tmp_path: Path,
    arguments: list[str],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        run("liveness", "--index", data[0], "--images", data[1], "--out", tmp_path / "out", *arguments)
    assert not (tmp_path / "out").exists()


def test_nan_scores_are_refused_and_the_old_report_stays(run: Any, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.md").write_text("old")
    scores = tmp_path / "theirs.csv"
    scores.write_text("path,label,liveness\na.png,attack,nan\n")
    with pytest.raises(ScoreFileError, match="line 2"):
        run("scores", scores, "--out", tmp_path / "out")
    assert (tmp_path / "out" / "report.md").read_text() == "old"


def test_without_threshold_somebody_elses_scores_give_readings_only(run: Any, tmp_path: Path) -> None:
    scores = tmp_path / "theirs.csv"
    scores.write_text("path,label,liveness\na.png,attack,0.2\nb.png,bona_fide,0.9\nc.png,bona_fide,0.1\n")
    result = run("scores", scores, "--out", tmp_path / "out", "--json")
    found = json.loads(result.stdout)["configurations"]["model"]
    assert found["auc"] == 0.5
    assert found["threshold"] is found["bpcer"] is found["apcer_max"] is None
