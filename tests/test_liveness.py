"""The main job by the packaged weights: detect, crop, judge, decide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

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
    assert [(face.liveness, face.accepted, face.reason) for face in check.faces] == [(None, False, "too_small")]
    assert check.to_dict()["faces"][0]["liveness"] is None
    ungated = Liveness(threshold=0.0, smallest_face=10_000, quality=None).check(pictures / "astronaut.png")
    assert [(face.liveness, face.causes, face.quality) for face in ungated.faces] == [(None, ("too_small",), None)]


def spoiled(portrait: np.ndarray) -> dict[str, np.ndarray]:
    """By cause, a picture of the same person that has it."""
    picture = Image.fromarray(portrait)
    small = picture.resize([side // 4 for side in picture.size], Image.Resampling.BOX)
    return {
        "too_small": np.asarray(small),
        "too_dark": (portrait * 0.1).astype(np.uint8),
        "too_bright": np.clip(portrait * 2.2 + 40.0, 0, 255).astype(np.uint8),
        "blurred": np.asarray(picture.filter(ImageFilter.GaussianBlur(6))),
    }


def test_a_living_person_gets_a_reason_in_place_of_a_verdict(pictures: Path) -> None:
    """At threshold 0 all that is judged is accepted: what is refused is refused by the gate."""
    portrait = read_image(pictures / "astronaut.png")
    gated, ungated = Liveness(threshold=0.0), Liveness(threshold=0.0, quality=None, smallest_face=0)
    assert gated.check(portrait).accepted
    for cause, image in spoiled(portrait).items():
        (face,) = gated.check(image).faces
        assert (face.liveness, face.accepted, face.reason, face.causes) == (None, False, cause, (cause,))
        assert face.quality is not None
        assert face.to_dict()["quality"]["brightness"] == round(face.quality.brightness, 3)
        assert ungated.check(image).accepted


def test_the_gate_never_accepts_what_the_network_refuses(liveness: Liveness, pictures: Path) -> None:
    ungated = Liveness(quality=None)
    for name in ("astronaut.png", "grace_hopper.jpg"):
        portrait = read_image(pictures / name)
        for image in (portrait, *spoiled(portrait).values()):
            for face, bare in zip(liveness.check(image).faces, ungated.check(image).faces, strict=True):
                assert face.accepted <= bare.accepted
                assert face.liveness in (None, pytest.approx(bare.liveness))


def test_a_dark_door_says_so_even_where_no_face_can_be_found(liveness: Liveness) -> None:
    night = np.full((240, 320, 3), 4, np.uint8)
    check = liveness.check(night)
    assert (check.accepted, check.faces, check.reason) == (False, (), "too_dark")
    assert Liveness(quality=None).check(night).reason == "no_face"


def test_one_good_face_is_judged_beside_one_that_is_not(pictures: Path) -> None:
    names = ("astronaut.png", "grace_hopper.jpg")
    bright, dark = (Image.open(pictures / name).convert("RGB").resize((400, 400)) for name in names)
    both = np.concatenate([np.asarray(bright), np.asarray(dark) // 10], axis=1)
    check = Liveness(threshold=0.0).check(both)
    assert sorted(face.reason for face in check.faces) == ["bona_fide", "too_dark"]
    assert (check.accepted, check.reason) == (False, "too_dark")


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
    with pytest.raises(ConfigurationError, match="no other choice"):
        Liveness(cascade=True, threshold=0.5)


def test_an_unreadable_picture_is_an_error_that_names_it(liveness: Liveness, tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ImageError, match=r"empty\.jpg"):
        liveness.check(tmp_path / "empty.jpg")
