"""Recipes: all valid, the paper's as the paper says, typos refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ostiary.adaptive import PAPER_SAMPLING
from ostiary.errors import ConfigurationError
from ostiary.networks.registry import LIVENESS
from ostiary.training.recipe import Recipe, changed, recipe, recipes
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
    with pytest.raises(ConfigurationError, match="paper, site, strangers"):
        recipe("papper")


def test_a_typo_in_a_setting_is_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        Schedule.model_validate({"epochs": 1, "learning_rate": 1e-3, "bach": 8})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mixup": 0.2, "objective": {"contrast_weight": 1.0}}, "mixed pictures have no class"),
        ({"mixup": 0.2, "objective": {"domain_weight": 1.0}}, "mixed pictures have no class"),
        ({"frozen_stages": 1}, "start from 'imagenet'"),
        ({"blend": 0.5}, "start from 'imagenet'"),
        ({"start": "imagenet", "frozen_stages": 4}, "less than or equal to 3"),
        ({"dial": {"rule": "sandwhich"}}, "'paper' or 'sandwich'"),
    ],
)
def test_settings_that_cannot_go_together_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Recipe.model_validate({**recipe("toy").model_dump(), **change})


def test_all_settings_survive_a_record_and_a_change() -> None:
    rich = Recipe.model_validate(
        {
            **recipe("strangers").model_dump(),
            "objective": {"focal": 2, "alignment": "both"},
            "dial": {"rule": "sandwich", "distil": 1.0},
            "simulated": 0.3,
            "clues": {"moire": 0.9},
            "style_mix": {"probability": 0.5},
            "frozen_stages": 2,
            "blend": 0.2,
        }
    )
    assert Recipe.model_validate_json(rich.model_dump_json()) == rich
    assert changed(rich, network="mobilenet_v2", epochs=3).clues == rich.clues
    assert rich.clues.moire == 0.9


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
