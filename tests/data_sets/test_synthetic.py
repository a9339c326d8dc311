"""The drawn data set: repeatable, disjoint, exact in its boxes, and not to be solved by colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ostiary.data.check import check
from ostiary.data.index import Index, Sample
from ostiary.data.packs import open_packs
from ostiary.data.pictures import open_pictures
from ostiary.data.synthetic import SPECIES, generate, synthesize
from ostiary.errors import DataIndexError
from ostiary.faces.detector import FaceDetector

Drawn = list[tuple[Sample, NDArray[np.uint8]]]


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return list(generate(subjects=40, per_subject=1, seed=1, size=96))


def test_the_seed_decides_everything() -> None:
    first, again = (list(generate(subjects=3, per_subject=1, seed=5, size=48)) for _ in range(2))
    other = list(generate(subjects=3, per_subject=1, seed=6, size=48))
    assert [s for s, _ in first] == [s for s, _ in again]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for (_, a), (_, b) in zip(first, other, strict=True))


def test_a_larger_set_begins_with_the_smaller(drawn: Drawn) -> None:
    smaller = list(generate(subjects=3, per_subject=1, seed=1, size=96))
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(smaller, drawn[:6], strict=True))


def test_labels_species_and_splits(drawn: Drawn) -> None:
    index = Index(sample for sample, _ in drawn)
    index.check_disjoint()
    assert (len(index.select(label="bona_fide")), len(index.select(label="attack"))) == (40, 40)
    assert [len(index.select(split=s)) for s in ("train", "development", "test")] == [48, 16, 16]
    for split in ("train", "development", "test"):
        assert index.select(split=split).species == SPECIES
    assert len({sample.capture for sample in index}) == len(index)


def test_boxes_lie_in_the_picture(drawn: Drawn) -> None:
    for sample, image in drawn:
        assert sample.box is not None
        assert image.shape == (96, 96, 3)
        x, y, width, height = sample.box
        assert x >= 0
        assert y >= 0
        assert x + width <= 96.1
        assert y + height <= 96.1
        assert 25 < width < 90
        assert 25 < height < 90


def test_a_face_detector_sees_faces_where_the_boxes_say() -> None:
    detector = FaceDetector()
    overlaps = []
    for sample, image in generate(subjects=5, per_subject=1, seed=2, size=160):
        faces = detector.detect(image)
        assert sample.box is not None
        overlaps.append(overlap(faces[0].box, sample.box) if faces else 0.0)
    assert sum(value > 0.5 for value in overlaps) >= 9


def overlap(first: tuple[float, float, float, float], second: tuple[float, float, float, float]) -> float:
    """Intersection over union."""
    (x, y, w, h), (u, v, p, q) = first, second
    shared = max(0.0, min(x + w, u + p) - max(x, u)) * max(0.0, min(y + h, v + q) - max(y, v))
    return shared / (w * h + p * q - shared)


def test_texture_tells_and_colour_does_not(drawn: Drawn) -> None:
    pictures = np.stack([image for _, image in drawn]).astype(float)
    colour = np.column_stack([pictures.mean((1, 2)), pictures.std((1, 2))])
    boxes = np.array([sample.box for sample, _ in drawn])
    assert learnt(drawn, colour) < 0.75
    assert learnt(drawn, boxes) < 0.75
    assert learnt(drawn, spectrum(pictures)) > 0.8


def learnt(drawn: Drawn, features: NDArray[np.float64]) -> float:
    """The area under the curve on unseen people of a linear model."""
    bona_fide = np.array([sample.label == "bona_fide" for sample, _ in drawn])
    train = np.array([sample.split == "train" for sample, _ in drawn])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(features[train], bona_fide[train])
    return float(roc_auc_score(bona_fide[~train], model.decision_function(features[~train])))


def spectrum(pictures: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean log amplitude in rings of frequency."""
    grey = pictures.mean(axis=3)
    amplitude = np.abs(np.fft.fft2(grey - grey.mean((1, 2), keepdims=True)))
    frequency = np.fft.fftfreq(grey.shape[1])
    radius = np.hypot(frequency[:, None], frequency[None, :])
    rings = [(radius >= low) & (radius < low + 0.05) for low in np.arange(0.05, 0.6, 0.05)]
    return np.stack([np.log(amplitude[:, ring].mean(axis=1)) for ring in rings], axis=1)


@pytest.mark.parametrize("form", ["tar", "folder"])
def test_what_is_written_is_sound(tmp_path: Path, form: str) -> None:
    index = synthesize(tmp_path, subjects=4, per_subject=2, size=64, form=form)  # type: ignore[arg-type]
    assert Index.read_csv(tmp_path / "synthetic.csv") == index
    store = open_pictures(tmp_path / "synthetic.tar" if form == "tar" else tmp_path)
    report = check(index, store)
    assert report.ok, report.errors
    assert report.near_duplicates_across_splits == 0
    if form == "tar":
        assert open_packs(tmp_path)[0] == index


@pytest.mark.parametrize("wrong", [{"subjects": 2}, {"per_subject": 0}, {"size": 20}, {"seed": -1}])
def test_impossible_wishes_are_refused(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(DataIndexError, match="cannot draw"):
        synthesize(tmp_path, **wrong)  # type: ignore[arg-type]
