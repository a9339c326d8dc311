"""What a cascade of two configurations costs and how often it errs, and the band that sends pictures on.

The band is chosen on development data for its cost alone: the share of pictures that go on. Its limits lie
equally far from the first word's threshold on the logit scale. Two limits fitted to the errors near the threshold
would follow the chance of a few people; whether a band is worth its cost, the curve shows.
Everything here is numpy; ``runtime/cascade.py`` is the cascade itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError, RateError
from ostiary.metrics.curve import curve_statistic
from ostiary.metrics.operating_point import error_statistic
from ostiary.metrics.trials import Trials
from ostiary.runtime.liveness_record import Band

ALIGNED_THRESHOLD = 0.5
"""The threshold of :func:`cascaded` trials, whichever word judged."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One word of a cascade: its answers, its own threshold, and its cost a picture in any unit.

    ``cost`` of the second stage is that of going on from the trunk's activations, not of the whole word.
    """

    word: str
    trials: Trials
    threshold: float
    cost: float


@dataclass(frozen=True, slots=True)
class CascadePoint:
    """What a band does on some trials; rates as in ``pad.py``, shares of pictures that go on, mean cost."""

    band: Band
    share: float
    share_bona_fide: float
    share_attack: float
    cost: float
    apcer_max: float
    apcer_pooled: float
    bpcer: float
    acer_pooled: float
    eer: float


def choose_band(first: Stage, second: Stage, share: float, *, data: str) -> Band:
    """The widest band around the first word's threshold that sends on at most ``share`` of the pictures.

    Its limits are scores that occur, or the next number above one. The labels play no part.

    Args:
        first: the development answers that go on or not.
        second: only its word and its presence matter; the curve tells whether it is worth its cost.
        share: of the answered development presentations, in [0, 1].
        data: name of the data, stored in the record.

    Raises:
        ConfigurationError: ``share`` is not in [0, 1].
        RateError: the two were not measured on the same presentations, or none has an answer.

    """
    if not 0 <= share <= 1:
        raise ConfigurationError(f"A share of {share} cannot go on to {second.word}; give one in [0, 1].")
    answered = _answered_by_both(first, second)
    liveness, genuine = first.trials.liveness[answered], first.trials.bona_fide[answered]
    distance = np.abs(_aligned(liveness, first.threshold) - ALIGNED_THRESHOLD)
    budget = int(share * len(liveness) + _SLACK)
    # All at the same distance go on together, or none of them.
    inside = distance < np.sort(distance)[budget] if budget < len(distance) else np.ones(len(distance), bool)
    low = high = first.threshold
    if inside.any():
        low = min(low, float(liveness[inside].min()))
        high = max(high, float(np.nextafter(liveness[inside].max(), 2)))
    return Band(
        first=first.word,
        second=second.word,
        low=low,
        high=high,
        share=float(_goes_on(liveness, low, high).mean()),
        n_bona_fide=int(genuine.sum()),
        n_attack=int((~genuine).sum()),
        data=data,
    )


def cascaded(first: Stage, second: Stage, band: Band) -> Trials:
    """The answers of the cascade as trials with one threshold, ``ALIGNED_THRESHOLD``.

    The liveness of a word is moved on the logit scale so that its threshold becomes 0.5; this keeps its order,
    and the decisions are exactly those of :class:`ostiary.runtime.cascade.Cascade`. A presentation has an
    answer if both words have one.

    Raises:
        RateError: the two were not measured on the same presentations, or none has an answer.

    """
    answered = _answered_by_both(first, second)
    trials = first.trials
    on = _goes_on(trials.liveness, band.low, band.high)
    liveness = np.where(
        on,
        _aligned(second.trials.liveness, second.threshold),
        _aligned(trials.liveness, first.threshold),
    )
    return Trials(np.where(answered, liveness, np.nan), answered, trials.bona_fide, trials.species, trials.person)


def cascade_point(first: Stage, second: Stage, band: Band) -> CascadePoint:
    """Cost and errors of a cascade with this band.

    Raises:
        RateError: as :func:`cascaded`, or a class is missing.

    """
    trials = cascaded(first, second, band)
    given = trials.select(trials.answered)
    if given.bona_fide.all() or not given.bona_fide.any():
        raise RateError("A cascade is judged on bona fide presentations and attacks; one class is missing.")
    on = _goes_on(first.trials.liveness[trials.answered], band.low, band.high)
    units = np.arange(len(given))
    once = np.ones((1, len(given)))
    rates = {**error_statistic(given, ALIGNED_THRESHOLD, units)(once), **curve_statistic(given, units, ())(once)}
    share = float(on.mean())
    return CascadePoint(
        band=band,
        share=share,
        share_bona_fide=float(on[given.bona_fide].mean()),
        share_attack=float(on[~given.bona_fide].mean()),
        cost=first.cost + share * second.cost,
        **{name: float(rates[name][0]) for name in ("apcer_max", "apcer_pooled", "bpcer", "acer_pooled", "eer")},
    )


def cascade_curve(
    development: tuple[Stage, Stage], judged: tuple[Stage, Stage], shares: Sequence[float], *, data: str
) -> list[CascadePoint]:
    """Error against mean cost: a band for each share from development data, judged on other data.

    Args:
        development: first and second stage; the bands come from these.
        judged: the same words, thresholds and costs on the data to judge.
        shares: target shares of development pictures that go on.
        data: name of the development data.

    Raises:
        ConfigurationError: a share outside [0, 1].
        RateError: see :func:`choose_band` and :func:`cascade_point`.

    """
    return [cascade_point(*judged, choose_band(*development, share, data=data)) for share in shares]


def _answered_by_both(first: Stage, second: Stage) -> NDArray[np.bool_]:
    one, other = first.trials, second.trials
    if len(one) != len(other) or not (
        np.array_equal(one.bona_fide, other.bona_fide) and np.array_equal(one.species, other.species)
    ):
        raise RateError(
            f"{first.word} and {second.word} were not measured on the same presentations; score both on one index."
        )
    answered: NDArray[np.bool_] = one.answered & other.answered
    if not answered.any():
        raise RateError(f"No presentation has an answer of both {first.word} and {second.word}.")
    return answered


def _goes_on(liveness: NDArray[np.float64], low: float, high: float) -> NDArray[np.bool_]:
    return np.asarray((liveness >= low) & (liveness < high), bool)


def _aligned(liveness: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """sigmoid(logit(liveness) - logit(threshold)), without logarithms: finite at 0 and 1 too."""
    bona_fide, attack = liveness * (1 - threshold), (1 - liveness) * threshold
    with np.errstate(invalid="ignore"):
        moved = bona_fide / (bona_fide + attack)
    moved = np.where(np.isnan(moved) & np.isfinite(liveness), ALIGNED_THRESHOLD, moved)
    # A liveness a rounding error away from the threshold must stay on its side of it.
    just_below = np.nextafter(ALIGNED_THRESHOLD, 0)
    accepted = np.maximum(moved, ALIGNED_THRESHOLD)
    return np.asarray(np.where(liveness >= threshold, accepted, np.minimum(moved, just_below)), np.float64)


_SLACK = 1e-9  # a share times a count may fall a hair short of the whole number that it is
