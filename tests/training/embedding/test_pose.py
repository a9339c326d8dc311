"""Misplaced landmarks: small, centred, and the same from the same generator."""

from __future__ import annotations

import numpy as np
import pytest

from ostiary.training.embedding.pose import Misalignment

CROP = np.full((112, 112, 3), 200, np.uint8)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_none_is_the_picture_itself() -> None:
    assert Misalignment()(CROP, rng()) is CROP


def test_the_same_generator_gives_the_same_picture() -> None:
    jitter = Misalignment(turn=10, zoom=1.1, shift=4)
    crop = rng(1).integers(0, 256, CROP.shape).astype(np.uint8)
    assert np.array_equal(jitter(crop, rng()), jitter(crop, rng()))
    assert not np.array_equal(jitter(crop, rng()), jitter(crop, rng(5)))


@pytest.mark.parametrize(
    ("jitter", "furthest"),
    [
        (Misalignment(shift=6), 6 * 2**0.5),
        (Misalignment(turn=10), 30 * np.radians(10)),
        (Misalignment(zoom=1.2), 30 * 0.2),
    ],
)
def test_a_spot_moves_as_far_as_is_allowed_and_no_further(jitter: Misalignment, furthest: float) -> None:
    """A spot 30 pixels from the middle, followed over many draws."""
    crop = np.zeros_like(CROP)
    crop[54:58, 84:88] = 255
    moved = []
    for seed in range(60):
        rows, columns = np.nonzero(jitter(crop, rng(seed))[..., 0] > 100)
        moved.append(np.hypot(rows.mean() - 55.5, columns.mean() - 85.5))
    assert max(moved) < furthest + 1
    assert max(moved) > furthest / 2


def test_what_lies_outside_is_black() -> None:
    corners = [
        Misalignment(turn=20, shift=10)(CROP, rng(seed))[[0, 0, -1, -1], [0, -1, 0, -1]] for seed in range(9)
    ]
    assert min(corner.min() for corner in corners) == 0
