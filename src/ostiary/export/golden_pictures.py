"""The pictures of the golden vectors: one good face, and what a camera makes of it when things go wrong.

Each is drawn from the first by plain means, so that only one picture has to be free to be passed on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from ostiary.faces.detector import Box
from ostiary.training.recapture import Grid, halftone, recaptured, to_light, to_picture

Picture = NDArray[np.uint8]

LONGEST_SIDE = 320
"""Pictures are made no larger, in pixels: small devices read them whole."""


@dataclass(frozen=True, slots=True)
class Case:
    """A picture, RGB (H, W, 3), and its name."""

    name: str
    pixels: Picture


def bounded(pixels: Picture) -> Picture:
    """The picture within ``LONGEST_SIDE``."""
    image = Image.fromarray(pixels)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.BICUBIC)
    return np.array(image)


def variations(case: Case, box: Box) -> list[Case]:
    """The picture tilted, dark, blurred, far away, near, huge, cut off, twice, printed; nobody, and the night."""
    pixels, image = case.pixels, Image.fromarray(case.pixels)
    left, top, right, bottom = (round(v) for v in (box.x, box.y, box.x + box.width, box.y + box.height))
    near = image.crop((left, top, right, bottom))
    changed: dict[str, Picture] = {
        "tilted": np.asarray(image.rotate(20, Image.Resampling.BILINEAR)),
        "dark": pixels // 12,
        "blurred": np.asarray(image.filter(ImageFilter.GaussianBlur(box.width / 12))),
        "far away": _far(image, box),
        "near": np.asarray(near),
        "huge": np.asarray(image.crop((left - 8, top - 8, right + 8, bottom + 8)).resize((700, 900))),
        "cut off": pixels[:, left + (right - left) * 2 // 5 :],
        "twice": np.hstack([pixels, pixels[:, ::-1]]),
        "printed": printed(pixels, box),
        "nobody": np.full((120, 160, 3), 128, np.uint8),
        "night": np.zeros((300, 400, 3), np.uint8),
    }
    return [Case(f"{case.name}, {name}", np.ascontiguousarray(picture)) for name, picture in changed.items()]


def filling(case: Case, box: Box) -> Case:
    """A face that fills its picture and more: some are found only with a border around the picture."""
    across, along = box.x + box.width / 2, box.y + box.height / 2
    half = (_SEEN * box.width / 2, _SEEN * box.height / 2)
    part = (round(across - half[0]), round(along - half[1]), round(across + half[0]), round(along + half[1]))
    image = Image.fromarray(case.pixels).crop(part)
    size = (LONGEST_SIDE, round(LONGEST_SIDE * image.height / image.width))
    return Case(f"{case.name}, filling", np.asarray(image.resize(size)))


def printed(pixels: Picture, box: Box, seed: int = 7) -> Picture:
    """The picture on paper, before a second camera; the face stays where it is."""
    grid, rng = Grid.around(box, pixels.shape), np.random.default_rng(seed)
    paper = to_picture(halftone(to_light(pixels), grid, 1.0, rng))
    return recaptured(paper, grid, 0.5, rng)


_SEEN = 0.65
"""Of the box, in either direction, that a picture shows whose face fills it."""

_FACE_FAR = 24
"""Width of a face far away, in pixels: found by the search in detail alone, and too small to be judged."""


def _far(image: Image.Image, box: Box) -> Picture:
    shrink = _FACE_FAR / box.width
    small = image.resize((round(image.width * shrink), round(image.height * shrink)), Image.Resampling.BOX)
    hall = Image.new("RGB", (960, 640), (96, 96, 96))
    hall.paste(small, (520, 400))
    return np.asarray(hall)
