"""Crops for calibrating an 8-bit model, drawn from an index."""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray

from ostiary.data.index import Index
from ostiary.data.pictures import PictureStore
from ostiary.errors import DataIndexError
from ostiary.faces.crops import loose_crop
from ostiary.faces.preprocess import Preprocess


def calibration_crops(
    index: Index, pictures: PictureStore, preprocess: Preprocess, *, count: int = 256, seed: int = 0
) -> NDArray[np.uint8]:
    """Draw samples that have a box and cut them as at run time: uint8 (N, size, size, 3), N <= ``count``.

    Use training or development data, never a test split.

    Raises:
        DataIndexError: no sample has a box.

    """
    samples = [sample for sample in index if sample.box is not None]
    if not samples:
        raise DataIndexError("the index has no sample with a face box, so there is nothing to calibrate on.")
    chosen = random.Random(seed).sample(samples, min(count, len(samples)))
    crops = [
        loose_crop(pictures.image(sample.path), sample.box, preprocess)
        for sample in chosen
        if sample.box is not None
    ]
    return np.stack(crops)
