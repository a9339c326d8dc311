"""Words: which there are, which are refused, and how they are drawn in training."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from ostiary.adaptive import (
    PAPER_SAMPLING,
    Adaptive,
    WordSampler,
    blocks,
    configuration,
    configure,
    configured,
    words,
)
from ostiary.errors import ConfigurationError


@pytest.fixture
def net() -> nn.Sequential:
    """Three blocks; block i adds 10^i if heavy and 2 x 10^i if light, so that the output spells the word."""
    return nn.Sequential(*(Adaptive(Plus(10.0**i), Plus(2 * 10.0**i)) for i in range(3)))


class Plus(nn.Module):
    def __init__(self, amount: float) -> None:
        super().__init__()
        self.amount = amount

    def forward(self, x: Tensor) -> Tensor:
        return x + self.amount


def test_27_words_for_three_blocks_all_heavy_first(net: nn.Sequential) -> None:
    found = words(net)
    assert len(found) == len(set(found)) == 27
    assert (found[0], found[-1]) == ("HHH", "BBB")


def test_letters_go_in_network_order(net: nn.Sequential) -> None:
    assert configuration(net) == "HHH"
    configure(net, "LHH")
    assert [block.letter for block in blocks(net)] == ["L", "H", "H"]
    assert net(torch.zeros(1)).item() == 112
    configure(net, "HHL")
    assert net(torch.zeros(1)).item() == 211
    assert configuration(net) == "HHL"


def test_position_decides_where_registration_order_is_another() -> None:
    late, early = Adaptive(Plus(1), Plus(2), position=1), Adaptive(Plus(1), Plus(2), position=0)
    assert blocks(nn.ModuleList([late, early])) == [early, late]


@pytest.mark.parametrize("word", ["HHX", "HH", "", "HHHH", "hhh", "H H", "HHH\n"])
def test_a_word_that_does_not_exist_is_refused_and_changes_nothing(net: nn.Sequential, word: str) -> None:
    configure(net, "LBH")
    with pytest.raises(ConfigurationError) as caught:
        configure(net, word)
    message = str(caught.value)
    assert repr(word) in message
    assert "3 letters" in message
    assert all(part in message for part in ("H (heavy)", "L (light)", "B (both)", "HHH"))
    assert configuration(net) == "LBH"


def test_a_network_without_adaptive_blocks_has_the_empty_word_only() -> None:
    plain = nn.Linear(1, 1)
    assert (words(plain), configuration(plain)) == ([""], "")
    configure(plain, "")
    with pytest.raises(ConfigurationError, match="no adaptive blocks"):
        configure(plain, "H")


def test_configured_restores_the_word_after_an_error_too(net: nn.Sequential) -> None:
    configure(net, "LLB")
    with configured(net, "BBB"):
        assert configuration(net) == "BBB"
    assert configuration(net) == "LLB"
    with pytest.raises(KeyError), configured(net, "HHH"):
        raise KeyError
    assert configuration(net) == "LLB"


def test_the_papers_table_trains_each_block_light_a_quarter_of_the_time() -> None:
    assert sum(PAPER_SAMPLING.values()) == pytest.approx(1)
    for block in range(3):
        assert sum(p for word, p in PAPER_SAMPLING.items() if word[block] == "L") == pytest.approx(0.25)


def test_drawn_words_follow_the_table() -> None:
    steps = 20_000
    sampler = WordSampler(PAPER_SAMPLING, seed=7)
    drawn = Counter(sampler.word(step) for step in range(steps))
    assert set(drawn) == set(PAPER_SAMPLING)
    chi_square = sum((drawn[w] - steps * p) ** 2 / (steps * p) for w, p in PAPER_SAMPLING.items())
    assert chi_square < 18.47  # 0.1 % of the chi-square distribution with 4 degrees of freedom


def test_a_word_depends_on_seed_and_step_alone() -> None:
    straight = [WordSampler(PAPER_SAMPLING, seed=3).word(step) for step in range(200)]
    resumed = WordSampler(PAPER_SAMPLING, seed=3)
    order = list(range(200))
    random.Random(0).shuffle(order)
    assert {step: resumed.word(step) for step in order} == dict(enumerate(straight))
    assert [WordSampler(PAPER_SAMPLING, seed=4).word(step) for step in range(200)] != straight


def test_neighbouring_steps_are_independent() -> None:
    sampler = WordSampler({"H": 0.5, "L": 0.5}, seed=0)
    drawn = [sampler.word(step) for step in range(4_000)]
    repeats = sum(a == b for a, b in pairwise(drawn))
    assert abs(repeats - 2_000) < 150  # 4.7 standard deviations


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=9), st.integers(0, 2**63), st.integers(0, 2**63))
def test_any_table_of_positive_shares_only_yields_its_words(weights: list[int], seed: int, step: int) -> None:
    names = [a + b for a in "HLB" for b in "HLB"]
    table = {name: weight / sum(weights) for name, weight in zip(names, weights, strict=False)}
    assert WordSampler(table, seed).word(step) in table


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "empty"),
        ({"HH": 0.5, "H": 0.5}, "'H'.*2 letters"),
        ({"HX": 1.0}, "'HX'"),
        ({"H": 0.5, "L": 0.4}, "sum to 0.9"),
        ({"H": 1.5, "L": -0.5}, "-0.5"),
        ({"H": 1.0, "L": 0.0}, "0.0 of word L"),
        ({"H": float("nan")}, "nan"),
    ],
)
def test_a_wrong_table_is_refused(table: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        WordSampler(table, seed=0)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="-1"):
        WordSampler(PAPER_SAMPLING, seed=-1)
