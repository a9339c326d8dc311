"""Misplaced landmarks: what a detector's small errors do to an aligned crop."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field


class Misalignment(BaseModel):
    """Strength of each change of an aligned crop; zero means never.

    ``turn`` is the largest rotation in degrees, ``zoom`` the largest factor of scale, ``shift`` the largest
    step in pixels along each axis.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    turn: float = Field(default=0.0, ge=0, le=45)
    zoom: float = Field(default=1.0, ge=1, le=1.5)
    shift: float = Field(default=0.0, ge=0, le=20)

    def __call__(self, crop: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """RGB (S, S, 3) -> the same size, turned, scaled and shifted; black where there is no picture."""
        if not self.turn and not self.shift and self.zoom == 1:
            return crop
        angle = math.radians(rng.uniform(-self.turn, self.turn))
        scale = self.zoom ** rng.uniform(-1, 1)
        dx, dy = rng.uniform(-self.shift, self.shift, 2)
        middle = crop.shape[0] / 2
        cosine, sine = math.cos(angle) / scale, math.sin(angle) / scale
        matrix = (
            *(cosine, -sine, middle - cosine * (middle + dx) + sine * (middle + dy)),
            *(sine, cosine, middle - sine * (middle + dx) - cosine * (middle + dy)),
        )
        picture = Image.fromarray(crop)
        return np.asarray(
            picture.transform(picture.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        )
