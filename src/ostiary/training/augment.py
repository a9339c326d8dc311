"""Changes to a training picture that a camera, a network or a room might have made.

All of it is drawn from one generator handed in, so that a picture's change depends on the seed and its
place in the run alone: not on the process, the worker, or an interruption.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from pydantic import BaseModel, ConfigDict, Field

from ostiary.faces.crops import loose_crop
from ostiary.faces.detector import Box
from ostiary.faces.preprocess import Preprocess
from ostiary.training.recapture import compressed

Crop = NDArray[np.uint8]


class Augmentation(BaseModel):
    """Strength of each change; zero means never.

    ``shift`` is in shares of the box, ``zoom`` the largest factor by which the crop grows or shrinks.
    ``brightness`` to ``gains`` are the half-widths of uniform draws around 1 (``hue`` in turns around 0,
    ``gamma`` in octaves). ``noise`` is the largest standard deviation in grey levels at mid-grey.
    ``tight``, ``blur``, ``shrink``, ``jpeg``, ``sharpen``, ``grey`` and ``erase`` are probabilities.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    flip: bool = True
    tight: float = Field(default=0.0, ge=0, le=1)
    shift: float = Field(default=0.0, ge=0, le=0.5)
    zoom: float = Field(default=1.0, ge=1, le=2)
    brightness: float = Field(default=0.0, ge=0, lt=1)
    contrast: float = Field(default=0.0, ge=0, lt=1)
    saturation: float = Field(default=0.0, ge=0, le=1)
    hue: float = Field(default=0.0, ge=0, le=0.5)
    gamma: float = Field(default=0.0, ge=0, le=2)
    gains: float = Field(default=0.0, ge=0, lt=1)
    noise: float = Field(default=0.0, ge=0)
    blur: float = Field(default=0.0, ge=0, le=1)
    shrink: float = Field(default=0.0, ge=0, le=1)
    jpeg: float = Field(default=0.0, ge=0, le=1)
    sharpen: float = Field(default=0.0, ge=0, le=1)
    grey: float = Field(default=0.0, ge=0, le=1)
    erase: float = Field(default=0.0, ge=0, le=1)

    def crop(self, picture: Crop, box: Box, preprocess: Preprocess, rng: np.random.Generator) -> Crop:
        """Cut a face out of its picture and change it: uint8 (size, size, 3), RGB."""
        if rng.random() < self.tight:
            picture, box = _tight(picture, box, rng)
        return self.change(loose_crop(picture, self._jittered(box, rng), preprocess), rng)

    def change(self, crop: Crop, rng: np.random.Generator) -> Crop:
        """Change a crop that is already cut: uint8 (size, size, 3), RGB."""
        if self.flip and rng.random() < 0.5:
            crop = np.ascontiguousarray(crop[:, ::-1])
        crop = self._optics(crop, rng)
        crop = self._colours(crop, rng)
        crop = self._sensor(crop, rng)
        if rng.random() < self.jpeg:
            crop = compressed(crop, quality=int(rng.integers(25, 96)))
        if rng.random() < self.erase:
            crop = _erased(crop, rng)
        return crop

    def _jittered(self, box: Box, rng: np.random.Generator) -> Box:
        dx, dy = rng.uniform(-self.shift, self.shift, 2)
        zoom = self.zoom ** rng.uniform(-1, 1)
        width, height = box.width * zoom, box.height * zoom
        x = box.x + box.width * (0.5 + dx) - width / 2
        y = box.y + box.height * (0.5 + dy) - height / 2
        return Box(x, y, width, height)

    def _optics(self, crop: Crop, rng: np.random.Generator) -> Crop:
        """Fewer real pixels, an unsharp lens, or a camera that sharpens."""
        size = crop.shape[0]
        picture = Image.fromarray(crop)
        if rng.random() < self.shrink:
            small = int(size * rng.uniform(0.3, 0.9))
            down = rng.choice([Image.Resampling.BILINEAR, Image.Resampling.BOX, Image.Resampling.BICUBIC])
            up = rng.choice([Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
            picture = picture.resize((small, small), Image.Resampling(down))
            picture = picture.resize((size, size), Image.Resampling(up))
        if rng.random() < self.blur:
            picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.6)))
        if rng.random() < self.sharpen:
            picture = picture.filter(ImageFilter.UnsharpMask(rng.uniform(0.5, 2), int(rng.integers(40, 160)), 2))
        return np.asarray(picture)

    def _colours(self, crop: Crop, rng: np.random.Generator) -> Crop:
        """Light, white balance and tone curve; one pass in float."""
        x = crop.astype(np.float32) / 255
        gamma = 2.0 ** rng.uniform(-self.gamma, self.gamma)
        if gamma != 1:
            x = x**gamma
        x *= (1 + rng.uniform(-self.gains, self.gains, 3)).astype(np.float32)
        x *= 1 + rng.uniform(-self.brightness, self.brightness)
        mean = x.mean()
        x = mean + (x - mean) * (1 + rng.uniform(-self.contrast, self.contrast))
        luma = x @ np.array([0.299, 0.587, 0.114], np.float32)
        saturation = 0.0 if rng.random() < self.grey else 1 + rng.uniform(-self.saturation, self.saturation)
        x = luma[..., None] + (x - luma[..., None]) * saturation
        if self.hue:
            x = x @ _hue_rotation(rng.uniform(-self.hue, self.hue))
        return np.asarray(x.clip(0, 1) * 255 + 0.5, np.uint8)

    def _sensor(self, crop: Crop, rng: np.random.Generator) -> Crop:
        """ISO noise: shot noise that grows with the root of the light, and coarser noise in colour."""
        if not self.noise:
            return crop
        deviation = self.noise * rng.random() ** 2
        size = crop.shape[0]
        x = crop.astype(np.float32)
        light = np.sqrt(x.mean(axis=2, keepdims=True) / 128 + 0.05)
        x += deviation * light * rng.standard_normal((size, size, 1), np.float32)
        coarse = rng.standard_normal((size // 2, size // 2, 3), np.float32)
        x += 0.5 * deviation * light * np.repeat(np.repeat(coarse, 2, 0), 2, 1)[:size, :size]
        return (x.clip(0, 255) + 0.5).astype(np.uint8)


def _tight(picture: Crop, box: Box, rng: np.random.Generator) -> tuple[Crop, Box]:
    """Cut the picture down to the face and little more, as tight data sets are: no set may be known by it."""
    left, top, right, bottom = rng.uniform(0, 0.2, 4) * (box.width, box.height, box.width, box.height)
    x, y = max(0, int(box.x - left)), max(0, int(box.y - top))
    window = picture[y : int(box.y + box.height + bottom) + 1, x : int(box.x + box.width + right) + 1]
    return window, Box(box.x - x, box.y - y, box.width, box.height)


def _erased(crop: Crop, rng: np.random.Generator) -> Crop:
    """One rectangle of up to a third of the side, in one grey: no single spot may decide."""
    size = crop.shape[0]
    height, width = rng.integers(size // 10, size // 3, 2)
    top, left = rng.integers(0, size - height), rng.integers(0, size - width)
    crop = crop.copy()
    crop[top : top + height, left : left + width] = rng.integers(0, 256)
    return crop


def _hue_rotation(turns: float) -> NDArray[np.float32]:
    """Rotation of colours about the grey axis, to be applied to row vectors (RGB)."""
    angle = 2 * np.pi * turns
    axis = np.full(3, 1 / np.sqrt(3))
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    rotation = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    return np.asarray(rotation.T, np.float32)
