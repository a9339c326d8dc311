"""Changes of whole batches: the pixels that the one-picture changes give, or nearly; drawn from the seed alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from torch import Tensor

from ostiary.training.augment import Augmentation
from ostiary.training.embedding.pose import Misalignment
from ostiary.training.embedding.tensor_changes import Draws, blurred_batch, changed_batch, compressed_batch
from ostiary.training.recapture import compressed

CPU = torch.device("cpu")
STILL = {"flip": False}


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """A face of 112 pixels, out of the public-domain portrait among the test pictures."""
    picture = Image.open("tests/data/astronaut.png").convert("RGB").crop((150, 0, 374, 224))
    return np.asarray(picture.resize((112, 112), Image.Resampling.BOX))


def batch(*pictures: np.ndarray) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()


def pixels(crops: Tensor) -> np.ndarray:
    return crops.permute(0, 2, 3, 1).numpy()


def changed(crops: Tensor, seed: int = 0, misalignment: Misalignment | None = None, **strengths: Any) -> Tensor:
    augmentation = Augmentation(**(STILL | strengths))
    return changed_batch(crops, augmentation, misalignment or Misalignment(), Draws([seed], CPU))


@pytest.mark.parametrize("quality", [25, 50, 80, 95])
def test_jpeg_loses_what_a_written_file_loses(photo: np.ndarray, quality: int) -> None:
    found = pixels(compressed_batch(batch(photo), torch.tensor([float(quality)])))[0]
    written = compressed(photo, quality).astype(float)
    lost = np.abs(written - photo).mean()
    assert np.abs(found - written).mean() < 0.5 * lost
    assert np.abs(found - photo).mean() == pytest.approx(lost, rel=0.15)


def test_each_picture_has_its_own_quality(photo: np.ndarray) -> None:
    both = compressed_batch(batch(photo, photo), torch.tensor([30.0, 90.0]))
    assert torch.equal(both[1:], compressed_batch(batch(photo), torch.tensor([90.0])))
    assert not torch.equal(both[0], both[1])


@pytest.mark.parametrize("deviation", [0.5, 1.0, 1.6])
def test_blur_is_pillows(photo: np.ndarray, deviation: float) -> None:
    found = pixels(blurred_batch(batch(photo), torch.tensor([deviation])))[0]
    expected = np.asarray(Image.fromarray(photo).filter(ImageFilter.GaussianBlur(deviation))).astype(float)
    assert np.abs(found - expected).mean() < 0.7


def test_no_blur_leaves_a_picture_as_it_is(photo: np.ndarray) -> None:
    assert torch.allclose(blurred_batch(batch(photo), torch.zeros(1)), batch(photo), atol=1e-3)


def test_nothing_asked_for_is_nothing_changed(photo: np.ndarray) -> None:
    assert torch.allclose(changed(batch(photo)), batch(photo), atol=2e-2)


def test_a_shift_moves_by_so_many_pixels_and_shows_black() -> None:
    dot = torch.zeros(16, 3, 112, 112)
    dot[:, :, 56, 56] = 255
    seen = changed(dot, misalignment=Misalignment(shift=6))
    places = [divmod(int(one.mean(0).argmax()), 112) for one in seen]
    assert all(abs(row - 56) <= 6 and abs(column - 56) <= 6 for row, column in places)
    assert len(set(places)) > 8
    edges = changed(torch.full((16, 3, 112, 112), 255.0), misalignment=Misalignment(shift=6))
    assert all((one == 0).any() and (one[:, 6:-6, 6:-6] > 254).all() for one in edges)


def test_a_turn_is_that_of_the_single_picture(photo: np.ndarray) -> None:
    """The same angle, by hand: the batch's own drawing is looked for among all angles that it may have."""
    (seen,) = pixels(changed(batch(photo), seed=4, misalignment=Misalignment(turn=10)))
    angles = np.linspace(-10, 10, 401)
    turned = [Image.fromarray(photo).rotate(angle, Image.Resampling.BILINEAR) for angle in angles]
    off = [np.abs(np.asarray(one).astype(float) - seen)[16:-16, 16:-16].mean() for one in turned]
    assert min(off) < 0.6
    assert np.median(off) > 5


def test_about_half_are_mirrored(photo: np.ndarray) -> None:
    seen = changed(batch(*[photo] * 64), flip=True)
    mirrored = [torch.allclose(one, batch(photo[:, ::-1].copy())[0], atol=2e-2) for one in seen]
    as_they_were = [torch.allclose(one, batch(photo)[0], atol=2e-2) for one in seen]
    assert 16 < sum(mirrored) < 48
    assert sum(mirrored) + sum(as_they_were) == 64


def test_an_erased_rectangle_is_one_grey_and_no_larger_than_a_third(photo: np.ndarray) -> None:
    (seen,) = changed(batch(photo), erase=1.0)
    rows, columns = np.nonzero(((seen - batch(photo)[0]).abs() > 0.5).any(0).numpy())
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    inside = seen[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert max(height, width) <= 112 // 3 + 1
    assert (inside - inside[0, 0, 0]).abs().float().quantile(0.9) < 1


@pytest.mark.parametrize(
    "strengths",
    [{"brightness": 0.3}, {"gamma": 0.5}, {"gains": 0.2}, {"hue": 0.1}, {"saturation": 0.5}, {"grey": 1.0}],
)
def test_colours_change_within_the_range_that_the_single_picture_has(
    photo: np.ndarray, strengths: dict[str, float]
) -> None:
    """Means of the channels, over many drawings of both: neither goes where the other does not."""
    augmentation = Augmentation(flip=False, **strengths)
    single = np.stack([augmentation.change(photo, np.random.default_rng(seed)) for seed in range(200)])
    together = pixels(changed(batch(*[photo] * 200), **strengths))
    for statistic in (np.min, np.mean, np.max):
        expected = statistic(single.reshape(200, -1, 3).mean(1), axis=0)
        assert np.allclose(statistic(together.reshape(200, -1, 3).mean(1), axis=0), expected, atol=6)


def test_noise_is_as_strong_as_that_of_the_single_picture() -> None:
    grey = np.full((112, 112, 3), 128, np.uint8)
    augmentation = Augmentation(flip=False, noise=10)
    single = [augmentation.change(grey, np.random.default_rng(seed)).std() for seed in range(200)]
    together = pixels(changed(batch(*[grey] * 200), noise=10)).reshape(200, -1).std(1)
    assert np.mean(together) == pytest.approx(np.mean(single), rel=0.15)


@given(st.integers(0, 2**32), st.integers(1, 9))
@settings(max_examples=15, deadline=None)
def test_the_seed_decides_and_pixels_stay_pixels(seed: int, count: int) -> None:
    crops = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, 3, 112, 112))).float()
    strong = {"flip": True, "brightness": 0.4, "contrast": 0.4, "saturation": 0.5, "hue": 0.1, "gamma": 0.7} | {
        "gains": 0.2, "noise": 20.0, "blur": 0.5, "shrink": 0.5, "jpeg": 0.5, "sharpen": 0.5, "grey": 0.3,
        "erase": 0.5,
    }  # fmt: skip
    tilted = Misalignment(turn=15, zoom=1.2, shift=8)
    first, again = (changed(crops, seed, tilted, **strong) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == crops.shape
    assert first.min() >= 0
    assert first.max() <= 255
    assert not torch.equal(first, changed(crops, seed + 1, tilted, **strong))
