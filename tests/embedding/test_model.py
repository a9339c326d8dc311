"""Embeddings are unit directions of the right channels, or the file is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ostiary.errors import InputError, WeightsError
from ostiary.runtime.embedding import EmbeddingModel, similarity

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture
def crops() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (5, 112, 112, 3), np.uint8)


def plain(colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.full((1, 112, 112, 3), colour, np.uint8)


def test_embeddings_are_what_the_network_says_of_unit_length(
    weights: Path, crops: NDArray[np.uint8], expected: Callable[[NDArray[np.uint8]], NDArray[np.float64]]
) -> None:
    model = EmbeddingModel(weights)
    embeddings = model.embed(crops)
    assert (embeddings.dtype, embeddings.shape) == (np.float32, (5, 48))
    np.testing.assert_allclose(embeddings, [expected(crop) for crop in crops], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(model.embed(crops[3:4]), embeddings[3:4], atol=1e-6)
    for flip in (False, True):
        assert model.embed(crops[:0], flip=flip).shape == (0, 48)


def test_red_is_red(weights: Path) -> None:
    """Channels in the wrong order give another face: red and blue are as unlike as red and green."""
    model = EmbeddingModel(weights)
    red, green, blue = (model.embed(plain(colour))[0] for colour in (RED, GREEN, BLUE))
    np.testing.assert_allclose(red, np.repeat([1, -1, -1], 16) / np.sqrt(48), atol=1e-6)
    for one, other in ((red, blue), (red, green)):
        assert similarity(one, other) == pytest.approx(1 / 3, abs=1e-6)


def test_a_network_that_was_trained_on_bgr_is_given_bgr(
    make_weights: Callable[..., Path], weights: Path, crops: NDArray[np.uint8]
) -> None:
    preprocess = EmbeddingModel(weights).preprocess.model_copy(update={"channels": "BGR"})
    turned = EmbeddingModel(make_weights(preprocess=preprocess))
    assert turned.embed(plain(RED))[0].argmax() >= 32  # in the last third, where blue stands in the file of RGB
    np.testing.assert_array_equal(turned.embed(crops), EmbeddingModel(weights).embed(crops[..., ::-1]))


def test_flip_is_the_mean_with_the_mirrored_crop(
    weights: Path, crops: NDArray[np.uint8], expected: Callable[[NDArray[np.uint8]], NDArray[np.float64]]
) -> None:
    model = EmbeddingModel(weights)
    flipped = model.embed(crops, flip=True)
    means = np.array([expected(crop) + expected(crop[:, ::-1]) for crop in crops])
    np.testing.assert_allclose(flipped, means / np.linalg.norm(means, axis=1, keepdims=True), atol=1e-5)
    np.testing.assert_allclose(model.embed(crops[:, :, ::-1], flip=True), flipped, atol=1e-6)
    assert np.abs(flipped - model.embed(crops)).max() > 0.01


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((1, 96, 96, 3), np.uint8),
        np.zeros((1, 112, 112, 1), np.uint8),
        np.zeros((1, 112, 112, 4), np.uint8),
        np.zeros((112, 112, 3), np.uint8),
        np.zeros((1, 3, 112, 112), np.uint8),
        np.zeros((1, 112, 112, 3), np.float32),
    ],
    ids=lambda wrong: f"{wrong.dtype}{wrong.shape}",
)
def test_crops_of_another_kind_are_refused(weights: Path, wrong: NDArray[np.uint8]) -> None:
    with pytest.raises(InputError, match=r"do not fit fields\.onnx: it takes uint8 \(N, 112, 112, 3\)\.$"):
        EmbeddingModel(weights).embed(wrong)


@pytest.mark.parametrize("twist", ["Sqrt", "Sub"])  # NaN for dark crops; zero for all
@pytest.mark.parametrize("flip", [False, True])
def test_what_has_no_direction_is_refused(make_weights: Callable[..., Path], twist: str, flip: bool) -> None:
    model = EmbeddingModel(make_weights(twist))
    with pytest.raises(WeightsError, match="an embedding without a direction"):
        model.embed(plain((9, 9, 9)), flip=flip)


def test_a_mirror_image_that_cancels_the_crop_is_refused(weights: Path) -> None:
    halves = np.zeros((1, 112, 112, 3), np.uint8)
    halves[:, :, 56:] = 255
    with pytest.raises(WeightsError, match="without a direction"):
        EmbeddingModel(weights).embed(halves, flip=True)


def test_threads_can_share_a_model_and_its_repr_is_short(weights: Path) -> None:
    model = EmbeddingModel(weights, threads=2)
    assert repr(model) == "EmbeddingModel('fields' '1', 48 numbers)"
    assert (model.name, model.preprocess.crop) == ("fields", "aligned")


UNIT = st.lists(st.floats(-1, 1, width=32), min_size=4, max_size=4).filter(lambda v: np.linalg.norm(v) > 0.1)


@given(UNIT, UNIT)
def test_similarity_is_symmetric_within_its_range_and_true_at_its_ends(
    one: list[float], other: list[float]
) -> None:
    first, second = (np.asarray(vector) / np.linalg.norm(vector) for vector in (one, other))
    assert 0 <= similarity(first, second) == similarity(second, first) <= 1
    assert similarity(first, first) == pytest.approx(1)
    assert similarity(first, -first) == pytest.approx(0, abs=1e-9)
    assert similarity(first, second) + similarity(first, -second) == pytest.approx(1)


def test_similarity_goes_row_by_row_or_against_one() -> None:
    rows = np.array([[1, 0], [0, 1], [-1, 0], [0.6, 0.8]], np.float32)
    np.testing.assert_allclose(similarity(rows, rows[::-1]), [0.8, 0.5, 0.5, 0.8], atol=1e-7)
    np.testing.assert_allclose(similarity(rows, rows[0]), [1, 0.5, 0, 0.8], atol=1e-7)
    np.testing.assert_array_equal(similarity(rows[0], rows), similarity(rows, rows[0]))
    assert similarity(rows[:0], rows[0]).shape == (0,)
    assert similarity(rows[0], rows[3]).shape == ()


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.eye(3), np.eye(4), "cannot be compared"),
        (np.eye(3), np.eye(3)[:2], "cannot be compared"),
        (np.float64(1), np.eye(3), "cannot be compared"),
        (np.eye(3), np.full(3, np.nan), "not of unit length"),
        (2 * np.eye(3), np.eye(3), "not of unit length"),
        (np.eye(3), np.zeros((3, 3)), "not of unit length"),
    ],
)
def test_what_is_no_pair_of_embeddings_is_refused(
    first: NDArray[np.float64], second: NDArray[np.float64], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        similarity(first, second)
