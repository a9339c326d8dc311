"""A specialised network computes its word and holds nothing else."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ostiary.adaptive import (
    Adaptive,
    Mean,
    blocks,
    configuration,
    configure,
    configured,
    count,
    specialise,
    used_parameters,
    words,
)
from ostiary.errors import ConfigurationError


@given(word=st.text("HLB", min_size=2, max_size=2))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_it_computes_what_the_word_does(adaptive: nn.Sequential, batch: Tensor, word: str) -> None:
    plain = specialise(adaptive, word)
    with configured(adaptive, word), torch.no_grad():
        assert torch.equal(plain(batch), adaptive(batch))
        assert sum(parameter.numel() for parameter in plain.parameters()) == used_parameters(adaptive)
        assert count(plain, batch[:1]) == count(adaptive, batch[:1])
    assert not blocks(plain)


def test_both_becomes_a_mean(adaptive: nn.Sequential) -> None:
    plain = specialise(adaptive, "BL")
    assert [type(module) for module in plain.modules()].count(Mean) == 1
    assert not any(isinstance(module, Mean) for module in specialise(adaptive, "HL").modules())


def test_the_original_is_left_and_shares_nothing(adaptive: nn.Sequential) -> None:
    configure(adaptive, "BL")
    before = copy.deepcopy(adaptive.state_dict())
    plain = specialise(adaptive, "LH")
    for parameter in plain.parameters():
        parameter.data.zero_()
    assert configuration(adaptive) == "BL"
    assert all(torch.equal(value, before[name]) for name, value in adaptive.state_dict().items())


def test_it_keeps_the_mode(adaptive: nn.Sequential) -> None:
    for training in (True, False):
        adaptive.train(training)
        for word in words(adaptive):
            assert {module.training for module in specialise(adaptive, word).modules()} == {training}


def test_a_network_that_is_itself_one_block() -> None:
    net = Adaptive(nn.Linear(2, 2), nn.Linear(2, 2))
    x = torch.ones(1, 2)
    assert torch.equal(specialise(net, "L")(x), net.light(x))
    assert type(specialise(net, "B")) is Mean


def test_a_word_that_does_not_exist_is_refused(adaptive: nn.Sequential) -> None:
    with pytest.raises(ConfigurationError, match=r"'HHH'.*2 letters"):
        specialise(adaptive, "HHH")
