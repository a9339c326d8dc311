"""The band of a cascade, its cost and its errors, on cases worked by hand and on any scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.errors import ConfigurationError, RateError
from ostiary.metrics.cascade import (
    ALIGNED_THRESHOLD,
    Stage,
    cascade_curve,
    cascade_point,
    cascaded,
    choose_band,
)
from ostiary.metrics.trials import Trials
from ostiary.runtime.liveness_record import Band

# Four people, then four attacks of two species; the second word rights b (0.45) and y (0.55), and spoils c (0.7).
FIRST_SCORES = [0.9, 0.45, 0.7, 0.95, 0.1, 0.55, 0.3, 0.2]
SECOND_SCORES = [0.9, 0.8, 0.5, 0.95, 0.1, 0.5, 0.3, 0.2]
GENUINE = [True] * 4 + [False] * 4
SPECIES = ["", "", "", "", "print", "replay", "replay", "replay"]


def stage(word: str, scores: list[float | None], threshold: float, cost: float) -> Stage:
    return Stage(word, Trials.from_columns(scores, GENUINE, SPECIES), threshold, cost)


FIRST = stage("LLL", list(FIRST_SCORES), 0.5, 0.8)
SECOND = stage("BBB", list(SECOND_SCORES), 0.6, 0.7)


def test_a_quarter_goes_on() -> None:
    band = choose_band(FIRST, SECOND, 0.25, data="drawn")
    assert (band.low, band.high) == (0.45, np.nextafter(0.55, 2))
    assert (band.share, band.n_bona_fide, band.n_attack, band.data) == (0.25, 4, 4, "drawn")
    point = cascade_point(FIRST, SECOND, band)
    assert (point.share, point.share_bona_fide, point.share_attack) == (0.25, 0.25, 0.25)
    assert point.cost == pytest.approx(0.8 + 0.25 * 0.7)
    assert (point.apcer_max, point.apcer_pooled, point.bpcer, point.acer_pooled, point.eer) == (0, 0, 0, 0, 0)


def test_none_and_all_are_the_words_alone() -> None:
    none, every = cascade_curve((FIRST, SECOND), (FIRST, SECOND), [0, 1], data="drawn")
    assert (none.band.low, none.band.high, none.share, none.cost) == (0.5, 0.5, 0, 0.8)
    assert (none.apcer_max, none.apcer_pooled, none.bpcer) == (1 / 3, 1 / 4, 1 / 4)
    assert (every.share, every.cost) == (1, 1.5)
    assert (every.apcer_max, every.apcer_pooled, every.bpcer) == (0, 0, 1 / 4)
    assert (none.eer, every.eer) == (1 / 4, 1 / 8)


def test_the_band_is_chosen_on_development_data_alone() -> None:
    others = stage("LLL", [0.5] * 8, 0.5, 0.8), stage("BBB", [0.9] * 4 + [0.1] * 4, 0.6, 0.7)
    (point,) = cascade_curve((FIRST, SECOND), others, [0.25], data="drawn")
    assert point.band == choose_band(FIRST, SECOND, 0.25, data="drawn")
    assert point.share == 1


def test_equal_distances_go_on_together_or_not_at_all() -> None:
    first = stage("LLL", [0.5] * 4 + [0.2] * 4, 0.5, 1)
    bands = [choose_band(first, SECOND, share, data="drawn") for share in (0.49, 0.5, 0.9, 1)]
    assert [band.share for band in bands] == [0, 0.5, 0.5, 1]


def test_presentations_without_an_answer_are_left_out() -> None:
    first = stage("LLL", [None, *FIRST_SCORES[1:]], 0.5, 0.8)
    second = stage("BBB", [*SECOND_SCORES[:-1], None], 0.6, 0.7)
    assert cascaded(first, second, Band(first="LLL", second="BBB", low=0, high=2)).answered.tolist() == [
        False, *[True] * 6, False,
    ]  # fmt: skip
    assert choose_band(first, second, 1 / 3, data="drawn").n_attack == 3


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_shares_that_are_none_are_refused(share: float) -> None:
    with pytest.raises(ConfigurationError, match="give one in"):
        choose_band(FIRST, SECOND, share, data="drawn")


def test_words_measured_on_different_presentations_are_refused() -> None:
    other = replace(SECOND, trials=Trials.from_columns(SECOND_SCORES, GENUINE[::-1]))
    with pytest.raises(RateError, match="LLL and BBB were not measured on the same"):
        choose_band(FIRST, other, 0.1, data="drawn")
    silent = stage("BBB", [None] * 8, 0.6, 0.7)
    with pytest.raises(RateError, match="No presentation has an answer"):
        choose_band(FIRST, silent, 0.1, data="drawn")


def test_one_class_alone_is_refused() -> None:
    people = FIRST.trials.bona_fide
    first, second = (replace(one, trials=one.trials.select(people)) for one in (FIRST, SECOND))
    with pytest.raises(RateError, match="one class is missing"):
        cascade_point(first, second, choose_band(first, second, 0.5, data="drawn"))


# Coarse numbers, so that scores meet thresholds and each other often; 0 and 1 among them.
NUMBERS = st.integers(0, 32).map(lambda number: float(np.float32(number / 32)))
SCORES = st.lists(NUMBERS, min_size=8, max_size=8)


@given(SCORES, SCORES, NUMBERS, NUMBERS, st.floats(0, 1))
def test_any_scores(first: list[float], second: list[float], t1: float, t2: float, share: float) -> None:
    one, other = stage("LLL", list(first), t1, 1.0), stage("BBB", list(second), t2, 0.5)
    band = choose_band(one, other, share, data="drawn")
    assert band.low <= t1 <= band.high
    assert band.share is not None
    assert band.share <= share + 1e-9
    trials = cascaded(one, other, band)
    assert ((trials.liveness >= 0) & (trials.liveness <= 1)).all()
    goes_on = [band.low <= value < band.high for value in first]
    expected = [b >= t2 if on else a >= t1 for a, b, on in zip(first, second, goes_on, strict=True)]
    assert (trials.liveness >= ALIGNED_THRESHOLD).tolist() == expected
    point = cascade_point(one, other, band)
    assert point.share == band.share
    assert point.cost == 1 + 0.5 * point.share
    assert point.bpcer == 1 - np.mean(expected[:4])
    assert point.apcer_pooled == np.mean(expected[4:])
    wider = choose_band(one, other, 1, data="drawn")
    assert wider.low <= band.low <= band.high <= wider.high
    assert wider.share == 1


@given(st.lists(st.floats(0, 1, width=32), min_size=8, max_size=8), st.floats(0.01, 0.99))
def test_moving_the_threshold_keeps_the_order(scores: list[float], threshold: float) -> None:
    only = Band(first="LLL", second="BBB", low=threshold, high=threshold)
    moved = cascaded(stage("LLL", list(scores), threshold, 1), SECOND, only).liveness
    assert (np.diff(moved[np.argsort(scores, kind="stable")]) >= 0).all()
