"""From pairs to a folder: each way judged as it should be, its neighbours beside it, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ostiary.errors import ConfigurationError, DataIndexError
from ostiary.faces.preprocess import Preprocess
from ostiary.reports.comparisons import read_comparisons
from ostiary.reports.personal import evaluate_personal
from ostiary.reports.personal_page import personal_table, render_personal
from ostiary.reports.verification_report import Report

PEOPLE = 8


class GreyEmbedder:
    """Whose direction turns with the mean grey level."""

    name = "grey"
    preprocess = Preprocess(crop="aligned", size=16)

    def embed(self, crops: NDArray[np.uint8], *, flip: bool = False) -> NDArray[np.float32]:
        angle = crops.mean(axis=(1, 2, 3)) / 255 * np.pi
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


class GreyVerifiers:
    """Theta is the angle of the enrolment; one way of a pair differs from the other by who is the brighter."""

    backbone = "grey"

    def describe(self) -> dict[str, Any]:
        return {"name": "grey", "generator": ""}

    def enrol(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        return (np.arctan2(embeddings[:, 1], embeddings[:, 0])[:, None] / np.pi * 255).astype(np.float32)

    def logits(self, theta: NDArray[np.float32], crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        grey = crops.mean(axis=(1, 2, 3))
        found: NDArray[np.float64] = 3 - np.abs(theta[0] - grey) / 4 + 0.01 * (theta[0] - grey)
        return found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Eight people with two pictures each, every one with every other; one picture is not there."""
    folder, lines = tmp_path_factory.mktemp("pictures"), ["path_a,path_b,same,fold"]
    for person in range(PEOPLE):
        for take in range(2):
            Image.new("L", (16, 16), 25 * person + 9 * take).save(folder / f"p{person}_{take}.png")
        for other in range(PEOPLE):
            lines.append(f"p{person}_0.png,p{other}_1.png,{int(person == other)},{person % 2}")
    (folder / f"p{PEOPLE - 1}_1.png").unlink()
    pairs = folder / "list.csv"
    pairs.write_text("\n".join(lines) + "\n")
    return pairs, folder


@pytest.fixture(scope="module")
def done(data: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    out = tmp_path_factory.mktemp("out") / "personal"
    report = evaluate_personal(GreyVerifiers(), GreyEmbedder(), data[0], [data[1]], out, aligned=True)
    return report, out


def test_the_folder_is_whole_and_says_what_the_report_says(done: tuple[Report, Path]) -> None:
    report, out = done
    assert json.loads((out / "report.json").read_text()) == report
    comparisons = {f"comparisons_{name}.csv" for name in ("one_way", "symmetrised", "backbone")}
    pages = {"report.md", "one_way.md", "symmetrised.md", "report.json", "det.png"}
    assert {path.name for path in out.iterdir()} == comparisons | pages


def test_each_way_is_that_of_its_pictures(done: tuple[Report, Path]) -> None:
    """Person 1 enrols with 25 and is probed with 9 + 25, and with person 0's 9."""
    _, out = done
    found = {}
    for name in ("one_way", "symmetrised"):
        compared = read_comparisons(out / f"comparisons_{name}.csv")
        logit = np.log(compared.similarity / (1 - compared.similarity))
        found[name] = {
            (pair.path_a, pair.path_b): value for pair, value in zip(compared.pairs, logit, strict=True)
        }
    own, other = ("p1_0.png", "p1_1.png"), ("p1_0.png", "p0_1.png")
    assert found["one_way"][own] == pytest.approx(3 - 9 / 4 - 0.09, abs=1e-4)
    assert found["symmetrised"][own] == pytest.approx(3 - 9 / 4, abs=1e-4)
    assert found["one_way"][other] == pytest.approx(3 - 16 / 4 + 0.16, abs=1e-4)
    assert np.isnan(found["one_way"]["p0_0.png", "p7_1.png"])


def test_all_parts_are_of_the_same_pairs(done: tuple[Report, Path]) -> None:
    report, _ = done
    for name in ("one_way", "symmetrised", "backbone"):
        part = report[name]
        assert (part["n_mated"], part["n_non_mated"]) == (PEOPLE - 1, (PEOPLE - 1) ** 2)
        assert part["pairs_skipped_reasons"] == {"absent": PEOPLE}
        assert part["auc"] == 1
    assert report["differences"]["one_way"]["auc"]["value"] == 0
    assert 0.3 < report["shuffled_auc"] < 0.7


def test_the_page_and_the_table(done: tuple[Report, Path]) -> None:
    report, _ = done
    page = render_personal(report)
    assert "| one way |" in page
    assert "## Less the backbone" in page
    assert "8 of 64 pairs were not compared" in page
    assert [len(column._cells) for column in personal_table(report).columns] == [3] * 6


def test_one_class_alone_has_no_control(data: tuple[Path, Path], tmp_path: Path) -> None:
    pairs = tmp_path / "mated.csv"
    pairs.write_text("path_a,path_b,same\np0_0.png,p0_1.png,1\np1_0.png,p1_1.png,1\n")
    report = evaluate_personal(GreyVerifiers(), GreyEmbedder(), pairs, [data[1]], tmp_path / "out", aligned=True)
    assert report["shuffled_auc"] is report["differences"] is report["one_way"]["auc"] is None
    assert "AUC: -." in (tmp_path / "out" / "report.md").read_text()


def test_what_cannot_be_judged_writes_nothing(data: tuple[Path, Path], tmp_path: Path) -> None:
    other = GreyVerifiers()
    other.backbone = "sface"
    with pytest.raises(ConfigurationError, match="embeddings of sface, not of grey"):
        evaluate_personal(other, GreyEmbedder(), data[0], [data[1]], tmp_path / "out", aligned=True)
    with pytest.raises(DataIndexError, match="none of its 64 pairs"):
        evaluate_personal(GreyVerifiers(), GreyEmbedder(), data[0], [tmp_path], tmp_path / "out", aligned=True)
    assert not (tmp_path / "out").exists()
