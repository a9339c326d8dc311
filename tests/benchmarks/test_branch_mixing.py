"""The mixtures that `benchmarks/branch_mixing.py` measures hold the dial's own words at their ends and middle."""

from __future__ import annotations

import copy

import pytest
import torch

from branch_mixing import mixed
from ostiary.adaptive import configure
from ostiary.networks.mobilenet_v2 import pta_mobilenet_v2


@pytest.mark.parametrize(("shares", "word"), [((0.0, 1.0, 0.5), "LHB"), ((0.5, 0.5, 0.5), "BBB")])
def test_a_share_of_nothing_is_light_of_all_heavy_of_half_both(shares: tuple[float, ...], word: str) -> None:
    torch.manual_seed(0)
    network = pta_mobilenet_v2(dropout=0.0).eval()
    before = copy.deepcopy(network.state_dict())
    pictures = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        found = mixed(network, shares)(pictures)
        configure(network, word)
        expected = network(pictures)
    assert torch.allclose(found, expected, atol=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_another_share_is_another_function() -> None:
    torch.manual_seed(0)
    network = pta_mobilenet_v2(dropout=0.0).eval()
    pictures = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        quarter, half = (mixed(network, (share,) * 3)(pictures) for share in (0.25, 0.5))
    assert (quarter - half).abs().max() > 1e-3 * half.abs().max()
