"""``check`` finds what was put wrong on purpose, and nothing in sound data."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ostiary.data.check import CheckReport, check
from ostiary.data.index import Index, Sample
from ostiary.data.pictures import open_pictures
from ostiary.faces.detector import Box


@pytest.fixture
def sound(tmp_path: Path) -> tuple[Path, Index]:
    """Six different pictures of six people, two a split."""
    rng = np.random.default_rng(0)
    samples = []
    for number in range(6):
        rough = Image.fromarray(rng.integers(0, 255, (4, 4, 3), dtype=np.uint8))
        rough.resize((72, 64), Image.Resampling.BICUBIC).save(tmp_path / f"{number}.png")
        samples.append(
            Sample(
                f"{number}.png",
                label="attack" if number % 2 else "bona_fide",
                species="print_flat" if number % 2 else "",
                subject=f"p{number}",
                split=("train", "development", "test")[number // 2],  # type: ignore[arg-type]
                dataset="set",
                capture=f"c{number}",
                box=Box(10, 10, 40, 40),
            )
        )
    return tmp_path, Index(samples)


def checked(folder: Path, index: Index) -> CheckReport:
    return check(index, open_pictures(folder))


def changed(index: Index, number: int, **values: object) -> Index:
    return Index([*index[:number], replace(index[number], **values), *index[number + 1 :]])  # type: ignore[arg-type]


def test_sound_data(sound: tuple[Path, Index]) -> None:
    steps: list[tuple[int, int]] = []
    report = check(sound[1], open_pictures(sound[0]), progress=lambda done, total: steps.append((done, total)))
    assert report.ok
    assert report.errors == report.warnings == ()
    assert (report.samples, report.pictures, report.boxes, report.subjects) == (6, 6, 6, 6)
    assert len(report.counts) == 6
    assert {(c.samples, c.boxes, c.subjects, c.captures) for c in report.counts} == {(1, 1, 1, 1)}
    assert steps == [(n, 6) for n in range(1, 7)]


def test_missing_and_broken_pictures(sound: tuple[Path, Index]) -> None:
    folder, index = sound
    (folder / "0.png").unlink()
    (folder / "3.png").write_bytes((folder / "3.png").read_bytes()[:300])
    (folder / "5.png").write_text("a text")
    report = checked(folder, changed(index, 1, path="../1.png"))
    assert report.missing == ("../1.png", "0.png")
    assert list(report.broken) == ["3.png", "5.png"]
    assert not report.ok


def test_boxes(sound: tuple[Path, Index]) -> None:
    folder, index = sound
    index = changed(index, 0, box=Box(60, 10, 40, 40))
    index = changed(index, 1, box=Box(-30, -5, 70, 40))
    index = changed(index, 2, box=None)
    report = checked(folder, index)
    assert report.boxes_outside == ("0.png",), "a box may reach beyond the picture, its centre may not"
    assert any("1 samples have no box" in warning for warning in report.warnings)


def test_subject_and_capture_in_two_splits(sound: tuple[Path, Index]) -> None:
    folder, index = sound
    report = checked(folder, changed(changed(index, 4, subject="p0"), 5, capture="c3"))
    assert report.subjects_in_several_splits == ("set/p0: test, train",)
    assert report.captures_in_several_splits == ("set/c3: development, test",)
    assert not report.ok


def test_the_same_pixels_in_two_splits_are_found_whatever_the_format(sound: tuple[Path, Index]) -> None:
    folder, index = sound
    Image.open(folder / "0.png").save(folder / "4.bmp")
    report = checked(folder, changed(index, 4, path="4.bmp"))
    assert report.duplicates_across_splits == (("0.png", "4.bmp"),)
    assert report.duplicates_across_labels == ()
    assert report.near_duplicates_across_splits == 0
    assert not report.ok


def test_the_same_pixels_under_both_labels(sound: tuple[Path, Index]) -> None:
    folder, index = sound
    (folder / "1.png").write_bytes((folder / "0.png").read_bytes())
    report = checked(folder, index)
    assert report.duplicates_across_labels == (("0.png", "1.png"),)
    assert report.duplicates_across_splits == ()
    assert report.duplicates_within_splits == 1
    assert not report.ok


def test_one_file_listed_in_two_splits(sound: tuple[Path, Index]) -> None:
    folder, index = sound
    report = checked(folder, changed(index, 2, path="0.png", box=Box(11, 11, 40, 40)))
    assert report.duplicates_across_splits == (("0.png",),)


def test_a_line_twice(sound: tuple[Path, Index]) -> None:
    folder, index = sound
    assert checked(folder, Index([*index, index[0]])).repeated_paths == ("0.png",)


def test_two_faces_of_one_picture_are_no_fault(sound: tuple[Path, Index]) -> None:
    folder, index = sound
    report = checked(folder, Index([*index, replace(index[0], box=Box(30, 20, 20, 20))]))
    assert report.ok
    assert (report.samples, report.pictures) == (7, 6)


def test_a_copy_compressed_anew_in_another_split_is_a_warning(sound: tuple[Path, Index]) -> None:
    folder, index = sound
    with Image.open(folder / "0.png") as image:
        image.resize((60, 54)).save(folder / "4.jpg", quality=70)
    report = checked(folder, changed(index, 4, path="4.jpg"))
    assert report.near_duplicates_across_splits == 2
    assert report.near_duplicate_examples == (("0.png", "4.jpg"),)
    assert report.ok
    assert any("2 pictures are nearly equal" in warning for warning in report.warnings)


def test_the_same_outlines_in_other_brightness_are_other_pictures(sound: tuple[Path, Index]) -> None:
    folder, index = sound
    with Image.open(folder / "0.png") as image:
        image.point(lambda level: level // 2).save(folder / "4.png")
    assert checked(folder, index).near_duplicates_across_splits == 0


def test_the_report_is_json(sound: tuple[Path, Index]) -> None:
    report = json.loads(json.dumps(checked(*sound).to_dict()))
    assert report["ok"] is True
    assert report["counts"][0]["dataset"] == "set"
    assert report["errors"] == []
