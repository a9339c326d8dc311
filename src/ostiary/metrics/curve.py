"""Readings from the whole curve of errors: AUC, equal error rate, BPCER at a given APCER.

A threshold t accepts a presentation if ``liveness >= t``. Only thresholds that the data attain are looked
at: each score that occurs, and one above them all. Nothing is interpolated between two of them.
Thresholds chosen here are chosen on the very data that are judged: they are readings of a DET curve,
never operating points (``thresholds.py`` has those).
"""

from __future__ import annotations

from collections.abc import Callable
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
    ``units`` (N,) numbers whom (or what) each trial belongs to. Weights are whole numbers.
    """
    scores, rank = np.unique(trials.liveness[trials.answered], return_inverse=True)
    ranks = np.full(len(trials), -1, np.intp)
    ranks[trials.answered] = rank

    def ranked(members: NDArray[np.bool_]) -> _Ranked:
        return _Ranked.of(ranks[members & trials.answered], units[members & trials.answered], len(scores))

    genuine, attacks = ranked(trials.bona_fide), ranked(~trials.bona_fide)
    species = [ranked(trials.of(name)) for name in trials.attack_species]

    def statistic(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        kept, fooled = genuine.mass(weights), attacks.mass(weights)
        found = {"auc": _auc(genuine, kept, attacks, fooled), "eer": _eer(genuine, kept, attacks, fooled)}
        each = [fooled] if len(species) == 1 else [kind.mass(weights) for kind in species]
        for target in targets:
            lowest = np.zeros(len(weights), np.intp)
            for kind, mass in zip(species, each, strict=True):
                lowest = np.maximum(lowest, kind.lowest_rank_within(target, mass))
            refused = genuine.below(lowest, kept)
            found[f"bpcer_at_apcer:{target:g}"] = divide(refused, genuine.total(kept))
        return found

    return statistic


@dataclass(frozen=True, slots=True)
class _Ranked:
    """The n trials of one class in order of score; equal scores share a rank, counted over all classes.

    A rank stands for the threshold that is its score; the rank after the last, for one above all.
    """

    unit: NDArray[np.intp]  # (n,)
    rank: NDArray[np.intp]  # (n,)
    before: NDArray[np.intp]  # (ranks + 1,): how many of the n trials are below each rank

    @classmethod
    def of(cls, rank: NDArray[np.intp], unit: NDArray[np.intp], ranks: int) -> _Ranked:
        order = np.argsort(rank, kind="stable")
        return cls(unit[order], rank[order], np.searchsorted(rank[order], np.arange(ranks + 1)))

    def mass(self, weights: NDArray[np.float64]) -> NDArray[np.float32]:
        """Weight of the first 0, 1, ... n trials in each draw, (draws, n + 1)."""
        mass = np.zeros((len(weights), len(self.unit) + 1), np.float32)  # exact for counts up to 2^24
        np.cumsum(weights.astype(np.float32)[:, self.unit], axis=1, out=mass[:, 1:])
        return mass

    def total(self, mass: NDArray[np.float32]) -> NDArray[np.float64]:
        return mass[:, -1].astype(np.float64)

    def below(self, rank: NDArray[np.intp], mass: NDArray[np.float32]) -> NDArray[np.float64]:
        """Weight of the trials below a threshold rank (draws,), one a draw."""
        return mass[np.arange(len(mass)), self.before[rank]].astype(np.float64)

    def lowest_rank_within(self, target: float, mass: NDArray[np.float32]) -> NDArray[np.intp]:
        """Lowest rank at which at most ``target`` of the weight is accepted."""
        total = self.total(mass)
        limit = target * total + _SLACK
        return _first_rank(lambda rank: total - self.below(rank, mass) <= limit, len(self.before) - 1, len(mass))


def _auc(
    genuine: _Ranked, kept: NDArray[np.float32], attacks: _Ranked, fooled: NDArray[np.float32]
) -> NDArray[np.float64]:
    below, up_to = attacks.before[genuine.rank], attacks.before[genuine.rank + 1]
    beaten = (fooled[:, below] + fooled[:, up_to]) / 2
    won = np.einsum("dg,dg->d", np.diff(kept, axis=1), beaten, dtype=np.float64)
    return divide(won, genuine.total(kept) * attacks.total(fooled))


def _eer(
    genuine: _Ranked, kept: NDArray[np.float32], attacks: _Ranked, fooled: NDArray[np.float32]
) -> NDArray[np.float64]:
    """The curves cross once: search the crossing, then take the closer of its two sides."""
    n_genuine, n_attack = genuine.total(kept), attacks.total(fooled)

    def gap(rank: NDArray[np.intp]) -> NDArray[np.float64]:
        """(APCER - BPCER) x both totals: whole numbers, so that ties are exact; falls with the rank."""
        return (n_attack - attacks.below(rank, fooled)) * n_genuine - genuine.below(rank, kept) * n_attack

    after = _first_rank(lambda rank: gap(rank) <= 0, len(genuine.before) - 1, len(kept))
    ahead = np.maximum(after - 1, 0)
    at = np.where(np.abs(gap(ahead)) < np.abs(gap(after)), ahead, after)
    apcer = divide(n_attack - attacks.below(at, fooled), n_attack)
    return (apcer + divide(genuine.below(at, kept), n_genuine)) / 2


def _first_rank(
    condition: Callable[[NDArray[np.intp]], NDArray[np.bool_]], last: int, draws: int
) -> NDArray[np.intp]:
    """Lowest rank in 0..last where a condition holds that, once true, stays true; it holds at ``last``."""
    low, high = np.zeros(draws, np.intp), np.full(draws, last, np.intp)
    while (low < high).any():
        middle = (low + high) // 2
        holds = condition(middle)
        low, high = np.where(holds, low, middle + 1), np.where(holds, middle, high)
    return low


def _both_classes(trials: Trials) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    genuine, scores = trials.bona_fide[trials.answered], trials.liveness[trials.answered]
    if genuine.all() or not genuine.any():
        missing = "attack" if len(genuine) and genuine.all() else "bona fide presentation"
        raise RateError(f"There is no {missing} with a score, so the two classes cannot be compared.")
    return genuine, scores


_SLACK = 1e-9  # a share times a count may fall a hair short of the whole number that it is
_DIGITS = 12  # two distances that differ in the last bits only are equal
