from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.faces.detector import Box
from ostiary.images import read_image
from ostiary.reports.degradations import (
    AXES,
    farther_away,
    other_light,
    out_of_focus,
    slipped_box,
    through_jpeg,
)

BOX = Box(176, 72, 89, 112)


@pytest.fixture(scope="module")
def portrait(pictures: Path) -> np.ndarray:
    return read_image(pictures / "astronaut.png")


@pytest.mark.parametrize("change", [through_jpeg, out_of_focus])
def test_each_step_takes_more_of_the_picture(portrait: np.ndarray, change: object) -> None:
    axis = next(axis for axis in AXES if axis.change is change)
    before = portrait.copy()
    harm = []
    for level in axis.levels:
        changed, box = axis.change(portrait, BOX, level, "a.png")
        assert box == BOX
        harm.append(np.abs(changed.astype(int) - portrait).mean())
    assert harm == sorted(harm)
    assert harm[0] < harm[-1] / 2
    np.testing.assert_array_equal(portrait, before)


def test_a_face_is_made_so_many_pixels_wide(portrait: np.ndarray) -> None:
    small, box = farther_away(portrait, BOX, 48)
    assert box.width == pytest.approx(48, abs=0.1)
    assert box.x / small.shape[1] == pytest.approx(BOX.x / portrait.shape[1])
    assert box.height / small.shape[0] == pytest.approx(BOX.height / portrait.shape[0])
    assert farther_away(portrait, BOX, 96) == (portrait, BOX)


def test_light_is_halved_in_the_linear_scale() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    np.testing.assert_array_equal(other_light(levels, BOX, 0)[0], levels)
    white = np.full((1, 1, 3), 255, np.uint8)
    assert other_light(white, BOX, -1)[0][0, 0].tolist() == [188] * 3  # sRGB code of half the light
    assert other_light(white, BOX, -2)[0][0, 0].tolist() == [137] * 3
    assert other_light(np.full((1, 1, 3), 188, np.uint8), BOX, 1)[0][0, 0].tolist() == [255] * 3


@given(st.text(max_size=20), st.sampled_from((0.05, 0.1, 0.2)))
def test_a_box_slips_by_its_share_in_a_direction_of_its_own(name: str, share: float) -> None:
    _, moved = slipped_box(np.zeros((4, 4, 3), np.uint8), BOX, share, name)
    dx = (moved.x + moved.width / 2 - BOX.x - BOX.width / 2) / BOX.width
    dy = (moved.y + moved.height / 2 - BOX.y - BOX.height / 2) / BOX.height
    assert np.hypot(dx, dy) == pytest.approx(share)
    zoom = moved.width / BOX.width
    assert max(zoom, 1 / zoom) == pytest.approx(1 + share)
    assert moved.height / BOX.height == pytest.approx(zoom)
    _, twice = slipped_box(np.zeros((4, 4, 3), np.uint8), BOX, 2 * share, name)
    turned = np.arctan2(
        (twice.y + twice.height / 2 - 128) / BOX.height, (twice.x + twice.width / 2 - 220.5) / BOX.width
    )
    assert np.cos(turned - np.arctan2(dy, dx)) == pytest.approx(1)


def test_boxes_of_many_pictures_slip_in_all_directions() -> None:
    boxes = [slipped_box(np.zeros((4, 4, 3), np.uint8), BOX, 0.1, f"{i}.png")[1] for i in range(400)]
    shifts = [(box.x + box.width / 2 - 220.5) / BOX.width for box in boxes]
    assert abs(np.mean(shifts)) < 0.01
    assert 0.4 < np.mean([box.width > BOX.width for box in boxes]) < 0.6


@given(
    st.sampled_from([(axis, level) for axis in AXES for level in axis.levels]),
    st.tuples(st.integers(1, 80), st.integers(1, 80)),
    st.tuples(st.floats(-20, 60), st.floats(-20, 60), st.floats(1, 90), st.floats(1, 90)),
)
def test_every_level_keeps_the_contract(
    step: tuple[object, float], size: tuple[int, int], box: tuple[float, float, float, float]
) -> None:
    axis, level = step
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    changed, moved = axis.change(picture, Box(*box), level, "name")  # type: ignore[attr-defined]
    again, _ = axis.change(picture, Box(*box), level, "name")  # type: ignore[attr-defined]
    assert changed.dtype == np.uint8
    assert changed.ndim == 3
    assert changed.shape[2] == 3
    assert min(changed.shape) > 0
    assert np.isfinite(moved).all()
    assert min(moved.width, moved.height) > 0
    np.testing.assert_array_equal(changed, again)


def test_levels_in_words() -> None:
    words = [axis.describe(axis.levels[0]) for axis in AXES]
    assert words == [
        "JPEG of quality 90",
        "a face 96 pixels wide",
        "-4 stops of light",
        "a box off by 5%",
        "a blur of 0.5% of the face",
    ]
