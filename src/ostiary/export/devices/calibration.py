"""The pictures that 8-bit ranges are measured on: of people that were learnt from, never of others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ostiary.data.index import Index
from ostiary.data.pictures import PictureStore
from ostiary.errors import ConfigurationError, ImageError
from ostiary.faces.crops import loose_crop
from ostiary.faces.preprocess import Preprocess

PICTURES = 256


def training_crops(
    index: Index, pictures: PictureStore, preprocess: Preprocess, limit: int = PICTURES
) -> NDArray[np.uint8]:
    """Up to ``limit`` loose crops of the split ``train``, uint8 (N, S, S, 3), spread evenly over it.

    Raises:
        ConfigurationError: no picture of that split can be read or has a face box.

    """
    samples = [sample for sample in index.select(split="train") if sample.box is not None]
    crops = []
    for place in np.unique(np.linspace(0, len(samples) - 1, min(limit, len(samples))).astype(int)):
        sample = samples[place]
        assert sample.box is not None
        try:
            crops.append(loose_crop(pictures.image(sample.path), sample.box, preprocess))
        except ImageError:
            continue
    if not crops:
        raise ConfigurationError("the index has no picture with a face box in its split train to calibrate on.")
    return np.stack(crops)
