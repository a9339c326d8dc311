"""Where the faces are: YuNet (Wu et al. 2023), run by ONNX Runtime and decoded here."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ostiary.errors import ConfigurationError, WeightsError
from ostiary.images import check_image
from ostiary.runtime.session import make_session

if TYPE_CHECKING:
    import onnxruntime


class Box(NamedTuple):
    """A face box in pixels of its picture, continuous: pixel ``i`` covers ``[i, i + 1)``.

    It may reach beyond the picture.
    """

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Face:
    """One face found in a picture.

    ``landmarks`` is float32 (5, 2), x and y in pixels of the picture: right eye, left eye, nose tip, right
    and left corner of the mouth, where right is the subject's right. ``confidence`` is in [0, 1].
    """

    box: Box
    landmarks: NDArray[np.float32]
    confidence: float


class FaceDetector:
    """Finds the faces of a picture of any size; safe to share between threads.

    Args:
        weights: a YuNet file with free height and width; the packaged one by default. It is opened when
            the first picture comes.
        confidence: the least confidence of a face, in (0, 1].
        longest_side: the size, in pixels, at which a picture is searched; it bounds the time.
        second_look: the same for the second search, when the first found nothing.

    Raises:
        ConfigurationError: a setting is out of its range.

    """

    def __init__(
        self,
        weights: Path | None = None,
        *,
        confidence: float = 0.6,
        longest_side: int = 320,
        second_look: int = 1280,
    ) -> None:
        if not 0 < confidence <= 1:
            raise ConfigurationError(f"The detector's confidence must be above 0 and at most 1, not {confidence}.")
        if min(longest_side, second_look) < _GRID:
            raise ConfigurationError(f"A picture cannot be searched at fewer than {_GRID} pixels a side.")
        self._weights = weights
        self._confidence = confidence
        self._longest_side = longest_side
        self._second_look = second_look
        self._lock = threading.Lock()
        self._session: onnxruntime.InferenceSession | None = None

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """Find the faces, the largest first; an empty list where there is none.

        The picture is searched at a bounded size; if nothing was found and it is larger, once more in
        detail; and if there is still nothing, with a border around it, because the network overlooks faces
        that fill their picture.

        Args:
            image: RGB (H, W, 3).

        Raises:
            ImageError: ``image`` is not an RGB picture.
            WeightsError: the weights cannot be opened, or are no YuNet.

        """
        check_image(image)
        picture = Image.fromarray(image)
        faces = self._search(picture, self._longest_side, border=0)
        if not faces and max(picture.size) > self._longest_side and self._second_look > self._longest_side:
            faces = self._search(picture, self._second_look, border=0)
        if not faces:
            faces = self._search(picture, self._longest_side, border=_BORDER)
        return sorted(faces, key=lambda face: -face.box.width * face.box.height)

    def _search(self, picture: Image.Image, longest_side: int, border: float) -> list[Face]:
        """Search at a size whose longest side, border included, is bounded; never enlarges."""
        width, height = picture.size
        shrink = min(1.0, longest_side / ((1 + 2 * border) * max(width, height)))
        size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        small = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=_REDUCING_GAP)
        margin = round(border * max(size))
        sides = ((margin, margin), (margin, margin), (0, 0))
        pixels = np.pad(np.asarray(small), sides, constant_values=_GREY)
        points, confidences = self._run(pixels)
        points = (points - margin) * np.array([width / size[0], height / size[1]], np.float32)
        return [_face(points[index], confidences[index]) for index in _suppress(points, confidences)]

    def _run(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the network on RGB (h, w, 3); the candidates of ``_decode``, those of all strides."""
        height, width = (-(-length // _GRID) * _GRID for length in pixels.shape[:2])
        bgr = np.zeros((1, 3, height, width), np.float32)
        bgr[0, :, : pixels.shape[0], : pixels.shape[1]] = pixels[..., ::-1].transpose(2, 0, 1)
        names = [f"{kind}_{stride}" for stride in _STRIDES for kind in _OUTPUTS]
        outputs = self._open().run(names, {"input": bgr})
        kinds = len(_OUTPUTS)
        levels = [
            _decode(outputs[kinds * level : kinds * (level + 1)], stride, width // stride, self._confidence)
            for level, stride in enumerate(_STRIDES)
        ]
        points, confidences = zip(*levels, strict=True)
        return np.concatenate(points), np.concatenate(confidences)

    def _open(self) -> onnxruntime.InferenceSession:
        with self._lock:
            if self._session is None:
                self._session = _open_yunet(self._weights)
            return self._session


_GRID = 32
"""Height and width of the network's input must be multiples of its coarsest stride."""

_STRIDES = (8, 16, 32)
_OUTPUTS = ("cls", "obj", "bbox", "kps")

_OVERLAP = 0.3
"""Intersection over union above which two candidates are one face (YuNet's own value)."""

_BORDER = 0.25
_GREY = 128
"""The border of the last search: its width over the picture's longer side, and its grey level."""

_REDUCING_GAP = 2.0
"""Lets Pillow shrink a large photo in two steps, several times faster and hardly different."""


def _open_yunet(weights: Path | None) -> onnxruntime.InferenceSession:
    if weights is None:
        packaged = files("ostiary").joinpath("weights", "face_detection_yunet.onnx")
        return make_session(packaged.read_bytes())
    session = make_session(weights)
    there = {output.name for output in session.get_outputs()}
    if not there >= {f"{kind}_{stride}" for kind in _OUTPUTS for stride in _STRIDES}:
        raise WeightsError(f"{weights} is not a YuNet face detector; leave it out to use the packaged one.")
    return session


def _decode(
    outputs: list[NDArray[np.float32]], stride: int, columns: int, least: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Candidates of one stride: points (n, 7, 2), confidences (n,).

    The points are the box's first and last corner and the five landmarks, in pixels of the input.
    """
    classes, objects, boxes, landmarks = (output[0] for output in outputs)
    confidences = np.sqrt(classes[:, 0].clip(0, 1) * objects[:, 0].clip(0, 1))
    kept = np.flatnonzero(confidences >= least)
    cells = np.stack([kept % columns, kept // columns], axis=-1).astype(np.float32)
    centres = cells + boxes[kept, :2]
    halves = np.exp(boxes[kept, 2:]) / 2
    marks = cells[:, None] + landmarks[kept].reshape(-1, 5, 2)
    corners = np.stack([centres - halves, centres + halves], axis=1)
    return np.concatenate([corners, marks], axis=1) * np.float32(stride), confidences[kept]


def _suppress(points: NDArray[np.float32], confidences: NDArray[np.float32]) -> list[int]:
    """Greedy non-maximum suppression: the indices of the faces that stay, most confident first."""
    first, last = points[:, 0], points[:, 1]
    areas = (last - first).prod(axis=1)
    order = np.argsort(-confidences, kind="stable")
    kept = []
    while order.size:
        best, order = order[0], order[1:]
        kept.append(int(best))
        shared = np.minimum(last[best], last[order]) - np.maximum(first[best], first[order])
        common = shared.clip(0).prod(axis=1)
        order = order[common <= _OVERLAP * (areas[best] + areas[order] - common)]
    return kept


def _face(points: NDArray[np.float32], confidence: np.float32) -> Face:
    (x, y), (right, bottom) = points[:2].tolist()
    return Face(Box(x, y, right - x, bottom - y), points[2:].copy(), float(confidence))
