"""What a camera, a network or a hurried user does to a picture, along five axes in steps from mild to harsh.

Every change is made to the whole picture before the face is cut out of it, as it would be in life, and is
the same in every run: what looks like chance (which way a box slips) is drawn from the picture's name alone.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from ostiary.faces.detector import Box

Change = Callable[[NDArray[np.uint8], Box, float, str], tuple[NDArray[np.uint8], Box]]
"""(RGB picture (H, W, 3), box of the face, level, name of the picture) -> changed picture and its box."""


CLEAN = "clean"
"""What a report calls the axis of the unchanged pictures."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One way in which pictures get worse.

    ``levels`` stand in the order in which a plot shows them, with the unchanged picture at ``clean_place``;
    ``label`` formats a level for people, ``title`` says what is changed and in which unit.
    """

    name: str
    title: str
    levels: tuple[float, ...]
    label: str
    change: Change
    clean_place: int = 0

    def describe(self, level: float) -> str:
        """The level in words, such as ``JPEG of quality 30``."""
        return self.label.format(level)


def through_jpeg(
    image: NDArray[np.uint8], box: Box, quality: float, name: str = ""
) -> tuple[NDArray[np.uint8], Box]:
    """Store the picture as a JPEG of this quality (1 to 95), colour at half resolution, and read it back."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=int(quality), subsampling="4:2:0")
    with Image.open(stream) as picture:
        return np.array(picture.convert("RGB")), box


def farther_away(
    image: NDArray[np.uint8], box: Box, width: float, name: str = ""
) -> tuple[NDArray[np.uint8], Box]:
    """Shrink the picture until the face is ``width`` pixels wide; a face that is no wider stays as it is."""
    factor = width / box.width
    if factor >= 1:
        return image, box
    size = [max(1, round(side * factor)) for side in image.shape[1::-1]]
    across, down = size[0] / image.shape[1], size[1] / image.shape[0]
    small = Image.fromarray(image).resize((size[0], size[1]), Image.Resampling.BILINEAR)
    return np.array(small), Box(box.x * across, box.y * down, box.width * across, box.height * down)


def other_light(image: NDArray[np.uint8], box: Box, stops: float, name: str = "") -> tuple[NDArray[np.uint8], Box]:
    """``2 ** stops`` times the light: grey levels are made linear (sRGB, IEC 61966-2-1), scaled, and coded again.

    What becomes too bright is lost, and dark levels fall together, as in a camera of fixed exposure.
    """
    levels = np.arange(256) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    scaled = np.clip(linear * 2.0**stops, 0, 1)
    coded = np.where(scaled <= 0.0031308, scaled * 12.92, 1.055 * scaled ** (1 / 2.4) - 0.055)
    table = np.rint(coded * 255).astype(np.uint8)
    return table[image], box


def slipped_box(image: NDArray[np.uint8], box: Box, share: float, name: str = "") -> tuple[NDArray[np.uint8], Box]:
    """Move the box by ``share`` of its size in some direction, and make it larger or smaller by ``share``.

    Direction and sign depend on the picture's name alone: all shares slip the same way.
    """
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    angle = rng.uniform(0, 2 * np.pi)
    zoom = (1 + share) ** rng.choice([-1.0, 1.0])
    width, height = box.width * zoom, box.height * zoom
    x = box.x + box.width * (0.5 + share * np.cos(angle)) - width / 2
    y = box.y + box.height * (0.5 + share * np.sin(angle)) - height / 2
    return image, Box(float(x), float(y), float(width), float(height))


def out_of_focus(
    image: NDArray[np.uint8], box: Box, share: float, name: str = ""
) -> tuple[NDArray[np.uint8], Box]:
    """Gaussian blur with a standard deviation of ``share`` of the face's width."""
    blur = ImageFilter.GaussianBlur(share * box.width)
    return np.array(Image.fromarray(image).filter(blur)), box


AXES = (
    Axis("jpeg", "JPEG quality", (90, 70, 50, 30, 15), "JPEG of quality {:g}", through_jpeg),
    Axis("resize", "width of the face (pixels)", (96, 64, 48, 32), "a face {:g} pixels wide", farther_away),
    Axis("brightness", "light (stops)", (-4, -2, -1, 1, 2), "{:+g} stops of light", other_light, 3),
    Axis("box", "box slipped and scaled by", (0.05, 0.1, 0.15, 0.2), "a box off by {:.0%}", slipped_box),
    Axis("blur", "blur / face width", (0.005, 0.01, 0.02, 0.04), "a blur of {:.1%} of the face", out_of_focus),
)  # fmt: skip
