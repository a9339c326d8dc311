"""``evaluate face`` as it is typed: the folder, the table, the JSON, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner, Result

from ostiary.cli.evaluate_face import face
from ostiary.errors import ConfigurationError, OstiaryError, RateError
from ostiary.faces.preprocess import Preprocess
from ostiary.reports.embedders import EmbedsFaces, choose_embedder


class GreyEmbedder:
    """Whose direction turns with the mean grey level."""

    name = "grey"
    preprocess = Preprocess(crop="aligned", size=16)

    def embed(self, crops: NDArray[np.uint8], *, flip: bool = False) -> NDArray[np.float32]:
        angle = crops.mean(axis=(1, 2, 3)) / 255 * np.pi
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    def choose(weights: str | None, peers: Sequence[str], folder: Path | None) -> EmbedsFaces:
        return choose_embedder(weights, peers, folder) if peers else GreyEmbedder()

    monkeypatch.setattr("ostiary.reports.embedders.choose_embedder", choose)
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command("face")(face)
    app.command("other")(lambda: None)  # with one command alone typer would not want its name

    def invoke(*arguments: str | Path) -> Result:
        result = CliRunner().invoke(app, ["face", *map(str, arguments)])
        if isinstance(result.exception, OstiaryError):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, Path]:
    """Six people with two pictures each, every one with every other; one picture is not there."""
    folder, lines = tmp_path / "pictures", ["path_a,path_b,same,fold"]
    folder.mkdir()
    for person in range(6):
        for take in range(2):
            Image.new("L", (16, 16), 40 * person + 9 * take).save(folder / f"p{person}_{take}.png")
        lines.append(f"p{person}_0.png,p{person}_1.png,1,{person % 2}")
        lines += [f"p{person}_0.png,p{other}_1.png,0,{person % 2}" for other in range(6) if other != person]
    (folder / "p5_1.png").unlink()
    (tmp_path / "pairs.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "pairs.csv", folder


def test_a_folder_and_a_table(run: Any, data: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("--pairs", data[0], "--images", data[1], "--out", out, "--aligned")
    assert result.exit_code == 0
    assert "Verification on pairs" in result.stdout
    assert "FNMR@1e-3" in result.stdout
    assert "6 of 36 pairs were not compared (absent 6)" in result.stderr
    assert {path.name for path in out.iterdir()} == {"comparisons.csv", "report.md", "report.json", "det.png"}


def test_json_is_all_of_stdout(run: Any, data: tuple[Path, Path], tmp_path: Path) -> None:
    arguments = ("--pairs", data[0], "--images", data[1], "--out", tmp_path / "out", "--aligned", "--json")
    report = json.loads(run(*arguments, "--flip", "--seed", "3", "--fmr", "0.2").stdout)
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["flip"], report["header"]["seed"]) == (True, 3)
    assert set(report["fnmr_at_fmr"]) == {"2e-1", "1e-2", "1e-3"}
    skipped = report["pairs_skipped"], report["pairs_skipped_reasons"]
    assert (report["pairs_used"], *skipped) == (30, 6, {"absent": 6})
    assert report["header"]["command"].startswith("ostiary")


def test_wrong_requests_write_nothing(run: Any, data: tuple[Path, Path], tmp_path: Path) -> None:
    arguments = ("--pairs", data[0], "--images", data[1], "--out", tmp_path / "out", "--aligned")
    with pytest.raises(RateError, match="30 non-mated pairs in the list"):
        run(*arguments, "--fmr", "1e-4")
    with pytest.raises(ConfigurationError, match="--peers"):
        run(*arguments, "--peer", "sface")
    with pytest.raises(ConfigurationError, match="is not there"):
        run(*arguments, "--peer", "sface", "--peers", tmp_path)
    assert not (tmp_path / "out").exists()
