"""The two ways in which a face is cut out of a picture; training and run time both call these functions.

Coordinates of boxes are continuous: pixel ``i`` covers ``[i, i + 1)``. Landmarks follow the convention of
the detectors and of the ArcFace template instead: ``i`` is the middle of pixel ``i``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from ostiary.errors import InputError
from ostiary.faces.detector import Box
from ostiary.faces.foreign_crops import SURROUNDINGS
from ostiary.faces.preprocess import Preprocess
from ostiary.images import check_image

TEMPLATE_SIZE = 112
"""Side of the picture, in pixels, in which ``TEMPLATE`` is given."""

TEMPLATE = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
"""Where ArcFace-like networks expect the points of ``Face.landmarks``, in its order (Deng et al. 2019)."""


def loose_crop(image: NDArray[np.uint8], box: Box, preprocess: Preprocess) -> NDArray[np.uint8]:
    """Cut the face with its surroundings: the square of ``loose_square``, resized, or as others cut it.

    Args:
        image: RGB (H, W, 3).
        box: of the face, in pixels of ``image``; it may reach beyond the picture or lie outside.
        preprocess: gives the surroundings, the scale, the output's size and the interpolation. Shrinking is
            antialiased.

    Returns:
        RGB (size, size, 3). What lies outside the picture repeats the picture's edge.

    Raises:
        ImageError: ``image`` is not an RGB picture.
        InputError: the box is not finite, is empty, or is far larger than the picture.

    """
    check_image(image)
    height, width = image.shape[:2]
    if preprocess.surroundings in SURROUNDINGS:
        _check_box((height, width), box)
        return SURROUNDINGS[preprocess.surroundings](image, box, preprocess)
    left, top, side = loose_square((height, width), box, preprocess.scale)
    margin = _MARGIN * max(1.0, side / preprocess.size)
    columns = _inside(left, side, width, margin)
    rows = _inside(top, side, height, margin)
    region = image[rows, columns]
    # Columns first, as Pillow does, unless that would pad a tall, thin picture to a huge one.
    for axis in (0, 1) if side > width and height > width else (1, 0):
        start = left - columns.start if axis == 1 else top - rows.start
        region = _resize_axis(region, axis, start, side, preprocess)
    return region


def loose_square(shape: tuple[int, int], box: Box, scale: float) -> tuple[float, float, float]:
    """The square that a loose crop shows: left, top and side, in pixels.

    The side is ``scale`` times the longer side of the box. Where the picture cannot hold that, it shrinks
    to the picture's shorter side, but never below the box's longer side: data sets of tight crops would
    otherwise be recognisable by their padding. Then the square is shifted into the picture as far as it goes.

    Args:
        shape: height and width of the picture.
        box: of the face.
        scale: side of the square over the longer side of the box.

    Raises:
        InputError: the box is not finite, is empty, or is far larger than the picture.

    """
    _check_box(shape, box)
    height, width = shape
    longest = max(box.width, box.height)
    side = max(longest, min(scale * longest, height, width))
    left = _shift_inside(box.x + box.width / 2 - side / 2, side, width)
    top = _shift_inside(box.y + box.height / 2 - side / 2, side, height)
    return left, top, side


def aligned_crop(image: NDArray[np.uint8], landmarks: ArrayLike, preprocess: Preprocess) -> NDArray[np.uint8]:
    """Turn, scale and shift the face so that its five points meet the ArcFace template.

    Args:
        image: RGB (H, W, 3).
        landmarks: (5, 2) in pixels of ``image``, in the order of ``Face.landmarks``.
        preprocess: gives the output's size; the template is scaled by ``size / 112``.

    Returns:
        RGB (size, size, 3), bilinear. What lies outside the picture is black, as embedding networks are
        trained.

    Raises:
        ImageError: ``image`` is not an RGB picture.
        InputError: the landmarks are not five finite points, or all lie on one spot.

    """
    check_image(image)
    size = preprocess.size
    turn, shift = _similarity(_check_landmarks(landmarks), TEMPLATE * (size / TEMPLATE_SIZE))
    # Backwards, from the middle of an output pixel to the picture, both in continuous coordinates.
    back = 1 / turn
    origin = -(shift + 0.5 + 0.5j) * back + 0.5 + 0.5j
    corners = origin + back * size * np.array([0, 1, 1j, 1 + 1j])
    columns = _span(corners.real, image.shape[1])
    rows = _span(corners.imag, image.shape[0])
    region = image[rows, columns]
    if not region.size:
        return np.zeros((size, size, 3), np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(region))
    origin -= complex(columns.start, rows.start)
    factor = min(int(abs(back)), *picture.size)
    if factor >= 2:  # bilinear sampling looks at 2 x 2 pixels only: a large face is averaged down first
        picture = picture.reduce(factor)
        back, origin = back / factor, origin / factor
    matrix = (back.real, -back.imag, origin.real, back.imag, back.real, origin.imag)
    warped = picture.transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    return np.array(warped)


_MARGIN = 3
"""Pixels (of the coarser grid) beyond a region that the widest filter, bicubic, can look at, and one more."""

_LARGEST_BOX = 4
"""A box may be so many times longer than the picture; more is a mistake, and would cost memory in padding."""

_RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
}


def _check_box(shape: tuple[int, int], box: Box) -> None:
    if not all(math.isfinite(value) for value in box):
        raise InputError(f"The face box {tuple(box)} is not finite; give x, y, width and height in pixels.")
    if box.width <= 0 or box.height <= 0:
        raise InputError(f"The face box {tuple(box)} is empty; its width and height must be above zero.")
    if max(box.width, box.height) > _LARGEST_BOX * max(shape):
        raise InputError(
            f"The face box {tuple(box)} is more than {_LARGEST_BOX} times as long as its picture of "
            f"{shape[1]}x{shape[0]} pixels; give the box in pixels of this picture."
        )


def _check_landmarks(landmarks: ArrayLike) -> NDArray[np.float64]:
    points = np.asarray(landmarks, np.float64)
    if points.shape != (5, 2) or not np.isfinite(points).all():
        raise InputError(f"Landmarks must be five finite points, shape (5, 2); got shape {points.shape}.")
    return points


def _shift_inside(start: float, side: float, length: int) -> float:
    """Move ``[start, start + side)`` into ``[0, length)``, or over it where it is the longer one."""
    slack = length - side
    return min(max(start, min(0.0, slack)), max(0.0, slack))


def _inside(start: float, side: float, length: int, margin: float) -> slice:
    """The pixels of one axis that a resize of ``[start, start + side)`` needs and the picture has."""
    first = min(max(math.floor(start - margin), 0), length - 1)
    return slice(first, min(max(math.ceil(start + side + margin), first + 1), length))


def _resize_axis(
    pixels: NDArray[np.uint8], axis: int, start: float, side: float, preprocess: Preprocess
) -> NDArray[np.uint8]:
    """Resize ``[start, start + side)`` of one axis to the output's size, repeating edge pixels outside."""
    rounding = 1e-6  # of start + side; must not cost a row of padding
    before = max(0, math.ceil(-start - rounding))
    after = max(0, math.ceil(start + side - pixels.shape[axis] - rounding))
    if before or after:
        pads = [(0, 0)] * 3
        pads[axis] = (before, after)
        pixels = np.pad(pixels, pads, mode="edge")
    length = pixels.shape[axis]
    window = (max(0.0, start + before), min(float(length), start + before + side))
    other = pixels.shape[1 - axis]
    target = (preprocess.size, other) if axis == 1 else (other, preprocess.size)
    area = (window[0], 0.0, window[1], other) if axis == 1 else (0.0, window[0], other, window[1])
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return np.array(picture.resize(target, _RESAMPLING[preprocess.interpolation], box=area))


def _similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> tuple[complex, complex]:
    """Least-squares rotation, scale and shift, without reflection (Umeyama 1991, in the plane).

    Points are complex numbers: ``target = turn * source + shift``.
    """
    here = source[:, 0] + 1j * source[:, 1]
    there = target[:, 0] + 1j * target[:, 1]
    spread = here - here.mean()
    power = float(np.vdot(spread, spread).real)
    turn = complex(np.vdot(spread, there - there.mean()) / power) if power > 0 else 0j
    if not abs(turn) > 0:
        raise InputError("The five landmarks lie on one spot or show no face; detect the face again.")
    return turn, complex(there.mean() - turn * here.mean())


def _span(positions: NDArray[np.float64], length: int) -> slice:
    """The pixels of one axis that lie between the outermost positions, a pixel more on either side."""
    first, last = math.floor(positions.min()) - 1, math.ceil(positions.max()) + 1
    return slice(min(max(first, 0), length), min(max(last, 0), length))
