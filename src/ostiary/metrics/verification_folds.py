"""The k-fold protocol of LFW (Huang et al. 2007): no pair is judged by a threshold that was chosen on it.

For each fold the threshold is the one with the most right answers on all other folds, and the fold is judged by
it; the result is the mean over the folds with the standard error of that mean. Only thresholds that the data
attain are looked at, and among equally good ones the strictest is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import RateError
from ostiary.metrics.bootstrap import Statistic, divide
from ostiary.metrics.curve import above
from ostiary.metrics.verification_trials import Comparisons

FOLDS = 10


@dataclass(frozen=True, slots=True)
class FoldAccuracy:
    """Accuracy by the k-fold protocol.

    ``accuracy`` is the mean over the folds and ``standard_error`` that of this mean, s / sqrt(k). ``folds``,
    ``accuracies`` and ``thresholds`` have one entry a fold. ``right`` (N,) says of each comparison whether it was
    judged rightly. ``dealt`` is true if the data named no folds, or none that leave both classes to choose a
    threshold by, so that they were made here.
    """

    accuracy: float
    standard_error: float
    folds: tuple[int, ...]
    accuracies: tuple[float, ...]
    thresholds: tuple[float, ...]
    right: NDArray[np.bool_]
    dealt: bool


def fold_accuracy(comparisons: Comparisons) -> FoldAccuracy:
    """Judge every fold by the threshold of the others.

    Raises:
        RateError: mated or non-mated comparisons are missing, or there are too few to make two folds.

    """
    folds = _Folds.of(comparisons)
    accuracies, places = (found[0] for found in folds.judge(np.ones((1, len(comparisons)))))
    scores = np.unique(comparisons.similarity)[::-1]
    thresholds = np.append(above(float(scores[0])), scores)[places]
    accepted = comparisons.similarity >= thresholds[np.searchsorted(folds.names, folds.fold)]
    spread = float(np.std(accuracies, ddof=1))
    return FoldAccuracy(
        accuracy=float(accuracies.mean()),
        standard_error=spread / len(accuracies) ** 0.5,
        folds=tuple(folds.names.tolist()),
        accuracies=tuple(accuracies.tolist()),
        thresholds=tuple(thresholds.tolist()),
        right=np.asarray(accepted == comparisons.same, bool),
        dealt=folds.dealt,
    )


def accuracy_statistic(comparisons: Comparisons) -> Statistic:
    """``accuracy`` for many weightings of the comparisons (draws, N), thresholds chosen anew in each.

    Raises:
        RateError: as `fold_accuracy`.

    """
    folds = _Folds.of(comparisons)

    def statistic(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        accuracies, _ = folds.judge(weights)
        counted = np.isfinite(accuracies)  # a draw may leave a fold empty
        total = np.where(counted, accuracies, 0).sum(axis=1)
        return {"accuracy": divide(total, counted.sum(axis=1).astype(np.float64))}

    return statistic


@dataclass(frozen=True, slots=True)
class _Folds:
    """The comparisons in falling order of similarity, and where a threshold can lie.

    A threshold at place p accepts the first ``cuts[p]`` of them; the first place is above them all.
    """

    order: NDArray[np.intp]  # (N,)
    sign: NDArray[np.float32]  # (N,) in that order: what it brings to accept one, +1 mated, -1 non-mated
    cuts: NDArray[np.intp]  # (distinct similarities + 1,)
    fold: NDArray[np.intp]  # (N,) in the order of the data
    names: NDArray[np.intp]  # (folds,)
    dealt: bool

    @classmethod
    def of(cls, comparisons: Comparisons) -> _Folds:
        if not comparisons.both_classes:
            missing = "non-mated" if comparisons.same.any() else "mated"
            raise RateError(f"There is no {missing} comparison, so that an accuracy would say nothing.")
        given = comparisons.fold
        dealt = given is None or not _usable(given, comparisons.same)
        fold = _deal(comparisons.same) if given is None or dealt else given
        order = np.argsort(-comparisons.similarity, kind="stable")
        starts = np.unique(-comparisons.similarity[order], return_index=True)[1]
        sign = np.where(comparisons.same, 1, -1).astype(np.float32)[order]
        return cls(order, sign, np.append(starts, len(order)).astype(np.intp), fold, np.unique(fold), dealt)

    def judge(self, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Weights (draws, N) -> accuracy (draws, folds), NaN for an empty fold, and places of thresholds."""
        signed = weights.astype(np.float32)[:, self.order] * self.sign
        fold = self.fold[self.order]
        accuracies = np.empty((len(weights), len(self.names)))
        places = np.empty(accuracies.shape, np.intp)
        for column, name in enumerate(self.names):
            held_out = fold == name
            others = _gain(np.where(held_out, 0, signed))
            if len(self.cuts) < others.shape[1]:  # equal similarities: no threshold lies between them
                others = others[:, self.cuts]
            place = np.argmax(others, axis=1)  # the first, and so the strictest, of the best
            own = signed[:, held_out]
            accepted = np.append(0, np.cumsum(held_out))[self.cuts[place]]
            non_mated = -np.where(own < 0, own, 0).sum(axis=1, dtype=np.float64)
            right = _gain(own)[np.arange(len(weights)), accepted] + non_mated
            accuracies[:, column] = divide(right, np.abs(own).sum(axis=1, dtype=np.float64))
            places[:, column] = place
        return accuracies, places


def _gain(signed: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mated minus non-mated weight among the first 0, 1, ... n, (draws, n + 1)."""
    gain = np.zeros((len(signed), signed.shape[1] + 1), np.float32)  # exact for counts up to 2^24
    np.cumsum(signed, axis=1, out=gain[:, 1:])
    return gain


def _usable(fold: NDArray[np.intp], same: NDArray[np.bool_]) -> bool:
    """Whether a threshold can be chosen for each fold: the others must hold both classes."""
    return all(same[fold != name].any() and not same[fold != name].all() for name in np.unique(fold))


def _deal(same: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Folds for data without any: each class cut, as it is listed, into up to ten stretches of equal length.

    Lists mostly go person by person, so that stretches keep most people in one fold.
    """
    smaller = int(min(same.sum(), (~same).sum()))
    folds = min(FOLDS, smaller)
    if folds < 2:
        raise RateError(
            f"The k-fold protocol needs at least two comparisons of each kind, and there is {smaller} of one; "
            "give more pairs."
        )
    fold = np.empty(len(same), np.intp)
    for members in (same, ~same):
        count = int(members.sum())
        fold[members] = np.arange(count) * folds // count
    return fold
