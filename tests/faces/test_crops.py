from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ostiary.errors import ImageError, InputError
from ostiary.faces.crops import TEMPLATE, aligned_crop, loose_crop, loose_square
from ostiary.faces.detector import Box
from ostiary.faces.preprocess import Preprocess
from ostiary.images import read_image

LOOSE = Preprocess(crop="loose", size=64, scale=1.5)
ALIGNED = Preprocess(crop="aligned", size=112)
FACE = Box(179.31, 62.82, 89.32, 111.56)
"""The astronaut's."""
LANDMARKS = np.array([(203.39, 101.34), (245.20, 101.70), (223.07, 124.81), (203.24, 144.06), (239.99, 142.22)])

sides = st.integers(1, 90)
positions = st.floats(-200, 200)
lengths = st.floats(0.01, 150)
boxes = st.builds(Box, positions, positions, lengths, lengths)


@pytest.fixture(scope="module")
def astronaut(pictures: Path) -> np.ndarray:
    return read_image(pictures / "astronaut.png")


def smooth(width: int, height: int) -> np.ndarray:
    """A picture without sharp edges, so that a shift of a hundredth of a pixel stays below a grey level."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 9 + 1) + np.cos(y / 7), np.sin((x + y) / 11), np.cos((x - 2 * y) / 13)]
    return np.clip(np.stack(waves, axis=-1) * 60 + 127, 0, 255).astype(np.uint8)


def reference(image: np.ndarray, square: tuple[float, float, float], size: int) -> np.ndarray:
    """The loose crop written out as two matrices of triangle weights, in double precision."""
    left, top, side = square

    def weights(start: float, length: int) -> np.ndarray:
        step = side / size
        pixels = np.arange(min(0, math.floor(start + 1e-6)), max(length, math.ceil(start + side - 1e-6)))
        centres = start + (np.arange(size) + 0.5) * step
        triangle = np.clip(1 - np.abs(pixels + 0.5 - centres[:, None]) / max(1, step), 0, None)
        matrix = np.zeros((length, size))
        np.add.at(matrix, np.clip(pixels, 0, length - 1), (triangle / triangle.sum(1, keepdims=True)).T)
        return matrix.T

    height, width = image.shape[:2]
    rows, columns = weights(top, height), weights(left, width)
    return np.stack([rows @ image[..., channel] @ columns.T for channel in range(3)], axis=-1)


class TestLooseSquare:
    @pytest.mark.parametrize(
        ("shape", "box", "scale", "square"),
        [
            ((240, 320), Box(100, 80, 40, 60), 1.5, (75, 65, 90)),  # room on all sides
            ((240, 320), Box(0, 0, 40, 60), 1.5, (0, 0, 90)),  # shifted into the picture
            ((240, 320), Box(290, 200, 40, 60), 1.5, (230, 150, 90)),  # the same at the far corner
            ((240, 320), Box(100, 40, 100, 150), 2.0, (30, 0, 240)),  # shrunk to the shorter side
            ((160, 160), Box(15, 5, 130, 155), 1.5, (0, 0, 160)),  # a tight crop: no padding at all
            ((160, 120), Box(0, 0, 120, 150), 1.5, (-15, 0, 150)),  # never smaller than the box
            ((100, 100), Box(-20, -20, 140, 140), 1.5, (-20, -20, 140)),  # box larger than the picture
            ((100, 100), Box(500, -900, 10, 10), 1.0, (90, 0, 10)),  # box far outside
        ],
    )
    def test_by_hand(
        self, shape: tuple[int, int], box: Box, scale: float, square: tuple[float, float, float]
    ) -> None:
        assert loose_square(shape, box, scale) == pytest.approx(square)

    @given(sides, sides, boxes, st.floats(1, 8))
    def test_it_is_as_large_as_it_may_and_inside_where_it_fits(
        self, width: int, height: int, box: Box, scale: float
    ) -> None:
        longest = max(box.width, box.height)
        if longest > 4 * max(width, height):
            return
        left, top, side = loose_square((height, width), box, scale)
        assert longest <= side <= max(longest, min(width, height))
        assert side <= scale * longest * (1 + 1e-12)
        for start, length in ((left, width), (top, height)):
            assert min(0, length - side) <= start <= max(0, length - side)


class TestLooseCrop:
    @pytest.mark.parametrize("size", [32, 128, 224])
    @pytest.mark.parametrize("scale", [1.0, 1.5, 2.7, 6.0])
    def test_it_is_the_reference_to_one_grey_level(self, astronaut: np.ndarray, size: int, scale: float) -> None:
        crop = loose_crop(astronaut, FACE, Preprocess(crop="loose", size=size, scale=scale))
        square = loose_square(astronaut.shape[:2], FACE, scale)
        assert np.abs(crop - reference(astronaut, square, size)).max() <= 1.01

    @settings(deadline=None, max_examples=60)
    @given(sides, sides, boxes)
    def test_it_is_the_reference_wherever_the_box_lies(self, width: int, height: int, box: Box) -> None:
        if max(box.width, box.height) > 4 * max(width, height):
            return
        image = np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)
        crop = loose_crop(image, box, LOOSE)
        assert crop.shape == (64, 64, 3)
        assert crop.dtype == np.uint8
        square = loose_square((height, width), box, LOOSE.scale)
        assert np.abs(crop - reference(image, square, 64)).max() <= 1.5

    def test_without_padding_it_is_one_resize_of_pillow(self, astronaut: np.ndarray) -> None:
        left, top, side = loose_square(astronaut.shape[:2], FACE, 1.5)
        area = (left, top, left + side, top + side)
        for name in ("bilinear", "bicubic", "box"):
            record = Preprocess(crop="loose", size=80, scale=1.5, interpolation=name)
            filter_ = Image.Resampling[name.upper()]
            resized = np.asarray(Image.fromarray(astronaut).resize((80, 80), filter_, box=area))
            crop = loose_crop(astronaut, FACE, record)
            assert np.abs(crop.astype(int) - resized).max() <= 1

    @settings(deadline=None)
    @given(boxes, st.integers(0, 255))
    def test_a_constant_picture_gives_a_constant_crop(self, box: Box, level: int) -> None:
        assert (loose_crop(np.full((60, 80, 3), level, np.uint8), box, LOOSE) == level).all()

    @settings(deadline=None)
    @given(boxes)
    def test_mirrored_picture_and_box_give_the_mirrored_crop(self, box: Box) -> None:
        image = smooth(100, 70)
        mirrored = box._replace(x=100 - box.x - box.width)
        there = loose_crop(image[:, ::-1], mirrored, LOOSE)[:, ::-1]
        assert np.abs(there.astype(int) - loose_crop(image, box, LOOSE)).max() <= 1

    @settings(deadline=None)
    @given(boxes)
    def test_a_turned_picture_gives_the_turned_crop(self, box: Box) -> None:
        image = smooth(100, 70)
        turned = Box(box.y, box.x, box.height, box.width)
        there = loose_crop(image.swapaxes(0, 1), turned, LOOSE).swapaxes(0, 1)
        assert np.abs(there.astype(int) - loose_crop(image, box, LOOSE)).max() <= 1

    def test_the_resolution_of_the_picture_hardly_matters(self, astronaut: np.ndarray) -> None:
        large = np.asarray(Image.fromarray(astronaut).resize((1536, 1536), Image.Resampling.BICUBIC))
        crop = loose_crop(astronaut, FACE, LOOSE)
        there = loose_crop(large, Box(*(3 * value for value in FACE)), LOOSE)
        assert np.abs(there.astype(int) - crop).mean() < 1.5

    def test_a_tenth_of_a_pixel_is_seen(self) -> None:
        ramp = np.broadcast_to(np.arange(0, 250, 2, dtype=np.uint8)[None, :, None], (125, 125, 3))
        record = Preprocess(crop="loose", size=40, scale=1.0)
        here = loose_crop(ramp, Box(30, 30, 40, 40), record).astype(float)
        there = loose_crop(ramp, Box(30.5, 30, 40, 40), record).astype(float)
        assert (there - here)[:, 1:-1].mean() == pytest.approx(1.0, abs=0.01)

    def test_the_picture_is_not_changed_and_threads_agree(self, astronaut: np.ndarray) -> None:
        before = astronaut.copy()
        crop = loose_crop(astronaut, FACE, LOOSE)
        with ThreadPoolExecutor(4) as pool:
            crops = list(pool.map(lambda _: loose_crop(astronaut, FACE, LOOSE), range(32)))
        assert all(np.array_equal(crop, other) for other in crops)
        assert np.array_equal(astronaut, before)

    def test_a_face_in_a_huge_photo_costs_no_more_than_in_a_frame(self) -> None:
        frame, photo = np.zeros((240, 320, 3), np.uint8), np.zeros((6000, 8000, 3), np.uint8)

        def least(image: np.ndarray) -> float:
            return min(seconds(lambda: loose_crop(image, Box(100, 60, 90, 110), LOOSE)) for _ in range(20))

        assert least(photo) < 5 * least(frame)

    @pytest.mark.parametrize("shape", [(1, 60_000), (60_000, 1)])
    def test_padding_a_thin_picture_does_not_fill_the_memory(self, shape: tuple[int, int]) -> None:
        crop = loose_crop(np.full((*shape, 3), 9, np.uint8), Box(0, 0, 100_000, 100_000), LOOSE)
        assert (crop == 9).all()

    @pytest.mark.parametrize(
        ("box", "reason"),
        [
            (Box(1, 1, 0, 5), "is empty"),
            (Box(1, 1, 5, -2), "is empty"),
            (Box(math.nan, 1, 5, 5), "not finite"),
            (Box(1, 1, math.inf, 5), "not finite"),
            (Box(1, 1, 1e9, 5), "4 times"),
        ],
    )
    def test_an_impossible_box_is_refused(self, box: Box, reason: str) -> None:
        with pytest.raises(InputError, match=reason):
            loose_crop(np.zeros((40, 50, 3), np.uint8), box, LOOSE)

    def test_what_is_no_image_is_refused(self) -> None:
        with pytest.raises(ImageError):
            loose_crop(np.zeros((40, 50, 3), np.float32), Box(1, 1, 5, 5), LOOSE)


class TestAlignedCrop:
    def test_opencv_warps_to_the_same(self, astronaut: np.ndarray) -> None:
        crop = aligned_crop(astronaut, LANDMARKS, ALIGNED)
        warped = cv2.warpAffine(astronaut, least_squares(LANDMARKS, TEMPLATE), (112, 112))
        difference = np.abs(crop.astype(int) - warped)
        assert difference.mean() < 0.5
        assert np.quantile(difference, 0.99) <= 3

    @pytest.mark.parametrize("size", [64, 112, 224])
    def test_the_template_itself_is_the_identity(self, size: int) -> None:
        image = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
        crop = aligned_crop(image, TEMPLATE * size / 112, Preprocess(crop="aligned", size=size))
        assert np.abs(crop.astype(int) - image).max() <= 1

    @settings(deadline=None, max_examples=40)
    @given(st.floats(-math.pi, math.pi), st.floats(0.7, 6), st.floats(-50, 50), st.floats(-50, 50))
    def test_turned_scaled_and_shifted_landmarks_see_the_same_face(
        self, angle: float, scale: float, x: float, y: float
    ) -> None:
        """Coordinates are painted into the picture, so each pixel of the crop tells where it came from."""
        side = 901
        grey = np.linspace(0, 255, side)
        image = np.stack([np.tile(grey, (side, 1)), np.tile(grey, (side, 1)).T, np.zeros((side, side))], -1)
        turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        middle = np.array([56.0, 56.0])
        landmarks = (TEMPLATE - middle) @ turn.T + [450 + x, 450 + y]
        crop = aligned_crop(image.round().astype(np.uint8), landmarks, ALIGNED).astype(float)
        for point in ([56, 56], [45, 56], [60, 70]):
            source = turn @ (point - middle) + [450 + x, 450 + y]
            expected = source * 255 / (side - 1)
            # Rounding of the painted picture (1/2), of the reduction (1/2), and the warp cuts off (1).
            assert crop[point[1], point[0], :2] == pytest.approx(expected, abs=2)

    def test_a_large_face_is_averaged_not_sampled(self) -> None:
        noise = np.random.default_rng(1).integers(0, 256, (1400, 1400, 3), dtype=np.uint8)
        crop = aligned_crop(noise, TEMPLATE * 12, ALIGNED)
        assert crop[5:-5, 5:-5].std() < 74 / 8  # 74: of uniform noise; 12 x 12 pixels at least are averaged

    def test_the_resolution_of_the_picture_hardly_matters(self, astronaut: np.ndarray) -> None:
        large = np.asarray(Image.fromarray(astronaut).resize((2048, 2048), Image.Resampling.BICUBIC))
        crop = aligned_crop(large, (LANDMARKS + 0.5) * 4 - 0.5, ALIGNED)
        assert np.abs(crop.astype(int) - aligned_crop(astronaut, LANDMARKS, ALIGNED)).mean() < 3

    def test_outside_the_picture_is_black(self) -> None:
        white = np.full((112, 112, 3), 255, np.uint8)
        half = aligned_crop(white, TEMPLATE - [56, 0], ALIGNED)
        assert (half[:, 60:] == 255).all()
        assert (half[:, :52] == 0).all()
        assert not aligned_crop(white, TEMPLATE + 5000, ALIGNED).any()

    @pytest.mark.parametrize(
        "landmarks",
        [TEMPLATE[:4], TEMPLATE.ravel(), np.full((5, 2), 7.0), np.full((5, 2), np.nan), TEMPLATE * np.inf],
    )
    def test_impossible_landmarks_are_refused(self, landmarks: np.ndarray) -> None:
        with pytest.raises(InputError, match="andmarks"):
            aligned_crop(np.zeros((112, 112, 3), np.uint8), landmarks, ALIGNED)


def least_squares(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The similarity transform as a 2x3 matrix, by a plain linear solver."""
    x, y = source.T
    one, zero = np.ones(5), np.zeros(5)
    equations = np.concatenate([np.stack([x, -y, one, zero], -1), np.stack([y, x, zero, one], -1)])
    a, b, c, d = np.linalg.lstsq(equations, target.T.ravel(), rcond=None)[0]
    return np.array([[a, -b, c], [b, a, d]])


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start
