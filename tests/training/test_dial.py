"""The dial's rules: which words a step trains."""

from __future__ import annotations

from collections import Counter

from ostiary.adaptive.configuration import PAPER_SAMPLING, WordSampler
from ostiary.networks.mobilenet_v2 import mobilenet_v2, pta_mobilenet_v2
from ostiary.training.dial import Dial, StepWords

ADAPTIVE = pta_mobilenet_v2()


def test_the_papers_rule_is_its_table() -> None:
    words, sampler = StepWords(Dial(), PAPER_SAMPLING, ADAPTIVE, seed=4), WordSampler(PAPER_SAMPLING, 4)
    assert [words(step) for step in range(40)] == [[sampler.word(step)] for step in range(40)]


def test_a_sandwich_has_both_ends_and_others_between() -> None:
    words = StepWords(Dial(rule="sandwich", random_words=2), PAPER_SAMPLING, ADAPTIVE, seed=0)
    drawn = [words(step) for step in range(300)]
    assert all(step[:2] == ["HHH", "LLL"] and len(set(step)) == 4 for step in drawn)
    counts = Counter(word for step in drawn for word in step[2:])
    assert set(counts) == {"HHL", "HLH", "HLL", "LHH", "LHL", "LLH"}
    assert min(counts.values()) > 60
    assert [words(step) for step in range(300)] == drawn


def test_a_sandwich_of_three_letters_reaches_all_27_words() -> None:
    words = StepWords(Dial(rule="sandwich", random_words=4, letters="HLB"), PAPER_SAMPLING, ADAPTIVE, seed=1)
    assert len({word for step in range(200) for word in words(step)}) == 27


def test_a_stock_network_has_one_pass_whatever_the_rule() -> None:
    for rule in ("paper", "sandwich"):
        assert StepWords(Dial(rule=rule), PAPER_SAMPLING, mobilenet_v2(), seed=0)(3) == [""]
