"""One block: what each letter computes, and what it leaves alone."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from ostiary.adaptive import Adaptive
from ostiary.errors import ConfigurationError


@pytest.fixture
def block() -> Adaptive:
    torch.manual_seed(0)
    return Adaptive(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), nn.Linear(4, 4))


@pytest.fixture
def x() -> Tensor:
    return torch.randn(3, 4, generator=torch.Generator().manual_seed(1))


def test_letters_select_heavy_light_and_the_mean(block: Adaptive, x: Tensor) -> None:
    assert block.letter == "H"
    heavy, light = block.heavy(x), block.light(x)
    for letter, expected in {"H": heavy, "L": light, "B": (heavy + light) / 2}.items():
        block.letter = letter
        assert torch.equal(block(x), expected)
        assert torch.equal(block.branch()(x), expected)


@pytest.mark.parametrize(("letter", "trained"), [("H", {"heavy"}), ("L", {"light"}), ("B", {"heavy", "light"})])
def test_only_the_branches_in_use_get_a_gradient(
    block: Adaptive, x: Tensor, letter: str, trained: set[str]
) -> None:
    block.letter = letter
    block(x).sum().backward()
    got = {name.split(".")[0] for name, parameter in block.named_parameters() if parameter.grad is not None}
    assert got == trained


def test_a_branch_left_out_stays_where_it_is_under_adam(block: Adaptive, x: Tensor) -> None:
    optimizer = torch.optim.Adam(block.parameters(), lr=0.1)
    for letter in ("L", "H"):
        before = copy.deepcopy(block.light.state_dict())
        block.letter = letter
        optimizer.zero_grad(set_to_none=True)
        block(x).square().sum().backward()
        optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in block.light.state_dict().items())


def test_the_letter_is_no_part_of_the_state_but_of_a_copy(block: Adaptive) -> None:
    block.letter = "B"
    assert all(name.startswith(("heavy.", "light.")) for name in block.state_dict())
    assert copy.deepcopy(block).letter == "B"
    assert "letter='B'" in repr(block)


def test_an_unknown_letter_is_refused(block: Adaptive, x: Tensor) -> None:
    block.letter = "X"
    with pytest.raises(ConfigurationError, match=r"'X'.*H, L, B"):
        block(x)
