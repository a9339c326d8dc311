"""A test that needs no camera: faces go through detection and liveness, and must give known answers.

Detection is tried on a drawn face, liveness on a portrait that comes with the package (a network that thinks
little of drawings gives them much the same number whatever is wrong). It finds a runtime that computes something
else, a damaged detector, a wrong colour order. It says nothing about how well anybody is recognised.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ostiary.faces.crops import loose_crop
from ostiary.faces.detector import Box, FaceDetector
from ostiary.images import read_image
from ostiary.runtime.liveness import LivenessModel

SIZE = 256
"""Side of the drawn picture, in pixels."""

EXPECTED_BOX = Box(75.6, 65.8, 101.8, 138.4)
"""Where the packaged detector finds the drawn face."""

PORTRAIT = Path(__file__).resolve().parents[1] / "demo_pictures" / "collins.jpg"
PORTRAIT_BOX = Box(140.3, 49.4, 69.5, 86.8)
"""Where its face is."""

EXPECTED_LIVENESS = {"7b9349409b6ba14d77130185a3b555b82700b8340d4f5b2e49bb3aabffc21d9f": 0.7975}
"""Of the portrait, by the SHA-256 of the weights file, for its default configuration."""

BOX_TOLERANCE = 3.0
"""Pixels; another processor rounds otherwise, and a picture that is turned or mirrored is off by far more."""

LIVENESS_TOLERANCE = 0.02
"""Blue and red exchanged is off by 0.2."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What one part answered: whether it is as expected (None where nothing is known), and how long it took."""

    as_expected: bool | None
    said: str
    milliseconds: float


def try_detection() -> Tried:
    """Find the drawn face."""
    picture, detector = drawn_face(), FaceDetector()
    detector.detect(picture)  # the first call prepares the runtime
    begun = time.perf_counter()
    faces = detector.detect(picture)
    taken = 1000 * (time.perf_counter() - begun)
    if len(faces) != 1:
        return Tried(False, f"found {len(faces)} faces in a picture of one", taken)
    off = float(np.abs(np.subtract(faces[0].box, EXPECTED_BOX)).max())
    return Tried(off <= BOX_TOLERANCE, f"found the drawn face, {off:.1f} pixels from where it is", taken)


def try_liveness(weights: str | None = None) -> Tried:
    """Measure the liveness of the portrait under the default configuration.

    Args:
        weights: a weights file, a name, or None for the default.

    Raises:
        WeightsError: the weights cannot be used.
        ImageError: the portrait is missing or damaged.

    """
    model = LivenessModel(weights)
    crop = loose_crop(portrait(), PORTRAIT_BOX, model.metadata.preprocess)[None]
    model.liveness(crop)
    begun = time.perf_counter()
    found = float(model.liveness(crop)[0])
    taken = 1000 * (time.perf_counter() - begun)
    expected = EXPECTED_LIVENESS.get(hashlib.sha256(model.path.read_bytes()).hexdigest())
    said = f"measured {found:.3f} on the portrait"
    if not 0 <= found <= 1:  # also true for NaN
        return Tried(False, f"{said}, which is no number from 0 to 1", taken)
    if expected is None:
        return Tried(None, f"{said}; what these weights should measure is not recorded", taken)
    return Tried(abs(found - expected) <= LIVENESS_TOLERANCE, f"{said}, where {expected:.3f} is right", taken)


def portrait() -> NDArray[np.uint8]:
    """A bona fide face, RGB uint8 (400, 400, 3)."""
    return read_image(PORTRAIT)


def drawn_face() -> NDArray[np.uint8]:
    """A face from the front before a grey wall, RGB uint8 (256, 256, 3); the same on every machine."""
    canvas = _Canvas()
    canvas.oval((0.5, 0.46), (0.26, 0.34), _HAIR)
    canvas.oval((0.5, 0.86), (0.10, 0.20), (190, 140, 115))
    canvas.oval((0.5, 1.10), (0.40, 0.25), (70, 80, 120))
    canvas.oval((0.5, 0.52), (0.21, 0.28), (215, 165, 140), shaded=True)
    for side in (-1, 1):
        eye = 0.5 + side * 0.09
        canvas.oval((eye, 0.47), (0.065, 0.045), (140, 95, 80), soft=0.6, cover=0.5)
        canvas.oval((eye, 0.475), (0.045, 0.022), (240, 235, 230), soft=0.3)
        canvas.oval((eye, 0.475), (0.020, 0.021), (40, 30, 25), soft=0.3)
        canvas.oval((eye, 0.425), (0.060, 0.013), _HAIR, soft=0.5)
        canvas.oval((0.5 + side * 0.022, 0.61), (0.014, 0.009), (110, 65, 55), soft=0.5)
    canvas.oval((0.5, 0.57), (0.035, 0.07), (235, 185, 160), soft=0.7, cover=0.45)
    canvas.oval((0.5, 0.685), (0.075, 0.025), (165, 70, 70), soft=0.4)
    canvas.oval((0.5, 0.682), (0.070, 0.005), (100, 40, 40), soft=0.5)
    return canvas.pixels()


_HAIR = (60, 40, 30)

Pair = tuple[float, float]
Colour = tuple[int, int, int]


class _Canvas:
    """Ovals with soft edges, one over the other; places and radii as shares of the side."""

    def __init__(self) -> None:
        self._y, self._x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64) / SIZE
        self._image = np.array([120.0, 140.0, 160.0]) + 40 * (self._y[..., None] - 0.5)

    def oval(
        self,
        middle: Pair,
        radii: Pair,
        colour: Colour,
        *,
        soft: float = 0.12,
        cover: float = 1.0,
        shaded: bool = False,
    ) -> None:
        distance = np.hypot((self._x - middle[0]) / radii[0], (self._y - middle[1]) / radii[1])
        mask = (cover * np.clip((1 - distance) / soft, 0, 1))[..., None]
        light = 1 - 1.15 * np.abs(self._x - middle[0]) if shaded else np.ones_like(self._x)
        self._image = self._image * (1 - mask) + mask * np.array(colour, np.float64) * light[..., None]

    def pixels(self) -> NDArray[np.uint8]:
        rounded: NDArray[np.uint8] = np.clip(np.rint(self._image), 0, 255).astype(np.uint8)
        return rounded
