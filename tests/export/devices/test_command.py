"""The command that writes files for other runtimes: what it says, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from ostiary.cli.export_device import device
from ostiary.errors import ConfigurationError

app = typer.Typer()
app.command()(device)


def test_eight_bits_by_a_folder_of_crops(weights: Path, crops: NDArray[np.uint8], tmp_path: Path) -> None:
    (tmp_path / "crops").mkdir()
    for place, crop in enumerate(crops):
        Image.fromarray(crop).save(tmp_path / "crops" / f"{place:02}.png")
    asked = ["--to", "onnx", "--out", str(tmp_path / "out"), "--weights", str(weights), "--precision", "int8"]
    done = CliRunner().invoke(app, [*asked, "--calibration", str(tmp_path / "crops")])
    assert done.exit_code == 0, done.output
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "small-H-int8.onnx",
        "small-H-int8.onnx.json",
    ]
    assert "choose a threshold anew" in done.output


def test_an_index_needs_its_pictures(weights: Path, tmp_path: Path) -> None:
    asked = ["--to", "onnx", "--out", str(tmp_path / "out"), "--weights", str(weights), "--index", "mine.csv"]
    with pytest.raises(ConfigurationError, match="--index and --images together"):
        CliRunner().invoke(app, asked, catch_exceptions=False)
    assert not (tmp_path / "out").exists()
