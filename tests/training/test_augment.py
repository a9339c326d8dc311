"""Augmentation: from the generator alone, within bounds, and off when it is off."""

from __future__ import annotations

import numpy as np
import pytest

from ostiary.faces.crops import loose_crop
from ostiary.faces.detector import Box
from ostiary.faces.preprocess import Preprocess
from ostiary.training.augment import Augmentation
from ostiary.training.recipe import recipe

PREPROCESS = Preprocess(crop="loose", size=64, scale=1.3)
BOX = Box(30, 20, 50, 60)


@pytest.fixture
def picture() -> np.ndarray:
    ramp = np.linspace(0, 255, 120, dtype=np.float32)
    image = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, ::-1], 128.0), axis=-1)
    return image.astype(np.uint8)


def test_nothing_switched_on_changes_nothing(picture: np.ndarray) -> None:
    crop = Augmentation(flip=False).crop(picture, BOX, PREPROCESS, np.random.default_rng(0))
    assert np.abs(crop.astype(int) - loose_crop(picture, BOX, PREPROCESS)).max() <= 1


def test_the_same_generator_state_gives_the_same_crop(picture: np.ndarray) -> None:
    augmentation = recipe("strangers").augmentation
    first = [augmentation.crop(picture, BOX, PREPROCESS, np.random.default_rng([7, i])) for i in range(20)]
    again = [augmentation.crop(picture, BOX, PREPROCESS, np.random.default_rng([7, i])) for i in range(20)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({a.tobytes() for a in first}) == 20


@pytest.mark.parametrize("box", [BOX, Box(0, 0, 120, 120), Box(-20, -5, 60, 90), Box(100, 100, 18, 19)])
def test_every_box_gives_a_whole_crop(picture: np.ndarray, box: Box) -> None:
    augmentation = recipe("strangers").augmentation
    before = picture.copy()
    for seed in range(30):
        crop = augmentation.crop(picture, box, PREPROCESS, np.random.default_rng(seed))
        assert crop.shape == (64, 64, 3)
        assert crop.dtype == np.uint8
    assert np.array_equal(picture, before), "the cached picture must not be changed"


def test_grey_makes_grey_and_hue_leaves_grey_alone(picture: np.ndarray) -> None:
    grey = Augmentation(flip=False, grey=1.0).crop(picture, BOX, PREPROCESS, np.random.default_rng(0))
    assert np.ptp(grey.astype(int), axis=2).max() <= 1
    flat = np.full((120, 120, 3), 90, np.uint8)
    turned = Augmentation(flip=False, hue=0.5).crop(flat, BOX, PREPROCESS, np.random.default_rng(3))
    assert np.abs(turned.astype(int) - 90).max() <= 1


def test_noise_grows_with_its_strength(picture: np.ndarray) -> None:
    def deviation(noise: float) -> float:
        plain = loose_crop(picture, BOX, PREPROCESS).astype(float)
        crops = [
            Augmentation(flip=False, noise=noise).crop(picture, BOX, PREPROCESS, np.random.default_rng(s))
            for s in range(12)
        ]
        return float(np.mean([np.abs(crop - plain).mean() for crop in crops]))

    assert deviation(0) < 0.6 < deviation(8) < deviation(24)
