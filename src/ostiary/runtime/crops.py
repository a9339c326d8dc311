"""What every model asks of the crops it is given, whatever its task."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import InputError
from ostiary.faces.preprocess import Preprocess


def check_crops(crops: NDArray[np.uint8], preprocess: Preprocess, model: str) -> None:
    """Refuse crops that were not cut as the record of ``model`` says.

    Raises:
        InputError: ``crops`` is not RGB uint8 (N, size, size, 3).

    """
    size = preprocess.size
    if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[1:] != (size, size, 3):
        raise InputError(
            f"crops of type {crops.dtype} and shape {crops.shape} do not fit {model}: "
            f"it takes uint8 (N, {size}, {size}, 3)."
        )
