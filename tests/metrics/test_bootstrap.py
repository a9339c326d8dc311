from __future__ import annotations

import numpy as np
import pytest

from ostiary.errors import ConfigurationError, RateError
from ostiary.metrics.bootstrap import paired_difference, resample, subject_bootstrap
from ostiary.metrics.intervals import clopper_pearson


def test_errors_of_few_people_widen_the_interval() -> None:
    """50 people x 20 pictures, 40 errors, 30 of them on 3 people (standards of the field, worked example)."""
    errors = np.array([10] * 3 + [1] * 10 + [0] * 37)
    trials = np.full(50, 20)
    by_people = subject_bootstrap(errors, trials)
    by_trials = clopper_pearson(40, 1000)
    assert by_people.method == "bootstrap over people"
    assert (100 * by_people.low, 100 * by_people.high) == pytest.approx((1.1, 7.6), abs=0.4)
    design_effect = ((by_people.high - by_people.low) / (by_trials.high - by_trials.low)) ** 2
    assert design_effect > 5


def test_no_error_counts_people_not_pictures() -> None:
    interval = subject_bootstrap(np.zeros(50), np.full(50, 20))
    assert interval.method == "Clopper-Pearson over people"
    assert 100 * interval.high == pytest.approx(7.11, abs=0.005)


def test_one_person_and_people_without_trials() -> None:
    alone = subject_bootstrap([5], [20])
    assert alone.method == "Clopper-Pearson over people"
    assert (alone.low, alone.high) == pytest.approx((0.00625, 0.99375), abs=0.02)
    padded = subject_bootstrap([0, 0, 0], [9, 0, 0])
    assert padded.high == clopper_pearson(0, 1).high


def test_nobody_has_a_trial() -> None:
    with pytest.raises(RateError):
        subject_bootstrap([0, 0], [0, 0])


def test_the_seed_decides_whatever_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    errors, trials = np.arange(30) % 4, 5 + np.arange(30) ** 2 % 11
    whole = subject_bootstrap(errors, trials, seed=3)
    assert whole != subject_bootstrap(errors, trials, seed=4)
    monkeypatch.setattr("ostiary.metrics.bootstrap._CELLS", 1000)
    assert whole == subject_bootstrap(errors, trials, seed=3)


def test_too_few_draws_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="2000"):
        resample(lambda weights: {"mean": weights.mean(axis=1)}, 5, width=5, draws=1999)


def test_coverage_of_independent_people() -> None:
    """One trial a person is the binomial case: the two intervals must nearly agree."""
    errors = np.array([1] * 30 + [0] * 170)
    by_people, exact = subject_bootstrap(errors, np.ones(200)), clopper_pearson(30, 200)
    assert (by_people.low, by_people.high) == pytest.approx((exact.low, exact.high), abs=0.015)


def test_pairing_removes_what_both_find_hard() -> None:
    generator = np.random.default_rng(0)
    hard = generator.random(60) ** 3
    first, second = np.round(20 * hard), np.minimum(np.round(20 * hard) + 1, 20)

    def mean(errors: np.ndarray):  # type: ignore[type-arg, no-untyped-def]
        return lambda weights: {"rate": weights @ errors / (20 * weights.sum(axis=1))}

    found = paired_difference(mean(first), mean(second), 60, width=60)["rate"]
    single = subject_bootstrap(first, np.full(60, 20))
    assert found.value == pytest.approx(((second - first) / 20).mean())
    assert 0 < found.low <= found.value <= found.high
    assert found.high - found.low < (single.high - single.low) / 5
