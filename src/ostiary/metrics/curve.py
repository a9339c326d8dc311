"""Readings from the whole curve of errors: AUC, equal error rate, BPCER at a given APCER.

A threshold t accepts a presentation if ``liveness >= t``. Only thresholds that the data attain are looked
at: each score that occurs, and one above them all. Nothing is interpolated between two of them.
Thresholds chosen here are chosen on the very data that are judged: they are readings of a DET curve,
never operating points (``thresholds.py`` has those).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import MissingExtraError, RateError
from ostiary.metrics.bootstrap import Statistic, divide
from ostiary.metrics.trials import Trials


@dataclass(frozen=True, slots=True)
class Curve:
    """APCER (all attacks pooled) and BPCER at each threshold, from the strictest to the loosest.

    Arrays have shape (T,); the first threshold is above every score, so nothing is accepted there.
    """

    threshold: NDArray[np.float64]
    apcer: NDArray[np.float64]
    bpcer: NDArray[np.float64]


def curve(trials: Trials) -> Curve:
    """The error curve of the answered trials.

    Raises:
        RateError: bona fide presentations or attacks are missing.
    """
    try:
        from sklearn.metrics import roc_curve
    except ImportError:
        raise MissingExtraError("scikit-learn", "evaluate") from None
    genuine, scores = _both_classes(trials)
    accepted_attacks, accepted_genuine, threshold = roc_curve(genuine, scores, drop_intermediate=False)
    threshold[0] = above(float(scores.max()))
    return Curve(threshold, accepted_attacks, 1 - accepted_genuine)


def auc(trials: Trials) -> float:
    """Probability that a bona fide presentation scores above an attack (all species pooled), ties half.

    Raises:
        RateError: bona fide presentations or attacks are missing.
    """
    try:
        from sklearn.metrics import roc_auc_score
    except ImportError:
        raise MissingExtraError("scikit-learn", "evaluate") from None
    return float(roc_auc_score(*_both_classes(trials)))


def equal_error(trials: Trials) -> tuple[float, float]:
    """(D-EER, its threshold): the middle of pooled APCER and BPCER where they are closest.

    Of two equally close thresholds the stricter one is taken.

    Raises:
        RateError: bona fide presentations or attacks are missing.
    """
    found = curve(trials)
    at = int(np.argmin(np.round(np.abs(found.apcer - found.bpcer), _DIGITS)))
    return float((found.apcer[at] + found.bpcer[at]) / 2), float(found.threshold[at])


def threshold_within(trials: Trials, allowed: dict[str, int]) -> float:
    """Smallest threshold at which at most ``allowed[s]`` attacks of each species s are accepted.

    It is a score that occurs in the trials (of either class), or just above them all.
    """
    scores = np.unique(trials.liveness[trials.answered])
    lowest = 0
    for species, errors in allowed.items():
        attacks = np.sort(trials.liveness[trials.of(species) & trials.answered])[::-1]
        if len(attacks) > errors:
            lowest = max(lowest, int(np.searchsorted(scores, attacks[errors], side="right")))
    return float(scores[lowest]) if lowest < len(scores) else above(float(scores[-1]))


def bpcer_at_apcer(trials: Trials, target: float) -> tuple[float, float]:
    """(BPCER, threshold) at the smallest threshold whose APCER is <= ``target`` for every species.

    Raises:
        RateError: bona fide presentations or attacks are missing.
    """
    _both_classes(trials)
    counts = {name: int((trials.of(name) & trials.answered).sum()) for name in trials.attack_species}
    allowed = {name: int(target * count + _SLACK) for name, count in counts.items()}
    threshold = threshold_within(trials, allowed)
    genuine = trials.liveness[trials.bona_fide & trials.answered]
    return float((genuine < threshold).mean()), threshold


def above(score: float) -> float:
    """The next threshold above a score that even a float32 comparison tells apart from it."""
    return float(np.nextafter(np.float32(score), np.float32(2)))


def curve_statistic(trials: Trials, units: NDArray[np.intp], targets: tuple[float, ...]) -> Statistic:
    """AUC, EER and BPCER@APCER for many weightings of the people at once, for the bootstrap.

    The same definitions as above; scikit-learn takes one weighting at a time, which would take minutes.
    ``units`` (N,) numbers whom (or what) each trial belongs to.
    """
    ranked = _Ranked.of(trials, units)

    def statistic(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        genuine, attacks = ranked.mass(weights)
        found = {"auc": _auc(genuine, attacks), "eer": _eer(genuine, attacks)}
        for target in targets:
            found[f"bpcer_at_apcer:{target:g}"] = ranked.bpcer_at(weights, genuine, target)
        return found

    return statistic


@dataclass(frozen=True, slots=True)
class _Ranked:
    """Answered trials in order of score; equal scores share a rank 0..ranks-1."""

    unit: NDArray[np.intp]
    attack: NDArray[np.bool_]
    first: NDArray[np.intp]  # index of the first trial of each rank
    species: tuple[tuple[NDArray[np.intp], NDArray[np.intp]], ...]  # (rank, unit) of each attack, a species

    @classmethod
    def of(cls, trials: Trials, units: NDArray[np.intp]) -> _Ranked:
        order = np.flatnonzero(trials.answered)
        order = order[np.argsort(trials.liveness[order], kind="stable")]
        _, first, rank = np.unique(trials.liveness[order], return_index=True, return_inverse=True)
        kinds = trials.species[order]
        attack = ~trials.bona_fide[order]
        unit = units[order]
        members = [attack & (kinds == name) for name in trials.attack_species]
        species = tuple((rank[mask], unit[mask]) for mask in members if mask.any())
        return cls(unit, attack, first, species)

    def mass(self, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weight of the bona fide and of the attacks at each rank, (draws, ranks) each."""
        each = weights[:, self.unit]
        attacks = np.add.reduceat(each * self.attack, self.first, axis=1)
        return np.add.reduceat(each, self.first, axis=1) - attacks, attacks

    def bpcer_at(
        self, weights: NDArray[np.float64], genuine: NDArray[np.float64], target: float
    ) -> NDArray[np.float64]:
        lowest = np.zeros(len(weights), np.intp)
        for rank, unit in self.species:
            each = weights[:, unit]
            at_or_above = np.cumsum(each[:, ::-1], axis=1)[:, ::-1]
            # The trial at which too many are accepted still: the threshold must lie above its rank.
            # at_or_above falls along the row, so such trials are the first ones.
            excess = (at_or_above > target * at_or_above[:, :1] + _SLACK).sum(axis=1)
            beyond = np.where(excess > 0, rank[np.maximum(excess - 1, 0)] + 1, 0)
            lowest = np.maximum(lowest, beyond)
        below = np.cumsum(genuine, axis=1)
        refused = np.where(lowest > 0, below[np.arange(len(below)), np.maximum(lowest - 1, 0)], 0.0)
        return divide(refused, below[:, -1])


def _auc(genuine: NDArray[np.float64], attacks: NDArray[np.float64]) -> NDArray[np.float64]:
    below = np.cumsum(attacks, axis=1) - attacks / 2
    return divide((genuine * below).sum(axis=1), genuine.sum(axis=1) * attacks.sum(axis=1))


def _eer(genuine: NDArray[np.float64], attacks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns from the strictest threshold (nothing accepted) down to the lowest rank."""
    accepted = np.cumsum(attacks[:, ::-1], axis=1)
    kept = np.cumsum(genuine[:, ::-1], axis=1)
    apcer = divide(accepted, np.broadcast_to(accepted[:, -1:], accepted.shape))
    bpcer = 1 - divide(kept, np.broadcast_to(kept[:, -1:], kept.shape))
    apcer = np.pad(apcer, ((0, 0), (1, 0)))
    bpcer = np.pad(bpcer, ((0, 0), (1, 0)), constant_values=1.0)
    at = np.argmin(np.round(np.abs(apcer - bpcer), _DIGITS), axis=1)
    rows = np.arange(len(at))
    return np.asarray((apcer[rows, at] + bpcer[rows, at]) / 2, np.float64)


def _both_classes(trials: Trials) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    genuine, scores = trials.bona_fide[trials.answered], trials.liveness[trials.answered]
    if genuine.all() or not genuine.any():
        missing = "attack" if len(genuine) and genuine.all() else "bona fide presentation"
        raise RateError(f"There is no {missing} with a score, so the two classes cannot be compared.")
    return genuine, scores


_SLACK = 1e-9  # a share times a count may fall a hair short of the whole number that it is
_DIGITS = 12  # two distances that differ in the last bits only are equal
