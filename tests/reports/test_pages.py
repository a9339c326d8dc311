from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ostiary.data.index import Index, Sample
from ostiary.data.pictures import open_pictures
from ostiary.errors import ConfigurationError, DataIndexError
from ostiary.reports.pages import CropSource, write_pages
from ostiary.reports.scores import write_scores
from ostiary.reports.scoring import score
from ostiary.reports.web_page import Figure, Section, render_page
from ostiary.runtime.liveness_record import Threshold


@pytest.fixture
def model(grey_model: Any, monkeypatch: pytest.MonkeyPatch) -> type:
    """The grey model with a threshold that lets some attacks in, and log-odds."""

    class Complete(grey_model):  # type: ignore[misc]
        def threshold(self, word: str) -> Threshold:
            found = self.metadata.configurations[word].threshold
            if found is None:
                raise ConfigurationError(f"no threshold for {word}")
            return found

        def logits(
            self, crops: NDArray[np.uint8], word: str | None = None, *, switched: bool = False
        ) -> NDArray[np.float32]:
            liveness = self.liveness(crops, word)
            return np.log(np.stack([1 - liveness, liveness], axis=1))

    monkeypatch.setattr("ostiary.reports.pages.LivenessModel", Complete)
    return Complete


@pytest.fixture
def data(model: type, make_data: Any, tmp_path: Path) -> tuple[Path, Path, Path]:
    """Index, pictures and score file; ``one`` has errors of both kinds, ``two`` none."""
    index, folder = make_data(4, ("one", "two"))
    index.write_csv(tmp_path / "index.csv")
    table = score(index, open_pictures(folder), model(), ["H", "L"])
    liveness = table.configurations["H"].liveness
    for place, sample in enumerate(index):
        liveness[place] = 0.9 if sample.label == "bona_fide" else 0.1
    liveness[0], liveness[2] = 0.2, 0.8
    write_scores(table, tmp_path / "scores.csv")
    return tmp_path / "index.csv", folder, tmp_path / "scores.csv"


def test_the_page_shows_every_picture_and_nothing_from_outside(
    data: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    index, folder, scores = data
    steps = []
    out = tmp_path / "out"
    page = write_pages([index], [folder], out, scores=[scores], maps=2, progress=lambda *step: steps.append(step))
    assert page == out / "index.html"
    text = page.read_text()
    sources = re.findall(r'src="([^"]+)"', text)
    assert sorted(sources) == [
        "det_one.png",
        "det_two.png",
        "false_accepts_one.png",
        "false_rejects_one.png",
        "map_one.png",
        "map_two.png",
    ]
    assert sorted(path.name for path in out.iterdir()) == sorted([*sources, "index.html"])
    assert "must not be published" in text
    assert not re.search(r"https?:|<script|<link|@import|url\(", text)
    assert "1 of 8 attacks got in; of the worst kind, print, 1 of 4" in text
    assert "1 of 8 pictures of living people were refused" in text
    assert "No attack got in." in text
    assert "Nobody was refused." in text
    assert steps[-1] == ("drawing", 2, 2)


def test_without_a_score_file_the_pictures_are_scored(data: tuple[Path, Path, Path], tmp_path: Path) -> None:
    index, folder, _ = data
    text = write_pages([index], [folder], tmp_path / "out", maps=0).read_text()
    assert "of 8 attacks got in" in text
    assert "map_" not in text


def test_only_one_split(data: tuple[Path, Path, Path], tmp_path: Path) -> None:
    index, folder, scores = data
    lines = scores.read_text().replace(",test,two,", ",development,two,")
    scores.write_text(lines)
    text = write_pages(
        [index], [folder], tmp_path / "out", scores=[scores], split="test", maps=0, configuration="H"
    ).read_text()
    assert "<h2>one</h2>" in text
    assert "_two.png" not in text
    with pytest.raises(ConfigurationError, match="no rows at all"):
        write_pages([index], [folder], tmp_path / "none", scores=[scores], split="train")


def test_scores_of_other_pictures_are_refused_and_nothing_is_written(
    data: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    index, folder, scores = data
    scores.write_text(scores.read_text().replace("one_2.png", "other.png"))
    with pytest.raises(DataIndexError, match=r"'other\.png' of data set 'one'"):
        write_pages([index], [folder], tmp_path / "out", scores=[scores], maps=0)
    with pytest.raises(ConfigurationError, match="no threshold for L"):
        write_pages([index], [folder], tmp_path / "out", scores=[scores], configuration="L")
    assert not (tmp_path / "out").exists()


def test_crops_are_those_that_were_scored(model: Any, make_data: Any) -> None:
    index, folder = make_data(1)
    preprocess = model().metadata.preprocess
    source = CropSource([(index, open_pictures(folder))], preprocess)
    scored = Sample(index[1].path, "bona_fide", "", "", "", "one")  # a score file knows no box
    assert source.crop(scored).shape == (16, 16, 3)
    assert source.crop(scored, 40).shape == (40, 40, 3)
    bare = Index([Sample(index[1].path, "bona_fide", "", "", "", "one")])
    whole = CropSource([(bare, open_pictures(folder))], preprocess).crop(scored)  # no box and no face in it
    assert whole.shape == (16, 16, 3)


def test_names_from_files_cannot_break_the_page() -> None:
    evil = '<b>"x"</b>'
    text = render_page(evil, [Section(evil, evil, [Figure('a".png', evil, evil), Figure(None, evil, evil)])])
    assert "<b>" not in text
    assert 'src="a&quot;.png"' in text
    assert text.count("<figure>") == 1
    assert text.startswith("<!doctype html>")
