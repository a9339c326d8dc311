"""The error rates at one threshold, for many weightings of the people at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ostiary.metrics.bootstrap import Statistic, divide
from ostiary.metrics.trials import Trials


def error_statistic(trials: Trials, threshold: float, units: NDArray[np.intp]) -> Statistic:
    """The rates at a threshold, for many weightings of the units at once.

    The sum over a class is a product of the weights with the counts per unit, so a draw costs little.
    """
    names = trials.attack_species
    classes = [trials.bona_fide, *(trials.of(name) for name in names)]
    accepted = trials.liveness >= threshold
    wrong = np.where(trials.bona_fide, ~accepted, accepted) & trials.answered
    size = int(units.max()) + 1 if len(units) else 0
    errors = count_by_unit([mask & wrong for mask in classes], units, size)
    counts = count_by_unit([mask & trials.answered for mask in classes], units, size)

    def statistic(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        k, n = weights @ errors, weights @ counts
        rate = divide(k, n)
        found = {f"apcer:{name}": rate[:, column] for column, name in enumerate(names, start=1)}
        worst = np.where(np.isnan(rate[:, 1:]), -1.0, rate[:, 1:]).max(axis=1, initial=-1.0)
        found["apcer_max"] = np.where(worst < 0, np.nan, worst)
        found["apcer_pooled"] = divide(k[:, 1:].sum(axis=1), n[:, 1:].sum(axis=1))
        found["bpcer"] = rate[:, 0]
        found["acer_pooled"] = (found["apcer_pooled"] + found["bpcer"]) / 2
        found["accuracy"] = 1 - divide(k.sum(axis=1), n.sum(axis=1))
        return found

    return statistic


def count_by_unit(masks: list[NDArray[np.bool_]], units: NDArray[np.intp], size: int) -> NDArray[np.float64]:
    """Trials of each unit under each mask, (units, masks)."""
    return np.stack([np.bincount(units[mask], minlength=size) for mask in masks], axis=1).astype(np.float64)
