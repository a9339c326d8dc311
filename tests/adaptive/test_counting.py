"""Counting by hand on single layers; the exact integers of the paper's network are in tests/networks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ostiary.adaptive import Adaptive, Cost, configured, count
from ostiary.errors import ConfigurationError


@pytest.mark.parametrize(
    ("layer", "shape", "cost"),
    [
        (nn.Linear(3, 5), (1, 3), Cost(20, 15, 20)),
        (nn.Linear(3, 5, bias=False), (1, 7, 3), Cost(15, 105, 105)),
        (nn.Conv2d(4, 6, 3, padding=1), (1, 4, 8, 8), Cost(222, 13_824, 14_208)),
        (nn.Conv2d(4, 4, 3, 2, 1, groups=4, bias=False), (1, 4, 8, 8), Cost(36, 576, 576)),
        (nn.Conv1d(2, 3, 5, bias=False), (1, 2, 9), Cost(30, 150, 150)),
        (nn.BatchNorm2d(4), (1, 4, 8, 8), Cost(8, 0, 512)),
        (nn.BatchNorm2d(4, affine=False), (1, 4, 8, 8), Cost(0, 0, 256)),
        (nn.ReLU6(), (1, 4, 8, 8), Cost(0, 0, 256)),
        (nn.Tanh(), (1, 4), Cost(0, 0, 0)),
    ],
)
def test_single_layers(layer: nn.Module, shape: tuple[int, ...], cost: Cost) -> None:
    assert count(layer, torch.zeros(shape)) == cost


def test_mops_are_operations_in_millions() -> None:
    assert Cost(0, 0, 104_151_554).mops == 104.151554


def test_only_the_branches_in_use_count() -> None:
    net = Adaptive(nn.Linear(3, 3), nn.Linear(3, 3, bias=False))
    example = torch.zeros(1, 3)
    for word, cost in {"H": Cost(12, 9, 12), "L": Cost(9, 9, 9), "B": Cost(21, 18, 21)}.items():
        with configured(net, word):
            assert count(net, example) == cost


def test_a_layer_called_twice_works_twice_and_is_stored_once() -> None:
    layer = nn.Linear(3, 3)
    assert count(nn.Sequential(layer, layer), torch.zeros(1, 3)) == Cost(12, 18, 24)


def test_counting_leaves_the_network_alone(adaptive: nn.Sequential, image: Tensor) -> None:
    adaptive.train()
    before = {name: value.clone() for name, value in adaptive.state_dict().items()}
    count(adaptive, image)
    assert all(torch.equal(value, before[name]) for name, value in adaptive.state_dict().items())
    assert all(module.training and not module._forward_hooks for module in adaptive.modules())


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="batch of one"):
        count(nn.Linear(3, 3), torch.zeros(2, 3))
    with pytest.raises(ConfigurationError, match="transposed"):
        count(nn.ConvTranspose2d(1, 1, 2), torch.zeros(1, 1, 4, 4))
