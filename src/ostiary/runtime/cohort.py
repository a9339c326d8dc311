"""Strangers' logits as a common scale: after enrolment, one threshold means the same for every person.

A fixed cohort of strangers' crops is shown to the new verifier once. Mean and deviation of its logits are folded
into the last layer, so that nothing of this is left at run time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import InputError
from ostiary.runtime.verifier_layers import Architecture


def fold_cohort(
    theta: NDArray[np.float32], architecture: Architecture, logits: NDArray[np.floating]
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Scale and shift the last layer, so that the cohort's logits get mean 0 and deviation 1.

    Args:
        theta: (parameters,) of the new verifier; left as it is.
        architecture: of theta.
        logits: what it says of the cohort's crops, (n,), at least two and not all equal.

    Returns:
        The new theta, and mean and deviation of the logits before.

    Raises:
        InputError: the logits have no deviation, or are not finite.

    """
    numbers = np.asarray(logits, np.float64)
    if numbers.ndim != 1 or not np.isfinite(numbers).all() or len(np.unique(numbers)) < 2:
        raise InputError(
            f"a cohort's logits of shape {numbers.shape} have no scale: give those of at least two different "
            "strangers, all finite."
        )
    mean, deviation = float(numbers.mean()), float(numbers.std())
    folded = theta.copy()
    weight, bias = architecture.parts(folded)[architecture.layers[-1].name]
    weight /= np.float32(deviation)
    bias -= np.float32(mean)
    bias /= np.float32(deviation)
    return folded, (mean, deviation)
