"""``ostiary data``: exit codes, and what goes to stdout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from PIL import Image

from ostiary.cli import data
from ostiary.data.index import Index
from ostiary.errors import DataIndexError


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    data.synthesize(tmp_path, subjects=3, per_subject=1, seed=0, size=48)
    return tmp_path


def test_check_of_sound_data(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    data.check([drawn / "synthetic.csv"], [drawn / "synthetic.tar"])
    printed = capsys.readouterr()
    assert "no faults found" in printed.out
    assert "print_flat" in printed.out


def test_check_as_json_of_faulty_data(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = drawn / "synthetic.csv"
    index.write_text(index.read_text().replace("s001", "s000"))
    capsys.readouterr()
    with pytest.raises(typer.Exit) as exit_:
        data.check([index], [drawn / "synthetic.tar"], json=True)
    assert exit_.value.exit_code == 1
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    assert report["subjects_in_several_splits"] == ["synthetic/s000: development, train"]


def test_bad_input_is_an_error_of_ours(drawn: Path) -> None:
    with pytest.raises(DataIndexError, match=r"absent\.csv"):
        data.check([drawn / "absent.csv"], [drawn / "synthetic.tar"])
    with pytest.raises(DataIndexError, match="unknown layout"):
        data.read("nothing", drawn, drawn / "out.csv")


def test_read_writes_an_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "mine" / "train" / "bona_fide" / "ann" / "a.png"
    picture.parent.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(picture)
    data.read("folder", tmp_path / "mine", tmp_path / "index.csv")
    assert Index.read_csv(tmp_path / "index.csv")[0].subject == "ann"
    assert capsys.readouterr().out == "", "remarks belong on stderr"


def test_read_refuses_a_subject_in_two_splits(tmp_path: Path) -> None:
    for split in ("train", "test"):
        picture = tmp_path / split / "bona_fide" / "ann" / "a.png"
        picture.parent.mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(picture)
    with pytest.raises(DataIndexError, match="subject 'ann'"):
        data.read("folder", tmp_path, tmp_path / "index.csv")
