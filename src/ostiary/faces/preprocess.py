"""How a face becomes a network's input: a record that is saved inside the weights' file.

Training and run time read the same record and call the same crop functions (``crops.py``), so that the
two can never drift apart.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field


class Preprocess(BaseModel):
    """Crop, size, channel order and normalisation of a network's input.

    ``scale`` is the side of the loose crop over the longer side of the face box; it is not used by the
    aligned crop, whose template is fixed. ``surroundings`` is how the loose crop is laid: ``square`` is ours, the
    others are those of published networks (``foreign_crops.py``), which bring their own interpolation. ``mean``
    and ``std`` are in grey levels (0..255), in the order of ``channels``: the network sees
    ``(pixel - mean) / std``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    crop: Literal["loose", "aligned"]
    size: int = Field(ge=16, le=1024)
    scale: float = Field(default=1.0, ge=1.0, le=8.0)
    surroundings: Literal["square", "proportional", "mirrored"] = "square"
    channels: Literal["RGB", "BGR"] = "RGB"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    interpolation: Literal["bilinear", "bicubic", "box"] = "bilinear"

    def normalise(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """RGB uint8 crops (N, size, size, 3) -> the network's input, float32 (N, 3, size, size)."""
        pixels = crops if self.channels == "RGB" else crops[..., ::-1]
        # Planes first: each channel is then one run of memory with one mean, several times as fast.
        planes = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).astype(np.float32)
        planes -= np.asarray(self.mean, np.float32)[:, None, None]
        planes /= np.asarray(self.std, np.float32)[:, None, None]
        return planes
