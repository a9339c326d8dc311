"""A template issued again looks different and judges the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError, InputError
from ostiary.runtime.cohort import fold_cohort
from ostiary.runtime.reissue import reissue, reissued
from ostiary.runtime.template import Precision, Template
from ostiary.runtime.verifier_layers import F64

Make = Callable[..., Template]
Judge = Callable[..., NDArray[np.float64]]


@pytest.fixture(scope="module")
def x() -> NDArray[np.float32]:
    return np.random.default_rng(2).normal(size=(12, 3, 8, 8)).astype(np.float32).repeat(8, 2).repeat(8, 3)


@pytest.mark.parametrize("octaves", [0, 2])
def test_the_same_function_of_the_face(make: Make, logits: Judge, x: NDArray[np.float32], octaves: int) -> None:
    theta = make().theta
    expected = logits(theta, x)
    for seed in range(3):
        found = logits(reissue(theta, F64, seed, octaves=octaves), x)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert np.ptp(expected) > 1


@pytest.mark.parametrize("octaves", [0, 1])
def test_the_same_to_the_last_bit_where_sums_are_exact(
    logits: Judge, x: NDArray[np.float32], octaves: int
) -> None:
    """Whole numbers add up exactly in any order; what moves between the last two biases is none, and left out."""
    theta = np.random.default_rng(0).integers(-1, 2, F64.parameters).astype(np.float32)
    again = reissue(theta, F64, 1, octaves=octaves)
    for numbers in (theta, again):
        parts = F64.parts(numbers)
        parts["gdc"][1][:] = 0
        parts["fc"][1][:] = 0
    whole = np.rint(3 * x)
    np.testing.assert_array_equal(logits(again, whole), logits(theta, whole))


def test_what_may_change_and_what_may_not(make: Make) -> None:
    theta = make().theta
    before, after = F64.parts(theta), F64.parts(reissue(theta, F64, 1))
    for layer in F64.layers[:-2]:
        for part in (0, 1):
            one, other = before[layer.name][part], after[layer.name][part]
            assert not np.array_equal(one, other)
            # Neither sign nor size of anything before a ReLU: only the order.
            np.testing.assert_array_equal(np.sort(one, axis=None), np.sort(other, axis=None))
    one, other = before["fc"][0].ravel(), after["fc"][0].ravel()
    np.testing.assert_array_equal(np.sort(np.abs(one)), np.sort(np.abs(other)))
    order = [int(np.argmin(np.abs(np.abs(one) - size))) for size in np.abs(other)]
    turned = np.sign(one[order]) != np.sign(other)
    assert sorted(order) == list(range(88))
    assert 20 < turned.sum() < 68
    assert before["fc"][1] != after["fc"][1]
    one, other = before["stem"][1], F64.parts(reissue(theta, F64, 1, octaves=2))["stem"][1]
    factors = {factor for factor in np.divide.outer(other, one).ravel() if factor in (0.25, 0.5, 1, 2, 4)}
    assert {0.25, 4} & factors


def test_numbers_of_two_issues_tell_nothing_of_each_other(make: Make) -> None:
    theta = make().theta
    issues = [theta, *(reissue(theta, F64, seed) for seed in (1, 2))]
    shares = [np.mean(issues[i] == issues[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert max(shares) < 0.02
    last = [F64.parts(issue)["fc"][0].ravel() for issue in issues]
    assert np.abs(np.corrcoef(last)[np.triu_indices(3, 1)]).max() < 0.35


def test_seeds(make: Make) -> None:
    theta = make().theta
    kept = theta.copy()
    np.testing.assert_array_equal(reissue(theta, F64, 4), reissue(theta, F64, 4))
    assert not np.array_equal(reissue(theta, F64, 4), reissue(theta, F64, 5))
    assert not np.array_equal(reissue(theta, F64), reissue(theta, F64))
    np.testing.assert_array_equal(theta, kept)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_rounding_adds_nothing_to_a_template_issued_again(
    make: Make, logits: Judge, x: NDArray[np.float32], precision: Precision
) -> None:
    first = make(precision=precision, threshold=0.7)
    second = reissued(first, 3)
    kept = Template.from_bytes(second.to_bytes())
    np.testing.assert_allclose(logits(kept.theta, x), logits(first.at(precision).theta, x), rtol=1e-5, atol=1e-5)
    assert first.fingerprint() != second.fingerprint() == kept.fingerprint()
    assert (kept.threshold, kept.precision) == (0.7, precision)


def test_impossible_issues_are_refused(make: Make) -> None:
    for theta, octaves in ((make().theta[:-1], 0), (make().theta, -1)):
        with pytest.raises(ConfigurationError, match="cannot be issued again as f64"):
            reissue(theta, F64, 0, octaves=octaves)


def test_a_cohort_gives_every_verifier_one_scale(make: Make, logits: Judge, x: NDArray[np.float32]) -> None:
    for seed in range(2):
        theta = make(seed).theta
        before = logits(theta, x)
        folded, (mean, deviation) = fold_cohort(theta, F64, before)
        after = logits(folded, x)
        np.testing.assert_allclose([after.mean(), after.std()], [0, 1], atol=1e-5)
        np.testing.assert_allclose(after * deviation + mean, before, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(folded[:-89], theta[:-89])
        assert not np.array_equal(folded, theta)


@pytest.mark.parametrize("logits", [[], [1.0], [1.0, 1.0], [1.0, float("nan")], [[1.0, 2.0]]])
def test_a_cohort_without_a_scale_is_refused(make: Make, logits: list[float]) -> None:
    with pytest.raises(InputError, match="have no scale"):
        fold_cohort(make().theta, F64, np.array(logits))
