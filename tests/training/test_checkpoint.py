"""What a run needs to go on: each parameter gets its own momentum back, however the optimiser groups them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ostiary.errors import WeightsError
from ostiary.training.checkpoint import pack, unpack


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 3))


def one_step(grouped: nn.Module) -> torch.optim.Optimizer:
    """With weights and the rest in two groups, so that places are not those of ``parameters()``."""
    weights = [p for p in grouped.parameters() if p.ndim > 1]
    rest = [p for p in grouped.parameters() if p.ndim == 1]
    optimiser = torch.optim.Adam([{"params": weights}, {"params": rest, "weight_decay": 0.1}])
    grouped(torch.randn(8, 3, generator=torch.Generator().manual_seed(0))).square().sum().backward()
    optimiser.step()
    return optimiser


def test_momentum_goes_back_to_its_parameter_when_the_groups_have_changed() -> None:
    before, after = network(), network()
    taken_from = one_step(before)
    optimiser = torch.optim.Adam(after.parameters())
    unpack(pack(before, taken_from, None), after, optimiser, None)
    for old, new in zip(before.parameters(), after.parameters(), strict=True):
        assert torch.equal(old, new)
        for key in ("exp_avg", "exp_avg_sq", "step"):
            assert torch.equal(taken_from.state[old][key], optimiser.state[new][key])
        assert taken_from.state[old]["exp_avg"].any()


@pytest.mark.parametrize("name", ["optimiser/0/exp_avg", "optimiser/3.weight/exp_avg", "network/3.weight"])
def test_a_checkpoint_with_other_parameters_is_refused_in_one_sentence(name: str) -> None:
    before, after = network(), network()
    tensors = {**pack(before, one_step(before), None), name: torch.zeros(3, 3)}
    with pytest.raises(WeightsError, match="another recipe or version"):
        unpack(tensors, after, torch.optim.Adam(after.parameters()), None)
