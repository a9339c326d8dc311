"""A clip that Chromium takes for a camera, so that a page can be tried without anybody standing before it.

Chromium reads uncompressed YUV4MPEG2 (``--use-file-for-fake-video-capture``) and takes its levels for those of
television, 16 to 235.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ostiary.errors import InputError

SIZE = (640, 480)
"""Width and height of what a camera of a door commonly gives."""

_GREY = 110
_STEPS = (0, 2, 4, 2)
"""Pixels that the picture moves from frame to frame: no two are the same, as before a real camera."""


def scene(pixels: NDArray[np.uint8], step: int = 0) -> NDArray[np.uint8]:
    """A picture RGB (H, W, 3) before the camera: as large as fits, in the middle, ``step`` pixels to the right."""
    width, height = SIZE
    shrink = min(width / pixels.shape[1], height / pixels.shape[0])
    size = (round(pixels.shape[1] * shrink), round(pixels.shape[0] * shrink))
    seen = Image.new("RGB", SIZE, (_GREY, _GREY, _GREY))
    shown = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    seen.paste(shown, ((width - size[0]) // 2 + step, (height - size[1]) // 2))
    return np.asarray(seen)


def write_clip(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write a clip of a picture that moves a little."""
    write_y4m(path, [scene(pixels, step) for step in _STEPS])


def write_y4m(path: Path, frames: Sequence[NDArray[np.uint8]], rate: int = 15) -> None:
    """Write frames, RGB (H, W, 3) of one even height and width, as YUV4MPEG2, 4:2:0.

    Raises:
        InputError: no frame, or frames of several or odd sizes.

    """
    shapes = {frame.shape for frame in frames}
    height, width = next(iter(shapes))[:2] if len(shapes) == 1 else (1, 1)
    if height % 2 or width % 2:
        raise InputError("A clip needs frames of one size, with an even height and width.")
    parts = [f"YUV4MPEG2 W{width} H{height} F{rate}:1 Ip A1:1 C420jpeg\n".encode()]
    for frame in frames:
        luma, *chroma = np.moveaxis(np.asarray(Image.fromarray(frame).convert("YCbCr"), np.float64), -1, 0)
        planes = [16 + luma * (219 / 255)]
        planes += [128 + (_halved(plane) - 128) * (224 / 255) for plane in chroma]
        parts += [b"FRAME\n", *(np.rint(plane).astype(np.uint8).tobytes() for plane in planes)]
    path.write_bytes(b"".join(parts))


def _halved(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    height, width = plane.shape
    halved: NDArray[np.float64] = plane.reshape(height // 2, 2, width // 2, 2).mean((1, 3))
    return halved
