"""A threshold holds the rate that it was chosen for, or there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary.errors import RateError
from ostiary.metrics.calibrating import hold, threshold_interval
from ostiary.metrics.intervals import upper_limit
from ostiary.metrics.thresholds import choose_threshold
from ostiary.metrics.trials import Trials

NAMES = {"": "bona fide presentations", "print": "prints", "replay": "replays"}


def _trials(seed: int = 0, *, attacks: int = 300, genuine: int = 300, people: int | None = 60) -> Trials:
    generator = np.random.default_rng(seed)
    scores = np.clip(np.r_[generator.normal(0.75, 0.1, genuine), generator.normal(0.3, 0.15, 2 * attacks)], 0, 1)
    kinds = [""] * genuine + ["print"] * attacks + ["replay"] * attacks
    subjects = None if people is None else [f"{place % people}" for place in range(len(scores))]
    return Trials.from_columns(scores, [True] * genuine + [False] * 2 * attacks, kinds, subjects)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.02, 0.05, 0.2]))
def test_bona_fide_side_is_the_largest_that_holds(seed: int, rate: float) -> None:
    trials = _trials(seed, people=None)
    value = hold(trials, rate, "bona_fide", names=NAMES).value
    genuine = trials.liveness[trials.bona_fide]
    assert upper_limit(int((genuine < value).sum()), 300) <= rate
    above = genuine[genuine > value].min()
    assert upper_limit(int((genuine < above).sum()), 300) > rate


def test_attacks_side_is_the_rule_of_the_house() -> None:
    trials = _trials()
    assert hold(trials, 0.05, "attacks", names=NAMES).value == choose_threshold(trials, 0.05, data="d").value


def test_people_count_less_than_pictures() -> None:
    trials = _trials()
    for side, stricter in (("attacks", 1), ("bona_fide", -1)):
        by_picture = hold(trials, 0.05, side, names=NAMES).value  # type: ignore[arg-type]
        by_person = hold(trials, 0.05, side, names=NAMES, count="people").value  # type: ignore[arg-type]
        assert stricter * (by_person - by_picture) > 0
    value = hold(trials, 0.05, "bona_fide", names=NAMES, count="people").value
    share = (trials.liveness[trials.bona_fide] < value).mean()
    assert upper_limit(share * 60, 60) <= 0.05


def test_refusals_say_how_many_it_takes() -> None:
    with pytest.raises(
        RateError, match=r"20 prints.*60 \(rule of 3\).* At 2 a person, as here, that is 30 people"
    ):
        hold(_trials(attacks=20, genuine=20, people=10), 0.05, "attacks", names=NAMES)
    with pytest.raises(
        RateError, match=r"300 bona fide presentations of one person, who counts as one trial:.*60 people"
    ):
        hold(_trials(people=1), 0.05, "bona_fide", names=NAMES, count="people")
    with pytest.raises(RateError, match="unknown"):
        hold(_trials(people=None), 0.05, "bona_fide", names=NAMES, count="people")
    with pytest.raises(RateError, match="no bona fide"):
        hold(_trials().select(~_trials().bona_fide), 0.05, "bona_fide", names=NAMES)
    with pytest.raises(RateError, match="no attacks"):
        hold(_trials().select(_trials().bona_fide), 0.05, "attacks", names=NAMES)


def test_few_trials_leave_a_remark() -> None:
    assert "rule of 30" in hold(_trials(), 0.05, "bona_fide", names=NAMES).remarks[0]
    assert hold(_trials(), 0.2, "bona_fide", names=NAMES).remarks == ()


@pytest.mark.parametrize("side", ["attacks", "bona_fide"])
@pytest.mark.parametrize("people", [None, 60])
def test_the_interval_holds_the_threshold_and_moves_with_people(side: str, people: int | None) -> None:
    trials = _trials(people=people)
    held = hold(trials, 0.1, side, names=NAMES)  # type: ignore[arg-type]
    low, high = threshold_interval(trials, held, side)  # type: ignore[arg-type]
    assert low <= held.value <= high
    assert high - low < 0.2


def test_one_draw_of_everybody_is_the_rule_itself() -> None:
    """Where all people are alike, no draw moves the threshold."""
    scores = [0.9, 0.8, 0.7, 0.2, 0.1] * 30
    labels = [True, True, True, False, False] * 30
    subjects = [f"{place // 5}" for place in range(150)]
    trials = Trials.from_columns(scores, labels, ["", "", "", "print", "print"] * 30, subjects)
    for side, expected in (("attacks", 0.7), ("bona_fide", 0.7)):
        held = hold(trials, 0.1, side, names=NAMES)  # type: ignore[arg-type]
        assert held.value == expected
        assert threshold_interval(trials, held, side) == (expected, expected)  # type: ignore[arg-type]
