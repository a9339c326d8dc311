"""Means over seeds, and one group of runs against another on the same people."""

from __future__ import annotations

import numpy as np
import pytest

from ostiary.errors import RateError
from ostiary.metrics.comparison import Run, averages, compare
from ostiary.metrics.pad import pad_rates
from ostiary.metrics.trials import Trials


def _random(seed: int, size: int = 120) -> Trials:
    people = np.random.default_rng(99)  # the presentations are the same for every seed, the answers are not
    genuine = people.random(size) < 0.4
    kinds = people.choice(["print", "replay"], size)
    who = people.integers(0, 25, size).astype(str)
    noise = np.random.default_rng(seed).normal(0.4 + 0.3 * genuine, 0.2)
    return Trials.from_columns(np.round(np.clip(noise, 0, 1), 2), genuine, list(kinds), list(who))


def _better(trials: Trials) -> Trials:
    raised = np.where(trials.bona_fide, np.minimum(trials.liveness + 0.2, 1), trials.liveness)
    return Trials(raised, trials.answered, trials.bona_fide, trials.species, trials.person)


def test_a_difference_on_the_same_people() -> None:
    first = _random(2)
    found = compare([Run(first, 0.6)], [Run(_better(first), 0.6)])
    assert found["bpcer"].high < 0
    assert found["apcer_max"].value == found["apcer:print"].value == 0
    assert found["auc"].low > 0


def test_the_mean_over_runs_is_the_mean_of_what_each_gives_alone() -> None:
    runs = [Run(_random(seed), 0.4 + seed / 10) for seed in range(3)]
    found = averages(runs)
    alone = [pad_rates(trials, threshold) for trials, threshold in runs]
    for name in ("auc", "eer", "bpcer", "apcer_pooled", "apcer_max"):
        values = [getattr(rates, name).value for rates in alone]
        assert found[name].value == pytest.approx(np.mean(values))
        assert found[name].low <= found[name].value <= found[name].high


def test_groups_of_different_size_are_compared_by_their_means() -> None:
    many = [Run(_random(seed), 0.55) for seed in range(3)]
    one = [Run(_random(7), 0.55)]
    found = compare(many, one)
    assert found["eer"].value == pytest.approx(averages(one)["eer"].value - averages(many)["eer"].value)


def test_what_cannot_be_paired_is_refused() -> None:
    first = _random(2)
    shorter = first.select(np.arange(len(first)) > 0)
    unknown = Trials(first.liveness, first.answered, first.bona_fide, first.species, None)
    with pytest.raises(RateError, match="same presentations"):
        compare([Run(first, 0.6)], [Run(shorter, 0.6)])
    with pytest.raises(RateError, match="subject"):
        averages([Run(first, 0.6), Run(unknown, 0.6)])
