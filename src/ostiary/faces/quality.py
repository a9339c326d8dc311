"""What can be said of a face before its liveness is judged, so that a living person gets a reason, not "attack".

A face that is small, dark, dazzled, blurred, cut off or turned away says little about who shows it. It is
measured here in plain units, and `causes` names what is wrong, the most helpful word first. A cause can only
turn an answer into "not measured, not accepted": nothing here can make an attack accepted.

Light, contrast and sharpness are read off the luma (ITU-R BT.601, 0 to 255) of the ellipse inside the face
box, in a loose crop of a fixed size: a face has the same values whatever its size in the picture.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from ostiary.errors import ConfigurationError
from ostiary.faces.crops import loose_crop
from ostiary.faces.detector import Box
from ostiary.faces.preprocess import Preprocess
from ostiary.images import check_image

Cause = Literal["too_small", "too_dark", "too_bright", "cut_off", "blurred", "turned_away"]

CAUSES: tuple[Cause, ...] = get_args(Cause)
"""In the order of judgement: in the dark a face looks blurred too, and at the border turned away."""

MEAN_FACE = np.array([(-0.5, 0, 0), (0.5, 0, 0), (0, 0.57, -0.45), (-0.43, 1, -0.1), (0.43, 1, -0.1)])
"""Five points of a frontal face in distances between the eyes: x to the right, y down, z away from the camera.

x and y are the middle values of the detector's points on bona fide faces; the depths, of nose and mouth before
the eyes, are those of an average head.
"""


class Pose(NamedTuple):
    """Where a face looks, in degrees; all are 0 for a face that looks straight into the camera.

    ``yaw``: positive to the right of the picture. ``pitch``: positive upwards. ``roll``: of the head in the
    picture's plane, positive clockwise.
    """

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True)
class Quality:
    """What was measured of one face.

    ``face_width`` and ``eye_distance`` are in pixels of the picture. ``brightness`` is the luma (0 to 255)
    that the brightest tenth of the face exceeds: not the mean, so that dark skin in good light and a face lit
    from one side are not called dark. ``contrast`` is the luma between the darkest and the brightest 5 %,
    ``clipped`` the share of the face whose luma is 250 or more. ``sharpness`` has no unit; see `measure`.
    ``beyond_border`` is the share of the face, as far as the box tells, that lies outside the picture.
    ``eye_distance`` and ``pose`` are None where there are no landmarks.
    """

    face_width: float
    eye_distance: float | None
    brightness: float
    contrast: float
    clipped: float
    sharpness: float
    beyond_border: float
    pose: Pose | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, rounded; the pose as ``yaw``, ``pitch`` and ``roll``, or null."""
        plain = {name: value for name, value in asdict(self).items() if name != "pose"}
        angles = self.pose._asdict() if self.pose else dict.fromkeys(Pose._fields)
        return {name: None if value is None else round(value, 3) for name, value in (plain | angles).items()}


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """What a face must have to be judged, in the units of `Quality`.

    The defaults let about 99 of 100 bona fide faces of the data they were chosen on pass; docs/quality.md has
    the table. ``yaw``, ``pitch`` and ``roll`` bound the absolute angle.

    Raises:
        ConfigurationError: a limit is out of its range.

    """

    face_width: float = 32
    brightness: float = 35
    contrast: float = 15
    clipped: float = 0.5
    sharpness: float = 0.37
    beyond_border: float = 0.3
    yaw: float = 50
    pitch: float = 35
    roll: float = 30

    def __post_init__(self) -> None:
        for name, highest in _HIGHEST.items():
            value = getattr(self, name)
            if not 0 <= value <= highest:  # also refuses NaN
                raise ConfigurationError(
                    f"The quality limit {name} is {value}; it must be a number from 0 to {highest:g}."
                )


def measure(image: NDArray[np.uint8], box: Box, landmarks: ArrayLike | None = None) -> Quality:
    """Measure one face.

    Sharpness compares two octaves of detail: the fine band is regressed on the next coarser one, both of the
    face at a fixed size. An edge shows in both bands and noise in each for itself, so that noise does not pass
    for sharpness. Blur of one hundredth of the face's width is hardly noticed; six hundredths fall below the
    default limit.

    Pose: the five points are fitted, in the least-squares sense and seen from afar (scaled orthography), by
    those of a mean face in three dimensions. Detectors draw the points of strongly rotated faces too upright,
    so the roll is a lower bound then.

    Args:
        image: RGB (H, W, 3).
        box: of the face, in pixels of ``image``.
        landmarks: (5, 2) in the order of ``Face.landmarks``, or None where they are not known.

    Raises:
        ImageError: ``image`` is not an RGB picture.
        InputError: the box is not finite, is empty, or is far larger than the picture.

    """
    crop = loose_crop(image, box, _PATCH)
    luma = np.asarray(Image.fromarray(crop).convert("L"), np.float64)
    inside = _ellipse(box)
    darkest, bright, brightest = np.percentile(luma[inside], (5, 90, 95))
    points = None if landmarks is None else np.asarray(landmarks, np.float64)
    return Quality(
        face_width=float(box.width),
        eye_distance=None if points is None else float(np.hypot(*(points[1] - points[0]))),
        brightness=float(bright),
        contrast=float(brightest - darkest),
        clipped=float((luma[inside] >= _CLIPPED).mean()),
        sharpness=_sharpness(luma, inside),
        beyond_border=_beyond_border(image.shape[0], image.shape[1], box),
        pose=None if points is None else pose(points),
    )


def causes(quality: Quality, limits: QualityLimits) -> tuple[Cause, ...]:
    """Everything that keeps a face from being judged, in the order of ``CAUSES``; empty if nothing does.

    A face without contrast is too dark or too bright, by the half of the scale it lies in. What could not be
    measured (the pose of a face without landmarks) is no cause.
    """
    flat = quality.contrast < limits.contrast
    dark_half = quality.brightness < 128
    turned = quality.pose is not None and any(
        abs(angle) > getattr(limits, name) for name, angle in quality.pose._asdict().items()
    )
    found: dict[Cause, bool] = {
        "too_small": quality.face_width < limits.face_width,
        "too_dark": quality.brightness < limits.brightness or (flat and dark_half),
        "too_bright": quality.clipped > limits.clipped or (flat and not dark_half),
        "cut_off": quality.beyond_border > limits.beyond_border,
        "blurred": quality.sharpness < limits.sharpness,
        "turned_away": turned,
    }
    return tuple(cause for cause in CAUSES if found[cause])


def picture_causes(image: NDArray[np.uint8], limits: QualityLimits) -> tuple[Cause, ...]:
    """Why no face may have been found in a picture: the light, by the same limits, taken over all of it.

    Raises:
        ImageError: ``image`` is not an RGB picture.

    """
    check_image(image)
    small = Image.fromarray(image)
    small.thumbnail((256, 256), Image.Resampling.BOX)
    luma = np.asarray(small.convert("L"))
    if np.percentile(luma, 90) < limits.brightness:
        return ("too_dark",)
    return ("too_bright",) if (luma >= _CLIPPED).mean() > limits.clipped else ()


def pose(landmarks: ArrayLike) -> Pose | None:
    """The pose of five points (5, 2), or None where they show no face (all on one spot or line).

    The best affine map from the mean face to the points is brought to the nearest rotation (its polar
    factor), which is then read as roll, yaw and pitch, each about the axes of the head.
    """
    points = np.asarray(landmarks, np.float64)
    spread = points - points.mean(axis=0)
    affine = (np.linalg.pinv(_FACE) @ spread).T
    left, strengths, right = np.linalg.svd(affine, full_matrices=False)
    if not strengths[1] > 1e-6 * max(1.0, strengths[0]):
        return None
    across, down = left @ right
    away = np.cross(across, down)
    return Pose(
        yaw=float(np.degrees(np.arcsin(np.clip(away[0], -1, 1)))),
        pitch=float(-np.degrees(np.arctan2(away[1], away[2]))),
        roll=float(np.degrees(np.arctan2(down[0], across[0]))),
    )


_HIGHEST = {
    "face_width": 100_000,
    "brightness": 255,
    "contrast": 255,
    "clipped": 1,
    "sharpness": 1,
    "beyond_border": 1,
    "yaw": 90,
    "pitch": 180,
    "roll": 180,
}

_SIZE = 64
_PATCH = Preprocess(crop="loose", size=_SIZE, scale=1.0)
"""About the size of the smallest faces, so that large ones are averaged down: that takes their noise away."""

_FILLED = 0.7
"""The ellipse over the box, in either direction: hair and the edge to the background must not count as detail."""

_CLIPPED = 250
_LEAST_DETAIL = 0.1
"""Variance, in squared grey levels, below which rounding to whole grey levels is all the detail there is."""

_PROPORTION = 1.3
"""Height over width of the box of a whole face, as YuNet draws it."""

_NEAR = 0.1
"""A box counts as touching the border from this share of its side on."""

_FACE = MEAN_FACE - MEAN_FACE.mean(axis=0)
"""About its middle, as the fit needs it."""


def _blurring(sigma: float) -> NDArray[np.float64]:
    """The matrix (size, size) of a Gaussian blur along one axis that mirrors at the ends; sigma in pixels."""
    places = np.arange(-_SIZE, 2 * _SIZE)
    mirrored = np.where(places < 0, -1 - places, np.where(places < _SIZE, places, 2 * _SIZE - 1 - places))
    weights = np.exp(-((np.arange(_SIZE)[:, None] - places) ** 2) / (2 * sigma**2))
    matrix = np.zeros((_SIZE, _SIZE))
    np.add.at(matrix.T, mirrored, weights.T)
    normalised: NDArray[np.float64] = matrix / matrix.sum(axis=1, keepdims=True)
    return normalised


_BLURS = tuple(_blurring(sigma) for sigma in (0.7, 1.4, 2.8))
"""Between the first and the second lies the fine band, between the second and the third the coarser one."""


def _sharpness(luma: NDArray[np.float64], inside: NDArray[np.bool_]) -> float:
    first, second, third = (blur @ luma @ blur.T for blur in _BLURS)
    fine, coarse = (first - second)[inside], (second - third)[inside]
    return max(0.0, float((fine * coarse).mean() / max((coarse * coarse).mean(), _LEAST_DETAIL)))


def _ellipse(box: Box) -> NDArray[np.bool_]:
    """The pixels of the patch (size, size) inside the ellipse of the box, which lies in its middle."""
    reach = _FILLED * np.array([box.height, box.width]) / max(box.width, box.height)
    rows, columns = np.meshgrid(*[(np.arange(_SIZE) + 0.5) / _SIZE * 2 - 1] * 2, indexing="ij")
    inside: NDArray[np.bool_] = (rows / reach[0]) ** 2 + (columns / reach[1]) ** 2 <= 1
    return inside


def _beyond_border(height: int, width: int, box: Box) -> float:
    """Share of the face outside a picture of this size.

    Detectors draw their box around what they see, so that it need not reach beyond the border. But where it
    touches one, what the picture shows of it is too slim or too flat for a whole face.
    """
    across = max(0.0, min(box.x + box.width, width) - max(box.x, 0))
    along = max(0.0, min(box.y + box.height, height) - max(box.y, 0))
    shown = across * along / (box.width * box.height)
    if min(box.x, width - box.x - box.width) <= _NEAR * box.width:
        shown = min(shown, across / (box.height / _PROPORTION))
    if min(box.y, height - box.y - box.height) <= _NEAR * box.height:
        shown = min(shown, along / (box.width * _PROPORTION))
    return float(1 - shown)
