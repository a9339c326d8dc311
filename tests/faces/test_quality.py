from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from ostiary.errors import ConfigurationError, ImageError, InputError
from ostiary.faces.detector import Box, FaceDetector
from ostiary.faces.quality import (
    CAUSES,
    MEAN_FACE,
    Pose,
    Quality,
    QualityLimits,
    causes,
    measure,
    picture_causes,
    pose,
)
from ostiary.images import read_image

PORTRAITS = ("astronaut.png", "grace_hopper.jpg")
LIMITS = QualityLimits()
GOOD = Quality(100, 46, 180, 110, 0, 0.55, 0, Pose(0, 0, 0))


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector()


@pytest.fixture(scope="module", params=PORTRAITS)
def portrait(request: pytest.FixtureRequest, pictures: Path) -> np.ndarray:
    return read_image(pictures / request.param)


def seen(detector: FaceDetector, image: np.ndarray) -> Quality:
    (face,) = detector.detect(image)
    return measure(image, face.box, face.landmarks)


def told(detector: FaceDetector, image: np.ndarray) -> tuple[str, ...]:
    return causes(seen(detector, image), LIMITS)


def darker(image: np.ndarray, gain: float) -> np.ndarray:
    return (image * gain).astype(np.uint8)


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(sigma)))


def resized(image: np.ndarray, factor: float) -> np.ndarray:
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def noisy(image: np.ndarray, deviation: float) -> np.ndarray:
    noise = np.random.default_rng(3).normal(0, deviation, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def turned(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """The mean face in space, turned by roll, then yaw, then pitch about its own axes: (5, 3), z away."""
    a, b, c = np.radians([-yaw, -pitch, roll])
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return MEAN_FACE @ (about_z @ about_y @ about_x).T


class TestEachCause:
    def test_a_good_portrait_has_none(self, detector: FaceDetector, portrait: np.ndarray) -> None:
        assert told(detector, portrait) == ()

    def test_small(self, detector: FaceDetector, portrait: np.ndarray) -> None:
        factor = 28 / seen(detector, portrait).face_width
        assert told(detector, resized(portrait, factor)) == ("too_small",)

    def test_dark(self, detector: FaceDetector, portrait: np.ndarray) -> None:
        assert told(detector, darker(portrait, 0.5)) == ()
        assert told(detector, darker(portrait, 0.15)) == ("too_dark",)

    def test_bright(self, detector: FaceDetector, portrait: np.ndarray) -> None:
        dazzled = np.clip(portrait * 2.2 + 40.0, 0, 255).astype(np.uint8)
        assert told(detector, dazzled) == ("too_bright",)

    def test_blur(self, detector: FaceDetector, portrait: np.ndarray) -> None:
        width = seen(detector, portrait).face_width
        assert told(detector, blurred(portrait, 0.01 * width)) == ()
        assert told(detector, blurred(portrait, 0.06 * width)) == ("blurred",)

    @pytest.mark.parametrize("side", ["left", "top", "bottom"])
    def test_cut_off(self, detector: FaceDetector, portrait: np.ndarray, side: str) -> None:
        box = detector.detect(portrait)[0].box
        x, y = round(box.x + box.width / 2), round(box.y + box.height / 2)
        half = {"left": portrait[:, x:], "top": portrait[y:], "bottom": portrait[:y]}
        quality = seen(detector, np.ascontiguousarray(half[side]))
        assert causes(quality, LIMITS) == ("cut_off",)
        assert quality.beyond_border == pytest.approx(0.5, abs=0.15)

    @pytest.mark.parametrize("angles", [(65, 0, 0), (-65, 0, 0), (0, 50, 0), (0, -50, 0), (0, 0, 45)])
    def test_turned(self, detector: FaceDetector, portrait: np.ndarray, angles: tuple[int, int, int]) -> None:
        face = detector.detect(portrait)[0]
        points = turned(*angles)[:, :2] * 0.45 * face.box.width + face.landmarks[:2].mean(axis=0)
        assert causes(measure(portrait, face.box, points), LIMITS) == ("turned_away",)

    def test_a_face_lit_from_one_side_is_not_dark(self, detector: FaceDetector, portrait: np.ndarray) -> None:
        box = detector.detect(portrait)[0].box
        shadow = np.clip((np.arange(portrait.shape[1]) - box.x) / box.width, 0.1, 1)[None, :, None]
        lit = (portrait * shadow).astype(np.uint8)
        assert causes(measure(lit, box), LIMITS) == ()


class TestCauses:
    def test_all_at_once_come_in_the_order_of_judgement(self) -> None:
        worst = Quality(10, 5, 20, 5, 0.9, 0.1, 0.9, Pose(80, 80, 80))
        assert causes(worst, LIMITS) == CAUSES
        assert causes(GOOD, LIMITS) == ()

    @pytest.mark.parametrize(
        ("change", "cause"),
        [
            ({"face_width": 31.9}, "too_small"),
            ({"brightness": 34.9}, "too_dark"),
            ({"brightness": 90, "contrast": 14.9}, "too_dark"),
            ({"brightness": 200, "contrast": 14.9}, "too_bright"),
            ({"clipped": 0.51}, "too_bright"),
            ({"beyond_border": 0.31}, "cut_off"),
            ({"sharpness": 0.369}, "blurred"),
            ({"pose": Pose(-50.1, 0, 0)}, "turned_away"),
            ({"pose": Pose(0, 35.1, 0)}, "turned_away"),
            ({"pose": Pose(0, 0, -30.1)}, "turned_away"),
        ],
    )
    def test_each_limit_has_its_cause(self, change: dict[str, object], cause: str) -> None:
        assert causes(replace(GOOD, **change), LIMITS) == (cause,)

    def test_a_value_at_its_limit_passes(self) -> None:
        edge = Quality(32, 14, 35, 15, 0.5, 0.37, 0.3, Pose(50, -35, 30))
        assert causes(edge, LIMITS) == ()

    def test_limits_are_the_callers(self) -> None:
        assert causes(GOOD, QualityLimits(face_width=101)) == ("too_small",)
        assert causes(replace(GOOD, brightness=20), QualityLimits(brightness=0)) == ()

    def test_without_landmarks_only_the_pose_is_unknown(self, portrait: np.ndarray) -> None:
        box = Box(150, 60, 120, 150)
        known, unknown = measure(portrait, box, turned(0, 0, 0)[:, :2] * 50 + 200), measure(portrait, box)
        assert replace(known, eye_distance=None, pose=None) == unknown
        assert causes(replace(GOOD, eye_distance=None, pose=None), LIMITS) == ()


class TestMeasures:
    def test_a_darker_picture_is_darker_whatever_the_step(self, portrait: np.ndarray) -> None:
        box = Box(180, 110, 160, 200)
        levels = [measure(darker(portrait, gain), box).brightness for gain in (1, 0.8, 0.5, 0.2, 0.05, 0)]
        assert levels == sorted(levels, reverse=True)
        assert levels[0] > 150
        assert levels[-1] == 0

    def test_a_blurred_picture_is_less_sharp_whatever_the_step(
        self, detector: FaceDetector, portrait: np.ndarray
    ) -> None:
        box = detector.detect(portrait)[0].box
        steps = [measure(blurred(portrait, s / 100 * box.width), box).sharpness for s in (0, 1, 2, 3, 4, 6, 8)]
        assert all(sharp > soft for sharp, soft in pairwise(steps))

    @pytest.mark.parametrize("factor", [0.5, 0.8, 1.7])
    def test_the_size_of_the_face_hardly_matters(
        self, detector: FaceDetector, portrait: np.ndarray, factor: float
    ) -> None:
        box = detector.detect(portrait)[0].box
        scaled = Box(*(value * factor for value in box))
        one, other = measure(portrait, box), measure(resized(portrait, factor), scaled)
        assert other.sharpness == pytest.approx(one.sharpness, abs=0.05)
        assert other.brightness == pytest.approx(one.brightness, abs=4)
        assert other.face_width == pytest.approx(factor * one.face_width)

    def test_noise_does_not_make_a_blurred_face_sharp(self, detector: FaceDetector, portrait: np.ndarray) -> None:
        box = detector.detect(portrait)[0].box
        soft = blurred(portrait, 0.06 * box.width)
        assert measure(noisy(soft, 8), box).sharpness < LIMITS.sharpness
        assert measure(noisy(portrait, 8), box).sharpness == pytest.approx(
            measure(portrait, box).sharpness, abs=0.02
        )

    def test_flat_grey(self) -> None:
        flat = measure(np.full((100, 100, 3), 90, np.uint8), Box(20, 20, 50, 60))
        assert (flat.brightness, flat.contrast, flat.clipped) == (90, 0, 0)
        assert flat.sharpness == pytest.approx(0)

    def test_the_corners_of_the_box_do_not_count(self) -> None:
        image = np.full((100, 100, 3), 255, np.uint8)
        rows, columns = np.mgrid[:100, :100]
        image[((rows - 50) / 40) ** 2 + ((columns - 50) / 30) ** 2 <= 1] = 60
        quality = measure(image, Box(20, 10, 60, 80))
        assert (quality.brightness, quality.clipped) == (60, 0)

    def test_plain_values(self, detector: FaceDetector, portrait: np.ndarray) -> None:
        plain = seen(detector, portrait).to_dict()
        assert json.loads(json.dumps(plain)) == plain
        assert {"face_width", "brightness", "sharpness", "beyond_border", "yaw", "pitch", "roll"} <= set(plain)
        assert replace(GOOD, pose=None).to_dict()["yaw"] is None

    @pytest.mark.parametrize(
        ("box", "share"),
        [
            (Box(20, 20, 40, 52), 0.0),  # inside
            (Box(-20, 20, 40, 52), 0.5),  # reaches beyond
            (Box(0, 20, 20, 52), 0.5),  # ends at the border, and is half as wide as a face
            (Box(20, 74, 40, 26), 0.5),  # half as high
            (Box(30, 20, 20, 52), 0.0),  # slim, but far from the border
        ],
    )
    def test_beyond_the_border(self, box: Box, share: float) -> None:
        assert measure(np.zeros((100, 100, 3), np.uint8), box).beyond_border == pytest.approx(share, abs=0.01)

    def test_what_cannot_be_measured_is_refused(self) -> None:
        with pytest.raises(ImageError):
            measure(np.zeros((9, 9), np.uint8), Box(1, 1, 5, 5))
        with pytest.raises(InputError):
            measure(np.zeros((9, 9, 3), np.uint8), Box(1, 1, 0, 5))


class TestPose:
    @settings(deadline=None)
    @given(st.floats(-80, 80), st.floats(-80, 80), st.floats(-170, 170), st.floats(1, 500), st.floats(-1000, 1000))
    def test_a_turned_face_is_found_at_its_angles(
        self, yaw: float, pitch: float, roll: float, scale: float, shift: float
    ) -> None:
        found = pose(turned(yaw, pitch, roll)[:, :2] * scale + shift)
        assert found == pytest.approx((yaw, pitch, roll), abs=1e-3)

    def test_signs(self) -> None:
        """Nose to the right of the picture, nose up, left eye (on the right) lower."""
        straight, right, up, clockwise = (turned(*a) for a in [(0, 0, 0), (30, 0, 0), (0, 30, 0), (0, 0, 30)])
        assert right[2, 0] > straight[2, 0]
        assert up[2, 1] < straight[2, 1]
        assert clockwise[1, 1] > clockwise[0, 1]

    @pytest.mark.parametrize("points", [np.zeros((5, 2)), np.stack([np.arange(5.0)] * 2, axis=1)])
    def test_points_on_a_spot_or_a_line_have_no_pose(self, points: np.ndarray) -> None:
        assert pose(points) is None
        black = np.zeros((50, 50, 3), np.uint8)
        assert "turned_away" not in causes(measure(black, Box(5, 5, 30, 40), points), LIMITS)


class TestPictureWithoutFace:
    @pytest.mark.parametrize(("level", "found"), [(0, ("too_dark",)), (90, ()), (255, ("too_bright",))])
    def test_the_light_of_the_whole(self, level: int, found: tuple[str, ...]) -> None:
        assert picture_causes(np.full((300, 400, 3), level, np.uint8), LIMITS) == found

    def test_a_lamp_does_not_light_a_room(self) -> None:
        room = np.full((300, 400, 3), 8, np.uint8)
        room[:40, :60] = 255
        assert picture_causes(room, LIMITS) == ("too_dark",)


class TestLimits:
    @pytest.mark.parametrize(
        "limits",
        [{"brightness": -1}, {"brightness": 256}, {"clipped": 1.5}, {"sharpness": float("nan")}, {"yaw": 91}],
    )
    def test_impossible_ones_are_refused_by_name(self, limits: dict[str, float]) -> None:
        with pytest.raises(ConfigurationError, match=f"limit {next(iter(limits))} is"):
            QualityLimits(**limits)
