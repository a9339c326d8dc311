from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ostiary.errors import ConfigurationError, ImageError, WeightsError
from ostiary.faces import detector as detector_module
from ostiary.faces.detector import Box, Face, FaceDetector
from ostiary.images import read_image

WEIGHTS = Path(detector_module.__file__).parents[1] / "weights" / "face_detection_yunet.onnx"

PORTRAITS = {
    "astronaut.png": Box(179.3, 62.8, 89.3, 111.6),
    "grace_hopper.jpg": Box(175.6, 112.3, 174.6, 212.4),
}
"""What the packaged weights find at the default size."""


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector()


@pytest.fixture(scope="module")
def portraits(pictures: Path) -> dict[str, np.ndarray]:
    return {name: read_image(pictures / name) for name in PORTRAITS}


@pytest.fixture(scope="module")
def both(portraits: dict[str, np.ndarray]) -> np.ndarray:
    """The two portraits side by side: 512 pixels each, the left face the smaller."""
    left, right = portraits.values()
    return np.concatenate([left, right[:512]], axis=1)


def overlap(one: Box, other: Box) -> float:
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    common = max(0.0, width) * max(0.0, height)
    return common / (one.width * one.height + other.width * other.height - common)


def resized(image: np.ndarray, factor: float) -> np.ndarray:
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


class TestPortraits:
    @pytest.mark.parametrize("name", PORTRAITS)
    def test_the_box_to_a_pixel(self, detector: FaceDetector, portraits: dict[str, np.ndarray], name: str) -> None:
        (face,) = detector.detect(portraits[name])
        assert face.box == pytest.approx(PORTRAITS[name], abs=1)
        assert 0.9 < face.confidence <= 1

    @pytest.mark.parametrize("name", PORTRAITS)
    def test_the_landmarks_are_where_they_say(
        self, detector: FaceDetector, portraits: dict[str, np.ndarray], name: str
    ) -> None:
        (face,) = detector.detect(portraits[name])
        right_eye, left_eye, nose, right_mouth, left_mouth = face.landmarks
        assert face.landmarks.shape == (5, 2)
        assert face.landmarks.dtype == np.float32
        assert right_eye[0] < nose[0] < left_eye[0]  # the subject's right is on the picture's left
        assert right_mouth[0] < left_mouth[0]
        assert max(right_eye[1], left_eye[1]) < nose[1] < min(right_mouth[1], left_mouth[1])

    @pytest.mark.parametrize("factor", [0.2, 0.47, 2.0, 4.5])
    def test_the_size_of_the_picture_hardly_matters(
        self, detector: FaceDetector, portraits: dict[str, np.ndarray], factor: float
    ) -> None:
        for name, box in PORTRAITS.items():
            (face,) = detector.detect(resized(portraits[name], factor))
            assert overlap(Box(*(value / factor for value in face.box)), box) > 0.8

    def test_a_mirrored_portrait_has_the_mirrored_box(
        self, detector: FaceDetector, portraits: dict[str, np.ndarray]
    ) -> None:
        (face,) = detector.detect(np.ascontiguousarray(portraits["astronaut.png"][:, ::-1]))
        box = PORTRAITS["astronaut.png"]
        assert overlap(face.box, box._replace(x=512 - box.x - box.width)) > 0.85


class TestAgreementWithOpenCV:
    @pytest.mark.parametrize("height", [250, 333, 512])
    def test_same_faces_boxes_and_landmarks(self, both: np.ndarray, height: int) -> None:
        picture = resized(both, height / 512)
        longest = max(picture.shape)
        ours = FaceDetector(longest_side=longest).detect(picture)
        theirs = opencv_faces(picture)
        assert len(ours) == len(theirs) == 2
        for face, row in zip(ours, theirs, strict=True):
            assert face.box == pytest.approx(row[:4].tolist(), abs=1)
            assert np.abs(face.landmarks - row[4:14].reshape(5, 2)).max() < 1
            assert face.confidence == pytest.approx(row[14], abs=0.01)

    def test_suppression_leaves_as_many(self, portraits: dict[str, np.ndarray]) -> None:
        small = resized(portraits["grace_hopper.jpg"], 0.15)
        crowd = np.tile(small, (3, 5, 1))
        ours = FaceDetector(longest_side=max(crowd.shape)).detect(crowd)
        assert len(ours) == len(opencv_faces(crowd)) == 15


class TestSeveralFaces:
    @pytest.mark.parametrize("factor", [0.3, 1.0, 2.5])
    def test_the_largest_comes_first(self, detector: FaceDetector, both: np.ndarray, factor: float) -> None:
        faces = detector.detect(resized(both, factor))
        assert len(faces) == 2
        large, small = (face.box for face in faces)
        assert large.x > 512 * factor > small.x
        assert large.width * large.height > small.width * small.height


class TestWhereAFaceIsHardToFind:
    def test_a_small_face_in_a_large_picture(
        self, detector: FaceDetector, portraits: dict[str, np.ndarray]
    ) -> None:
        """At 320 pixels the face would be 4 pixels wide: the second search finds it."""
        canvas = np.full((2000, 3000, 3), 90, np.uint8)
        canvas[1200:1320, 2400:2502] = resized(portraits["grace_hopper.jpg"], 0.2)
        (face,) = detector.detect(canvas)
        box = PORTRAITS["grace_hopper.jpg"]
        there = Box(2400 + box.x / 5, 1200 + box.y / 5, box.width / 5, box.height / 5)
        assert overlap(face.box, there) > 0.6

    def test_a_large_photo(self, detector: FaceDetector, portraits: dict[str, np.ndarray]) -> None:
        canvas = np.full((2000, 3000, 3), 90, np.uint8)
        canvas[300:1500, 900:1924] = resized(portraits["grace_hopper.jpg"], 2.0)
        (face,) = detector.detect(canvas)
        box = PORTRAITS["grace_hopper.jpg"]
        there = Box(900 + 2 * box.x, 300 + 2 * box.y, 2 * box.width, 2 * box.height)
        assert overlap(face.box, there) > 0.8

    @pytest.mark.parametrize("name", PORTRAITS)
    @pytest.mark.parametrize("zoom", [0.55, 0.7, 1.0])
    def test_a_face_that_fills_its_picture(
        self, detector: FaceDetector, portraits: dict[str, np.ndarray], name: str, zoom: float
    ) -> None:
        """Cut to the box and even inside it, four times enlarged: what is left is part of a face."""
        box = PORTRAITS[name]
        x, y = box.x + box.width * (1 - zoom) / 2, box.y + box.height * (1 - zoom) / 2
        cut = portraits[name][round(y) : round(y + zoom * box.height), round(x) : round(x + zoom * box.width)]
        faces = detector.detect(resized(cut, 4))
        assert len(faces) == 1
        centre = faces[0].box.x + faces[0].box.width / 2
        assert centre == pytest.approx(2 * cut.shape[1], rel=0.25)


class TestNoFace:
    @pytest.mark.parametrize("shape", [(1, 1), (31, 33), (240, 320), (1000, 1400)])
    def test_flat_and_noise(self, detector: FaceDetector, shape: tuple[int, int]) -> None:
        assert detector.detect(np.full((*shape, 3), 120, np.uint8)) == []
        noise = np.random.default_rng(5).integers(0, 256, (*shape, 3), dtype=np.uint8)
        assert detector.detect(noise) == []

    @settings(deadline=None, max_examples=25)
    @given(st.integers(1, 400), st.integers(1, 400))
    def test_any_size_is_searched(self, detector: FaceDetector, width: int, height: int) -> None:
        assert detector.detect(np.zeros((height, width, 3), np.uint8)) == []

    @pytest.mark.parametrize("shape", [(1, 9000), (9000, 1), (3, 5000)])
    def test_a_thin_picture(self, detector: FaceDetector, shape: tuple[int, int]) -> None:
        assert detector.detect(np.zeros((*shape, 3), np.uint8)) == []


class TestUse:
    def test_threads_share_a_detector(self, portraits: dict[str, np.ndarray]) -> None:
        fresh = FaceDetector()
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(fresh.detect, [portraits["astronaut.png"]] * 12))
        assert {tuple(faces[0].box) for faces in found} == {tuple(found[0][0].box)}

    def test_the_weights_are_opened_with_the_first_picture_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        opened: list[object] = []
        make = detector_module.make_session
        monkeypatch.setattr(detector_module, "make_session", lambda model: opened.append(model) or make(model))
        fresh = FaceDetector()
        assert not opened
        for _ in range(2):
            fresh.detect(np.zeros((32, 32, 3), np.uint8))
        assert len(opened) == 1

    def test_confidence_is_a_lower_bound(self, portraits: dict[str, np.ndarray]) -> None:
        assert FaceDetector(confidence=0.99).detect(portraits["astronaut.png"]) == []

    def test_own_weights(self, portraits: dict[str, np.ndarray]) -> None:
        (face,) = FaceDetector(WEIGHTS).detect(portraits["astronaut.png"])
        assert isinstance(face, Face)

    def test_weights_that_are_none(self, tmp_path: Path) -> None:
        path = tmp_path / "weights.onnx"
        path.write_bytes(b"not a model")
        with pytest.raises(WeightsError, match=r"weights\.onnx"):
            FaceDetector(path).detect(np.zeros((32, 32, 3), np.uint8))

    def test_what_is_no_image_is_refused(self, detector: FaceDetector) -> None:
        with pytest.raises(ImageError):
            detector.detect(np.zeros((32, 32), np.uint8))

    @pytest.mark.parametrize("settings", [{"confidence": 0}, {"confidence": 1.5}, {"longest_side": 8}])
    def test_impossible_settings_are_refused(self, settings: dict[str, float]) -> None:
        with pytest.raises(ConfigurationError):
            FaceDetector(**settings)


@pytest.mark.packs
class TestPacks:
    @pytest.mark.parametrize("pack", ["msu_mfsd", "selfie_vn"])
    def test_tight_crops_are_found(self, detector: FaceDetector, packs: Path, pack: str) -> None:
        import csv
        import tarfile

        folder = packs / "data" / "liveness"
        with (folder / f"{pack}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))[::40]
        overlaps = []
        with tarfile.open(folder / f"{pack}.tar") as tar:
            for row in rows:
                member = tar.extractfile(row["path"])
                assert member is not None
                faces = detector.detect(read_image(member.read()))
                box = Box(*map(float, row["box"].split()))
                overlaps.append(overlap(faces[0].box, box) if faces else 0.0)
        assert np.mean(np.array(overlaps) > 0) >= 0.98
        assert np.mean(overlaps) > 0.85


def opencv_faces(picture: np.ndarray) -> np.ndarray:
    """OpenCV's own YuNet on the same weights and picture, the largest face first."""
    height, width = picture.shape[:2]
    network = cv2.FaceDetectorYN.create(str(WEIGHTS), "", (width, height), 0.6, 0.3, 5000)
    rows = network.detect(np.ascontiguousarray(picture[..., ::-1]))[1]
    return rows[np.argsort(-rows[:, 2] * rows[:, 3])]
