"""Following a face: the same boxes as a full search, fewer full searches, and never a silent change of person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary.errors import ConfigurationError, ImageError
from ostiary.faces.detector import Box, Face
from ostiary.gate.tracking import FaceTracker, overlap_of
from ostiary.images import read_image

SIDE = 400


class Painted:
    """A detector of painted squares: a face is a square of one grey level above 0; counts its searches."""

    def __init__(self) -> None:
        self.searches: list[tuple[int, int]] = []

    def detect(self, image: np.ndarray) -> list[Face]:
        self.searches.append(image.shape[:2])
        found = []
        for level in np.unique(image[..., 0][image[..., 0] > 0]):
            rows, columns = np.nonzero(image[..., 0] == level)
            box = Box(float(columns.min()), float(rows.min()), float(np.ptp(columns) + 1), float(np.ptp(rows) + 1))
            found.append(Face(box, np.full((5, 2), (box.x, box.y), np.float32), level / 255))
        return sorted(found, key=lambda face: -face.box.width * face.box.height)


def painted(*squares: tuple[int, int, int], level: int = 50) -> np.ndarray:
    """Squares (x, y, side), each of its own grey level, later ones in front."""
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    for number, (x, y, side) in enumerate(squares):
        image[y : y + side, x : x + side] = level + 10 * number
    return image


@pytest.fixture
def pair() -> tuple[Painted, Painted]:
    return Painted(), Painted()


def tracker(pair: tuple[Painted, Painted], **options: float) -> FaceTracker:
    return FaceTracker(*pair, **options)  # type: ignore[arg-type]


class TestFollowing:
    def test_a_moving_face_costs_a_full_search_each_k_frames(self, pair: tuple[Painted, Painted]) -> None:
        follower = tracker(pair, every=5)
        found = [follower.find(painted((40 + 8 * n, 60, 80))) for n in range(20)]
        assert [one.faces[0].box for one in found] == [Box(40 + 8 * n, 60, 80, 80) for n in range(20)]
        assert [one.searched for one in found] == (["picture"] + ["window"] * 4) * 4
        assert [one.new for one in found] == [True] + [False] * 19
        full, near = pair
        assert len(full.searches) == 4
        assert max(max(shape) for shape in near.searches) <= 2.5 * 80 + 1

    def test_landmarks_are_those_of_the_picture(self, pair: tuple[Painted, Painted]) -> None:
        follower = tracker(pair)
        follower.find(painted((200, 150, 60)))
        (face,) = follower.find(painted((205, 155, 60))).faces
        assert face.landmarks.tolist() == [[205, 155]] * 5
        assert face.landmarks.dtype == np.float32

    def test_every_frame_in_full(self, pair: tuple[Painted, Painted]) -> None:
        follower = tracker(pair, every=1)
        assert [follower.find(painted((40, 60, 80))).searched for _ in range(4)] == ["picture"] * 4

    def test_nobody(self, pair: tuple[Painted, Painted]) -> None:
        follower = tracker(pair)
        found = [follower.find(painted()) for _ in range(3)]
        assert all((one.faces, one.new, one.searched) == ((), False, "picture") for one in found)

    def test_beside_the_picture(self, pair: tuple[Painted, Painted]) -> None:
        """A box at the edge, as a detector gives it for a face that is half outside."""

        class Outside(Painted):
            def detect(self, image: np.ndarray) -> list[Face]:
                super().detect(image)
                return [Face(Box(-50, -60, 40, 40), np.zeros((5, 2), np.float32), 0.9)]

        follower = FaceTracker(Outside(), pair[1])
        assert follower.find(painted()).new
        assert follower.find(painted()).searched == "picture"
        assert min(pair[1].searches[0]) >= 1


class TestDoubt:
    def test_lost_and_found_again_is_new(self, pair: tuple[Painted, Painted]) -> None:
        follower = tracker(pair, every=100)
        here = painted((100, 100, 80))
        found = [follower.find(image) for image in (here, here, painted(), here)]
        assert [one.new for one in found] == [True, False, False, True]
        assert [one.searched for one in found] == ["picture", "window", "picture", "picture"]

    @pytest.mark.parametrize("place", [(160, 100, 80), (300, 300, 80), (100, 100, 20), (60, 60, 200)])
    def test_a_jump_is_new_and_searched_in_full(
        self, pair: tuple[Painted, Painted], place: tuple[int, int, int]
    ) -> None:
        follower = tracker(pair, every=100)
        follower.find(painted((100, 100, 80)))
        after = follower.find(painted(place))
        assert (after.new, after.searched) == (True, "picture")

    def test_a_second_face_on_the_spot_makes_it_doubtful(self, pair: tuple[Painted, Painted]) -> None:
        """Somebody steps in front: both boxes could follow the last one."""
        follower = tracker(pair, every=100)
        follower.find(painted((100, 100, 80)))
        crossing = follower.find(painted((85, 100, 80), (120, 120, 70)))
        assert (crossing.new, crossing.searched, len(crossing.faces)) == (True, "picture", 2)

    def test_somebody_larger_elsewhere_is_told_by_a_full_search(self, pair: tuple[Painted, Painted]) -> None:
        follower = tracker(pair, every=3)
        alone, both = painted((30, 30, 80)), painted((30, 30, 80), (220, 220, 120))
        found = [follower.find(image) for image in (alone, both, both, both)]
        assert [len(one.faces) for one in found] == [1, 1, 1, 2]
        assert [one.new for one in found] == [True, False, False, True]
        assert found[-1].faces[0].box.width == 120

    def test_somebody_larger_in_the_window_does_not_take_over(self, pair: tuple[Painted, Painted]) -> None:
        follower = tracker(pair, every=100)
        follower.find(painted((150, 150, 60)))
        after = follower.find(painted((150, 150, 60), (210, 100, 90)))
        assert after.searched == "window"
        assert after.faces[0].box == Box(150, 150, 60, 60)

    @pytest.mark.parametrize(("gap", "new"), [(0.04, False), (0.5, False), (0.6, True), (-1.0, True)])
    def test_a_gap_in_time(self, pair: tuple[Painted, Painted], gap: float, new: bool) -> None:
        follower = tracker(pair)
        follower.find(painted((100, 100, 80)), 3.0)
        assert follower.find(painted((100, 100, 80)), 3.0 + gap).new is new

    def test_another_size_of_picture_or_a_reset(self, pair: tuple[Painted, Painted]) -> None:
        follower = tracker(pair)
        image = painted((100, 100, 80))
        follower.find(image)
        assert follower.find(image[:300]).new
        assert not follower.find(image[:300]).new
        follower.reset()
        assert follower.find(image[:300]).new

    def test_a_face_that_the_window_cuts_off_is_looked_for_in_the_whole_picture(self) -> None:
        follower = FaceTracker(Painted(), Painted(), every=4)
        follower.find(painted((114, 33, 20)))
        after = follower.find(painted((80, 0, 53)))
        assert (after.faces[0].box, after.searched) == (Box(80, 0, 53, 53), "picture")

    @settings(max_examples=40)
    @given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300), st.integers(20, 90)), max_size=12))
    def test_whatever_moves_not_new_means_overlap(self, places: list[tuple[int, int, int]]) -> None:
        follower = FaceTracker(Painted(), Painted(), every=4)
        last: Box | None = None
        for place in places:
            found = follower.find(painted(place))
            (face,) = found.faces
            assert face.box == Box(*map(float, (*place[:2], place[2], place[2])))
            assert found.new is (last is None or overlap_of(last, face.box) < 0.3)
            last = face.box


class TestOverlap:
    @pytest.mark.parametrize(
        ("second", "expected"),
        [
            (Box(0, 0, 10, 10), 1),
            (Box(5, 0, 10, 10), 1 / 3),
            (Box(10, 0, 10, 10), 0),
            (Box(2, 2, 5, 5), 0.25),
            (Box(30, 30, 2, 2), 0),
        ],
    )
    def test_by_hand(self, second: Box, expected: float) -> None:
        assert overlap_of(Box(0, 0, 10, 10), second) == pytest.approx(expected)
        assert overlap_of(second, Box(0, 0, 10, 10)) == pytest.approx(expected)


class TestWithTheDetector:
    def test_a_real_face_is_followed_where_it_is(self, pictures: Path) -> None:
        """The window's box is the full search's, to a few pixels."""
        portrait = read_image(pictures / "astronaut.png")
        follower, alone = FaceTracker(every=100), FaceTracker(every=1)
        for shift in (0, 6, 12):
            image = np.roll(portrait, (shift, 2 * shift), axis=(0, 1))
            found, expected = follower.find(image), alone.find(image)
            assert found.searched == ("window" if shift else "picture")
            assert overlap_of(found.faces[0].box, expected.faces[0].box) > 0.85
            distance = np.abs(found.faces[0].landmarks - expected.faces[0].landmarks).max()
            assert distance < 0.08 * expected.faces[0].box.width


@pytest.mark.parametrize(
    "options", [{"every": 0}, {"window": 0.9}, {"overlap": 0.0}, {"overlap": 1.0}, {"longest_gap": float("nan")}]
)
def test_settings_that_follow_nothing(options: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="follows nothing"):
        FaceTracker(Painted(), Painted(), **options)  # type: ignore[arg-type]


def test_no_picture() -> None:
    with pytest.raises(ImageError):
        FaceTracker(Painted(), Painted()).find(np.zeros((4, 4), np.uint8))
