"""One person or not: what was measured is decided by the threshold, and what was not is never the same person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from ostiary import Embedder, read_image
from ostiary.errors import ConfigurationError, ImageError
from ostiary.faces.crops import aligned_crop
from ostiary.faces.detector import FaceDetector
from ostiary.runtime.embedding import similarity
from ostiary.runtime.embedding_record import MatchThreshold

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def embedder(calibrated: Path) -> Embedder:
    return Embedder(calibrated)


@pytest.fixture(scope="module")
def astronaut(pictures: Path) -> NDArray[np.uint8]:
    return read_image(pictures / "astronaut.png")


@pytest.fixture(scope="module")
def hopper(pictures: Path) -> NDArray[np.uint8]:
    return read_image(pictures / "grace_hopper.jpg")


def test_the_largest_face_is_cut_aligned_and_embedded_in_rgb(
    embedder: Embedder,
    astronaut: NDArray[np.uint8],
    pictures: Path,
    expected: Callable[[NDArray[np.uint8]], NDArray[np.float64]],
) -> None:
    """Reckoned apart from the package's own way. A picture in OpenCV's order gives another embedding."""
    found = embedder.embed(pictures / "astronaut.png")
    (face,) = FaceDetector().detect(astronaut)
    by_hand = expected(aligned_crop(astronaut, face.landmarks, embedder.model.preprocess))
    assert found.embedding is not None
    np.testing.assert_allclose(found.embedding, by_hand, atol=1e-5)
    assert (found.reason, found.causes, found.faces) == (None, (), 1)
    swapped = embedder.embed(astronaut[..., ::-1].copy())
    assert swapped.embedding is not None
    assert similarity(found.embedding, swapped.embedding) < 0.99
    np.testing.assert_allclose(swapped.embedding.reshape(3, 16)[::-1].ravel(), found.embedding, atol=0.05)


def test_path_bytes_and_array_give_the_same(embedder: Embedder, pictures: Path, hopper: NDArray[np.uint8]) -> None:
    path = pictures / "grace_hopper.jpg"
    embeddings = [embedder.embed(image).embedding for image in (path, str(path), path.read_bytes(), hopper)]
    for other in embeddings[1:]:
        np.testing.assert_array_equal(embeddings[0], other)


def test_of_two_faces_the_larger_counts(
    embedder: Embedder, astronaut: NDArray[np.uint8], hopper: NDArray[np.uint8]
) -> None:
    small = np.asarray(Image.fromarray(hopper).resize((192, 225)))
    both = np.zeros((512, 768, 3), np.uint8)
    both[:, :512], both[:225, 512:704] = astronaut, small
    found, larger, smaller = (embedder.embed(image) for image in (both, astronaut, hopper))
    assert (found.faces, larger.faces, smaller.faces) == (2, 1, 1)
    assert found.face is not None
    assert found.face.box.x < 512
    alike = [similarity(found.embedding, other.embedding) for other in (larger, smaller)]  # type: ignore[arg-type]
    assert alike[0] > 0.95 > alike[1]  # the same face, searched at another size


def test_the_threshold_itself_is_the_same_person(
    calibrated: Path, threshold: MatchThreshold, astronaut: NDArray[np.uint8], hopper: NDArray[np.uint8]
) -> None:
    comparison = Embedder(calibrated).compare(astronaut, hopper)
    assert comparison.similarity is not None
    assert comparison.threshold == threshold.value
    assert comparison.calibration == threshold
    assert comparison.same is (comparison.similarity >= threshold.value)
    for limit, same, reason in (
        (comparison.similarity, True, "same_person"),
        (float(np.nextafter(comparison.similarity, 2)), False, "different_persons"),
    ):
        decided = Embedder(calibrated, threshold=limit).compare(astronaut, hopper)
        assert (decided.same, decided.reason, decided.threshold) == (same, reason, limit)
        assert decided.calibration is None  # the caller's own: nothing is promised of its rate
    itself = Embedder(calibrated).compare(astronaut, astronaut)
    assert (itself.same, itself.reason) == (True, "same_person")
    assert itself.similarity == pytest.approx(1)


def test_without_a_threshold_nothing_is_decided(weights: Path, astronaut: NDArray[np.uint8]) -> None:
    comparison = Embedder(weights).compare(astronaut, astronaut)
    assert comparison.similarity == pytest.approx(1)
    assert (comparison.same, comparison.threshold, comparison.reason) == (None, None, "no_threshold")
    assert comparison.to_dict()["same"] is None


def spoiled(portrait: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """By reason, a picture that cannot be compared."""
    return {
        "no_face": np.full((240, 320, 3), 90, np.uint8),
        "too_dark": (portrait * 0.1).astype(np.uint8),
        "blurred": np.asarray(Image.fromarray(portrait).filter(ImageFilter.GaussianBlur(6))),
    }


@pytest.mark.parametrize("reason", ["no_face", "too_dark", "blurred"])
def test_what_was_not_measured_is_never_the_same(
    calibrated: Path, astronaut: NDArray[np.uint8], reason: str
) -> None:
    """At threshold 0 everything that is measured matches."""
    embedder = Embedder(calibrated, threshold=0.0)
    bad = spoiled(astronaut)[reason]
    for pair in ((bad, astronaut), (astronaut, bad), (bad, bad)):
        comparison = embedder.compare(*pair)
        assert (comparison.same, comparison.similarity, comparison.reason) == (None, None, reason)
        assert comparison.causes == (() if reason == "no_face" else (reason,))
        assert not comparison.same
    assert embedder.compare(astronaut, astronaut).same is True


def test_causes_of_both_pictures_are_told_and_the_first_gives_the_reason(
    embedder: Embedder, astronaut: NDArray[np.uint8]
) -> None:
    bad = spoiled(astronaut)
    comparison = embedder.compare(bad["blurred"], bad["too_dark"])
    assert comparison.reason == "blurred"
    assert comparison.causes == ("too_dark", "blurred")
    night = embedder.embed(np.full((240, 320, 3), 4, np.uint8))
    assert (night.face, night.faces, night.reason) == (None, 0, "too_dark")


def test_without_quality_limits_a_bad_face_is_embedded(calibrated: Path, astronaut: NDArray[np.uint8]) -> None:
    found = Embedder(calibrated, quality=None).embed(spoiled(astronaut)["too_dark"])
    assert found.embedding is not None
    assert found.quality is None


def test_a_threshold_holds_only_for_embeddings_of_its_kind(
    make_weights: Make, threshold: MatchThreshold, astronaut: NDArray[np.uint8]
) -> None:
    mirrored = make_weights(threshold=threshold.model_copy(update={"flip": True}))
    as_chosen, plain = Embedder(mirrored), Embedder(mirrored, flip=False)
    assert (as_chosen.flip, as_chosen.threshold) == (True, threshold.value)
    assert (plain.flip, plain.threshold) == (False, None)
    assert plain.compare(astronaut, astronaut).reason == "no_threshold"
    assert Embedder(mirrored, flip=False, threshold=0.5).compare(astronaut, astronaut).same is True
    embedding = as_chosen.embed(astronaut).embedding
    assert embedding is not None
    assert np.abs(embedding - plain.embed(astronaut).embedding).max() > 0.01


def test_no_repr_and_no_json_shows_an_embedding(embedder: Embedder, astronaut: NDArray[np.uint8]) -> None:
    comparison = embedder.compare(astronaut, astronaut)
    embedding = comparison.first.embedding
    assert embedding is not None
    shown = repr(comparison) + repr(comparison.to_dict()) + repr(embedder.model) + repr(comparison.first)
    assert "embedding=" not in shown
    assert not any(f"{abs(number):.4f}"[1:] in shown for number in embedding if abs(number) > 1e-3)


@pytest.mark.parametrize("limit", [-0.1, 1.1, float("nan")])
def test_an_impossible_threshold_is_refused(weights: Path, limit: float) -> None:
    with pytest.raises(ConfigurationError, match="is not between 0 and 1"):
        Embedder(weights, threshold=limit)


def test_an_unreadable_picture_is_an_error_that_names_it(
    embedder: Embedder, astronaut: NDArray[np.uint8], tmp_path: Path
) -> None:
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ImageError, match=r"empty\.jpg"):
        embedder.compare(astronaut, tmp_path / "empty.jpg")
    with pytest.raises(ImageError, match="RGB uint8"):
        embedder.embed(astronaut.astype(np.float32))  # type: ignore[arg-type]
