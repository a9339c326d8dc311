"""Every way to be worthless shows in its number, and AUC and equal error are as by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ostiary.training.personal.task import over_constant
from ostiary.training.personal.watches import equal_error, watches

USERS, EACH = 12, 6
SAME = np.repeat(np.eye(USERS, dtype=bool), EACH, axis=1)
NOISE = np.random.default_rng(0).normal(0, 0.1, SAME.shape)


def test_a_good_verifier() -> None:
    found = watches(4 * SAME + NOISE, SAME)
    assert found["auc"] == 1
    assert found["eer"] == found["fnmr"] == 0
    assert found["interaction_share"] > 0.9
    assert found["shuffled_auc"] == pytest.approx(0.5, abs=0.05)
    assert found["user_fmr_worst"] < 0.1


def test_a_verifier_that_looks_at_the_probe_alone() -> None:
    found = watches(np.random.default_rng(1).normal(0, 3, (1, SAME.shape[1])) + NOISE, SAME)
    assert found["probe_share"] > 0.95
    assert found["auc"] == pytest.approx(0.5, abs=0.1)


def test_an_offset_by_user_fails_a_threshold_for_all() -> None:
    offsets = np.linspace(-6, 6, USERS)[:, None]
    found = watches(4 * SAME + NOISE + offsets, SAME)
    assert found["user_share"] > 0.8
    assert found["fnmr"] > 0.5
    assert found["user_fmr_worst"] == pytest.approx(USERS * 0.01, abs=0.02)
    assert found["user_fmr_spread"] > 0.01


def test_a_constant() -> None:
    found = watches(np.full(SAME.shape, -1.5), SAME)
    assert found["spread"] == found["interaction_share"] == 0
    assert found["auc"] == found["shuffled_auc"] == 0.5
    assert found["fnmr"] == 1


def test_auc_and_equal_error_by_hand() -> None:
    """Of 2 x 2 comparisons the mated -1 and 3 stand against 0 and 1: two of four won."""
    logits, same = np.array([[-1.0, 0.0], [1.0, 3.0]]), np.eye(2, dtype=bool)
    assert watches(logits, same)["auc"] == 0.5
    rate, threshold = equal_error(np.array([0.0, 2.0, 3.0]), np.array([-1.0, 1.0, -2.0]))
    assert (rate, threshold) == (pytest.approx(1 / 3), 1.0)  # type: ignore[comparison-overlap]


@pytest.mark.parametrize("positive", [1.0, 0.5])
def test_no_constant_is_better_than_the_best_one(positive: float) -> None:
    constants = [over_constant(np.full(SAME.shape, logit), SAME, positive) for logit in np.linspace(-3, 3, 61)]
    assert min(constants) == pytest.approx(0, abs=1e-3)
    assert over_constant(10.0 * SAME - 5, SAME, positive) < -0.5
