from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ostiary.data.index import Sample
from ostiary.errors import ScoreFileError
from ostiary.reports.scores import Scores, ScoreTable, read_scores, write_scores

HEADER = "path,label,species,subject,split,dataset,capture,configuration,liveness,reason\n"
SAMPLES = (
    Sample("a, b.png", "bona_fide", "", "ada", "test", "one", "c1"),
    Sample("c.png", "attack", "print", "ada", "test", "one", ""),
    Sample("d.png", "attack", "mask", "ada", "", "two", ""),
)


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "scores.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_round_trip_keeps_every_digit(tmp_path: Path) -> None:
    liveness = np.array([np.float32(0.1), 1 / 3, np.nan], np.float64)
    table = ScoreTable({word: Scores(SAMPLES, liveness, ("", "", "no_face")) for word in ("HHH", "LLL")})
    write_scores(table, tmp_path / "scores.csv")
    back = read_scores(tmp_path / "scores.csv")
    assert list(back.configurations) == ["HHH", "LLL"]
    found = back.configurations["LLL"]
    assert found.samples == SAMPLES
    assert found.reasons == ("", "", "no_face")
    np.testing.assert_array_equal(found.liveness, liveness)
    assert back.datasets == ["one", "two"]


def test_the_same_name_in_two_data_sets_is_two_people() -> None:
    scores = Scores(SAMPLES, np.array([0.9, 0.2, 0.1]), ("", "", ""))
    assert scores.trials().people == 2
    assert scores.trials("one").people == 1
    assert scores.trials("one").attack_species == ["print"]


def test_somebody_elses_file_needs_three_columns(tmp_path: Path) -> None:
    table = read_scores(_file(tmp_path, "liveness,path,label,remark\n0.25,x.png,attack,?\n1,y.png,bona_fide,\n"))
    scores = table.configurations["model"]
    assert [sample.species for sample in scores.samples] == ["unspecified", ""]
    assert scores.liveness.tolist() == [0.25, 1.0]
    assert scores.trials().people is None


@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "-inf", "-0.1", "1.01", "high", "0,5"])
def test_wrong_scores_name_the_line(tmp_path: Path, value: str) -> None:
    text = f'path,label,liveness\nx.png,attack,0.5\ny.png,attack,"{value}"\n'
    with pytest.raises(ScoreFileError, match=r"scores\.csv, line 3: the liveness is"):
        read_scores(_file(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("path,label,liveness\n", "no scores in it"),
        ("path,liveness\nx.png,0.5\n", "missing column label"),
        ("score\n0.5\n", "missing columns path, label, liveness"),
        ("path,label,liveness\nx.png,real,0.5\n", "the label is 'real'"),
        ("path,label,liveness\n,attack,0.5\n", "the path is empty"),
        ("path,label,liveness\nx.png,attack,\n", "neither a liveness nor a reason"),
        ("path,label,liveness\nx.png,attack\n", "not as many values"),
        ("path,label,liveness\nx.png,attack,0.5,more\n", "not as many values"),
        ("path,label,liveness,split\nx.png,attack,0.5,tset\n", "the split is 'tset'"),
        (HEADER + "x.png,attack,,,,,,HHH,0.5,no_face\n", "give only one"),
        ('path,label,liveness\n"x.png,attack,0.5\n', "cannot be read as a CSV"),
    ],
)
def test_broken_files(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ScoreFileError, match=message):
        read_scores(_file(tmp_path, text))


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ScoreFileError, match="cannot be read"):
        read_scores(tmp_path / "absent.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x9c")
    with pytest.raises(ScoreFileError, match="UTF-8"):
        read_scores(tmp_path / "binary.csv")


def test_concatenate_joins_configurations() -> None:
    one = ScoreTable({"HHH": Scores(SAMPLES[:1], np.array([0.9]), ("",))})
    two = ScoreTable({"HHH": Scores(SAMPLES[1:], np.array([0.1, np.nan]), ("", "no_face"))})
    joined = ScoreTable.concatenate([one, two]).configurations["HHH"]
    assert joined.samples == SAMPLES
    assert joined.reasons == ("", "", "no_face")
