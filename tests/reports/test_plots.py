from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ostiary.data.index import Sample
from ostiary.reports.plots import NAMED, draw_dets, file_names
from ostiary.reports.scores import Scores, ScoreTable


def _table(words: tuple[str, ...], datasets: tuple[str, ...] = ("one",)) -> ScoreTable:
    samples = [
        Sample(f"{data}{place}{kind}", "attack" if kind else "bona_fide", kind, "", "test", data)
        for data in datasets
        for place in range(20)
        for kind in ("", "print")
    ]
    samples.append(Sample("lonely", "attack", "print", "", "test", "attacks only"))
    generator = np.random.default_rng(0)
    genuine = np.array([sample.label == "bona_fide" for sample in samples])
    return ScoreTable(
        {
            word: Scores(
                tuple(samples),
                np.clip(np.where(genuine, 0.6, 0.4) + generator.normal(0, 0.2, len(samples)), 0, 1),
                ("",) * len(samples),
            )
            for word in words
        }
    )


def test_a_figure_a_data_set_with_both_classes(tmp_path: Path) -> None:
    words = (*NAMED, "HHB", "LLB")
    found = draw_dets(_table(words, ("one", "two/2")), dict.fromkeys(words, 0.5), tmp_path)
    assert found == {"one": "det_one.png", "two/2": "det_two_2.png"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["det_one.png", "det_two_2.png"]


def test_dots_mark_the_thresholds(tmp_path: Path) -> None:
    table = _table(("model",))
    sizes = []
    for thresholds in ({}, {"model": 0.5}):
        draw_dets(table, thresholds, tmp_path)
        sizes.append((tmp_path / "det_one.png").read_bytes())
    assert sizes[0] != sizes[1]
    draw_dets(table, {}, tmp_path)
    assert (tmp_path / "det_one.png").read_bytes() == sizes[0]  # and the same scores give the same picture


@given(st.lists(st.text(max_size=8), max_size=6, unique=True))
def test_every_name_has_a_file_name_of_its_own(names: list[str]) -> None:
    files = file_names(names)
    assert list(files) == names
    assert len(set(files.values())) == len(names)
    for name in files.values():
        assert name
        assert not set(name) & set('/\\.:*?"<>|% \n')


def test_ordinary_names_stay_as_they_are() -> None:
    assert file_names(["msu_mfsd", "a b", "a_b", ""]) == {
        "msu_mfsd": "msu_mfsd",
        "a b": "a_b",
        "a_b": "a_b~2",
        "": "unnamed",
    }
