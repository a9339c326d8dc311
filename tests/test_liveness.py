"""The main job by the packaged weights: detect, crop, judge, decide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ostiary import ImageCheck, Liveness, read_image
from ostiary.errors import ConfigurationError, ImageError


@pytest.fixture(scope="module")
def liveness() -> Liveness:
    return Liveness()


def test_a_portrait_has_one_judged_face(liveness: Liveness, pictures: Path) -> None:
    check = liveness.check(pictures / "astronaut.png")
    assert len(check.faces) == 1
    face = check.faces[0]
    assert face.liveness is not None
    assert 0 <= face.liveness <= 1
    assert face.accepted == (face.liveness >= face.threshold)
    assert face.reason == ("bona_fide" if face.accepted else "presentation_attack")
    assert check.accepted == face.accepted


def test_path_bytes_and_array_give_the_same(liveness: Liveness, pictures: Path) -> None:
    path = pictures / "grace_hopper.jpg"
    checks = [liveness.check(path), liveness.check(path.read_bytes()), liveness.check(read_image(path))]
    assert len({check.faces[0].liveness for check in checks}) == 1


def test_many_faces_are_each_judged_and_one_refused_face_refuses_the_picture(pictures: Path) -> None:
    faces = [
        Image.open(pictures / name).convert("RGB").resize((400, 400))
        for name in ("astronaut.png", "grace_hopper.jpg")
    ]
    both = np.concatenate([np.asarray(face) for face in faces], axis=1)
    lenient, strict = Liveness(threshold=0.0).check(both), Liveness(threshold=1.0).check(both)
    assert len(lenient.faces) == len(strict.faces) == 2
    assert lenient.accepted
    assert lenient.reason == "bona_fide"
    assert not strict.accepted
    assert strict.reason == "presentation_attack"
    scores = sorted(face.liveness or 0.0 for face in lenient.faces)
    between = Liveness(threshold=float(np.mean(scores))).check(both)
    assert sum(face.accepted for face in between.faces) == 1
    assert not between.accepted


def test_no_face_is_not_accepted(liveness: Liveness) -> None:
    check = liveness.check(np.full((240, 320, 3), 90, np.uint8))
    assert check == ImageCheck((), liveness.configuration)
    assert not check.accepted
    assert check.reason == "no_face"


def test_a_small_face_is_not_measured_and_not_accepted(pictures: Path) -> None:
    check = Liveness(threshold=0.0, smallest_face=10_000).check(pictures / "astronaut.png")
    assert [(face.liveness, face.accepted, face.reason) for face in check.faces] == [
        (None, False, "face_too_small")
    ]
    assert check.to_dict()["faces"][0]["liveness"] is None


@pytest.mark.parametrize("word", ["HHH", "LLL", "BLH"])
def test_each_configuration_uses_its_own_threshold(word: str, pictures: Path) -> None:
    liveness = Liveness(configuration=word)
    check = liveness.check(pictures / "astronaut.png")
    assert check.configuration == word
    assert check.faces[0].threshold == liveness.model.threshold(word).value


def test_a_budget_chooses_a_configuration(pictures: Path) -> None:
    generous = Liveness(budget_ms=10_000)
    assert generous.check(pictures / "astronaut.png").configuration in generous.model.words
    nothing_fits = Liveness(budget_ms=1e-6)
    cheapest = nothing_fits.model.metadata.configurations
    assert cheapest[nothing_fits.configuration].macs <= cheapest["HHH"].macs


@pytest.mark.parametrize("word", ["HHX", "HH", "", "hhh", "HHHH"])
def test_an_unknown_word_is_refused_before_any_face(word: str) -> None:
    with pytest.raises(ConfigurationError, match=r"configuration"):
        Liveness(configuration=word)


def test_contradictions_and_impossible_values_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="not both"):
        Liveness(configuration="HHH", budget_ms=5)
    with pytest.raises(ConfigurationError, match="between 0 and 1"):
        Liveness(threshold=1.5)
    with pytest.raises(ConfigurationError, match="budget"):
        Liveness(budget_ms=0)


def test_an_unreadable_picture_is_an_error_that_names_it(liveness: Liveness, tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ImageError, match=r"empty\.jpg"):
        liveness.check(tmp_path / "empty.jpg")
