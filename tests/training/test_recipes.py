"""Recipes: all valid, the paper's as the paper says, typos refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ostiary.adaptive import PAPER_SAMPLING
from ostiary.errors import ConfigurationError
from ostiary.networks.registry import LIVENESS
from ostiary.training.recipe import changed, recipe, recipes
from ostiary.training.schedule import Schedule


def test_every_recipe_names_a_network_that_exists() -> None:
    assert {"paper", "strangers"} <= set(recipes())
    for known in recipes().values():
        assert known.network in LIVENESS
        assert sum(known.words.values()) == pytest.approx(1)


def test_the_papers_recipe_is_the_papers() -> None:
    paper = recipe("paper")
    assert paper.words == PAPER_SAMPLING
    assert (paper.schedule.optimiser, paper.schedule.learning_rate) == ("adam", 1e-4)
    assert (paper.schedule.batch, paper.schedule.epochs, paper.start) == (32, 20, "scratch")
    assert paper.preprocess.size == 128


def test_an_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="paper, strangers"):
        recipe("papper")


def test_a_typo_in_a_setting_is_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        Schedule.model_validate({"epochs": 1, "learning_rate": 1e-3, "bach": 8})


def test_the_baseline_is_the_same_recipe_with_another_network() -> None:
    base, stock = recipe("strangers"), changed(recipe("strangers"), network="mobilenet_v2")
    assert stock.network == "mobilenet_v2"
    assert stock.model_copy(update={"network": base.network}) == base


def test_learning_rate_warms_up_and_decays_to_nothing() -> None:
    schedule = Schedule(epochs=1, learning_rate=1.0, decay="cosine", warmup_steps=10)
    rates = [schedule.rate(step, 110) for step in range(110)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(1.0)
    assert max(rates) == pytest.approx(1.0)
    assert rates[60] == pytest.approx(0.5)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 1e-3
