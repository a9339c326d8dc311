"""The face of a frame, found near where it was in the frame before.

A search of the whole picture is needed when there is no face to follow, and now and then to see who else is there.
In between the same detector looks at a small window around the last box, at a small size. A box that follows
another is a matter of place, not of identity: whatever leaves a doubt that it is the same face (a jump, a gap in
time, a second face on the same spot) is told as ``new``, and what was decided about the face before is then void.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError
from ostiary.faces.detector import Box, Face, FaceDetector
from ostiary.images import check_image


class FindsFaces(Protocol):
    """What the tracker asks of a detector; ``ostiary.faces.detector.FaceDetector`` has it."""

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """The faces of RGB (H, W, 3), the largest first."""


@dataclass(frozen=True, slots=True, eq=False)
class Tracked:
    """The faces of one frame.

    ``faces`` are all faces, the largest first, where ``searched`` is ``"picture"``; where it is ``"window"``, the
    one face that is followed: others may be in the picture. ``new`` is true if the first face is not known to be
    the one of the frame before; false where there is no face.
    """

    faces: tuple[Face, ...]
    new: bool
    searched: Literal["picture", "window"]


class FaceTracker:
    """Finds the face of each frame of one source, in order. Not safe to share between threads.

    Args:
        detector: searches whole pictures.
        near: searches windows; a detector of a small size, made when it is left out.
        every: at least each so many frames the whole picture is searched.
        window: side of the window over the longer side of the last box.
        overlap: intersection over union with the last box, from which on a box follows it.
        longest_gap: seconds between two frames, beyond which nobody is known to be who was there.

    Raises:
        ConfigurationError: a setting is out of its range.

    """

    def __init__(
        self,
        detector: FindsFaces | None = None,
        near: FindsFaces | None = None,
        *,
        every: int = 10,
        window: float = 2.5,
        overlap: float = 0.3,
        longest_gap: float = 0.5,
    ) -> None:
        if every < 1 or not window >= 1 or not 0 < overlap < 1 or not longest_gap > 0:
            raise ConfigurationError(
                f"A tracker with every={every}, window={window}, overlap={overlap} and longest_gap={longest_gap} "
                "follows nothing; give at least 1, at least 1, between 0 and 1, and above 0."
            )
        self._detector = detector or FaceDetector()
        self._near = near or FaceDetector(longest_side=_NEAR_SIDE, second_look=_NEAR_SIDE)
        self._every = every
        self._window = window
        self._overlap = overlap
        self._longest_gap = longest_gap
        self.reset()

    def reset(self) -> None:
        """Forget the face: what comes next is another source, or another person by agreement."""
        self._last: Box | None = None
        self._shape: tuple[int, ...] = ()
        self._seconds: float | None = None
        self._since = 0

    def find(self, image: NDArray[np.uint8], seconds: float | None = None) -> Tracked:
        """The faces of the next frame.

        Args:
            image: RGB (H, W, 3).
            seconds: the frame's time, as in ``Frame.seconds``; without it no gap in time is noticed.

        Raises:
            ImageError: ``image`` is not an RGB picture.

        """
        check_image(image)
        known = self._known(image.shape, seconds)
        self._shape, self._seconds = image.shape, seconds
        if known is not None and self._since + 1 < self._every:
            face = self._follow(image, known)
            if face is not None:
                self._since += 1
                self._last = face.box
                return Tracked((face,), False, "window")
        faces = tuple(self._detector.detect(image))
        self._since = 0
        self._last = faces[0].box if faces else None
        followed = known is not None and self._is_followed(known, faces)
        return Tracked(faces, bool(faces) and not followed, "picture")

    def _known(self, shape: tuple[int, ...], seconds: float | None) -> Box | None:
        """Where the face was, unless nothing can be concluded from it any more."""
        if shape != self._shape:
            return None
        gap = 0.0 if seconds is None or self._seconds is None else seconds - self._seconds
        return self._last if 0 <= gap <= self._longest_gap else None

    def _follow(self, image: NDArray[np.uint8], last: Box) -> Face | None:
        """The face of the window that follows the last box; None if there is none, or a doubt."""
        rows, columns = _around(last, self._window, image.shape)
        found = self._near.detect(np.ascontiguousarray(image[rows, columns]))
        faces = tuple(_shifted(face, columns.start, rows.start) for face in found)
        # By overlap, not by size: a larger face beside the one that is followed is no reason to leave it.
        nearest = tuple(sorted(faces, key=lambda face: -overlap_of(last, face.box)))
        if not self._is_followed(last, nearest) or _is_cut(nearest[0].box, rows, columns, image.shape):
            return None
        return nearest[0]

    def _is_followed(self, last: Box, faces: tuple[Face, ...]) -> bool:
        """Whether the first face follows the last box, and no other face could as well."""
        if not faces or overlap_of(last, faces[0].box) < self._overlap:
            return False
        return all(overlap_of(last, face.box) < _RIVAL * self._overlap for face in faces[1:])


def overlap_of(first: Box, second: Box) -> float:
    """Intersection over union of two boxes, in [0, 1]."""
    width = min(first.x + first.width, second.x + second.width) - max(first.x, second.x)
    height = min(first.y + first.height, second.y + second.height) - max(first.y, second.y)
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / (first.width * first.height + second.width * second.height - common)


_NEAR_SIDE = 192
"""Pixels; the face is then some 75 pixels long, and its landmarks as exact as those of a full search
(benchmarks/tracking.py)."""

_RIVAL = 0.5
"""A second face that overlaps the last box by this share of what a follower needs makes it doubtful who is who."""

_SMALLEST_WINDOW = 32
"""Pixels a side; the detector takes no smaller picture."""


def _around(box: Box, scale: float, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of a square around a box, as far as the picture has them."""
    half = max(scale * max(box.width, box.height), _SMALLEST_WINDOW) / 2
    middle = (box.y + box.height / 2, box.x + box.width / 2)
    rows, columns = (
        slice(max(0, int(at - half)), max(1, min(length, int(at + half) + 1)))
        for at, length in zip(middle, shape[:2], strict=True)
    )
    return rows, columns


def _is_cut(box: Box, rows: slice, columns: slice, shape: tuple[int, ...]) -> bool:
    """Whether a box reaches the border of the window, with more of the picture, perhaps of the face, beyond."""
    (top, bottom), (left, right) = (rows.start, rows.stop), (columns.start, columns.stop)
    cut: bool = (
        box.x <= left > 0
        or box.y <= top > 0
        or box.x + box.width >= right < shape[1]
        or box.y + box.height >= bottom < shape[0]
    )
    return cut


def _shifted(face: Face, x: int, y: int) -> Face:
    box = face.box._replace(x=face.box.x + x, y=face.box.y + y)
    return replace(face, box=box, landmarks=face.landmarks + np.array([x, y], np.float32))
