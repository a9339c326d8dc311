from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from ostiary.errors import RateError
from ostiary.metrics.intervals import clopper_pearson, errors_allowed, supports, trials_needed, upper_limit


@pytest.mark.parametrize(
    ("errors", "trials", "low", "high", "one_sided"),
    [
        (0, 20, 0, 16.84, 13.91),
        (0, 50, 0, 7.11, 5.82),
        (0, 150, 0, 2.43, 1.98),
        (3, 150, 0.41, 5.73, 5.09),
        (7, 100, 2.86, 13.89, 12.75),
        (10, 1000, 0.48, 1.83, 1.69),
        (1975, 47247, 4.00, 4.36, None),
    ],
)
def test_published_table(errors: int, trials: int, low: float, high: float, one_sided: float | None) -> None:
    interval = clopper_pearson(errors, trials)
    assert 100 * interval.low == pytest.approx(low, abs=0.005)
    assert 100 * interval.high == pytest.approx(high, abs=0.005)
    if one_sided is not None:
        assert 100 * upper_limit(errors, trials) == pytest.approx(one_sided, abs=0.005)


@given(st.integers(1, 400), st.data())
def test_agrees_with_scipy_exact_test(trials: int, data: st.DataObject) -> None:
    errors = data.draw(st.integers(0, trials))
    ours = clopper_pearson(errors, trials)
    theirs = binomtest(errors, trials).proportion_ci(0.95, "exact")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@pytest.mark.parametrize(
    ("trials", "rate", "allowed"),
    [(150, 0.07, 5), (150, 0.15, 15), (300, 0.07, 13), (300, 0.15, 34), (600, 0.07, 31), (600, 0.15, 75)],
)
def test_errors_allowed(trials: int, rate: float, allowed: int) -> None:
    assert errors_allowed(rate, trials) == allowed
    assert upper_limit(allowed, trials) <= rate < upper_limit(allowed + 1, trials)


def test_too_few_trials_allow_not_even_zero_errors() -> None:
    assert errors_allowed(0.05, 58) == -1
    assert errors_allowed(0.05, 59) == 0


@pytest.mark.parametrize(
    ("rate", "without_error", "rule_of_30"),
    [
        (0.2, 14, 150),
        (0.15, 19, 200),
        (0.07, 42, 429),
        (0.05, 59, 600),
        (0.03, 99, 1000),
        (0.01, 299, 3000),
        (0.001, 2995, 30000),
        (1e-4, 29956, 300000),
        (2e-5, 149786, 1500000),
        (1e-6, 2995731, 30000000),
    ],
)
def test_trials_needed(rate: float, without_error: int, rule_of_30: int) -> None:
    needed = trials_needed(rate)
    assert (needed.without_error, needed.rule_of_30) == (without_error, rule_of_30)
    assert needed.without_error <= needed.rule_of_3


def test_supports_refuses_warns_and_accepts() -> None:
    with pytest.raises(RateError, match=r"59 attacks.*60 \(rule of 3\)"):
        supports(0.05, 59, "attacks")
    warning = supports(0.05, 60, "attacks")
    assert warning is not None
    assert "600" in warning
    assert supports(0.05, 600) is None


@pytest.mark.parametrize("rate", [0, 1, -0.1, 5])
def test_senseless_rates(rate: float) -> None:
    with pytest.raises(RateError, match="between 0 and 1"):
        supports(rate, 1000)


@pytest.mark.parametrize(("errors", "trials"), [(0, 0), (3, 2), (-1, 5)])
def test_impossible_counts(errors: int, trials: int) -> None:
    with pytest.raises(RateError):
        clopper_pearson(errors, trials)
