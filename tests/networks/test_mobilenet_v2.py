"""The stock network and the adaptive one that the transform makes of it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ostiary.adaptive import Adaptive, blocks, configure, find_runs, largest, make_adaptive, specialise, words
from ostiary.networks.mobilenet_v2 import (
    PAPER_RUNS,
    InvertedResidual,
    MobileNetV2,
    adapt,
    mobilenet_v2,
    pta_mobilenet_v2,
)
from ostiary.networks.registry import LIVENESS

_EXAMPLE = torch.zeros(1, 3, 64, 64)


def _seeded(name: str) -> MobileNetV2:
    torch.manual_seed(0)
    net = LIVENESS[name]()
    assert isinstance(net, MobileNetV2)
    return net.eval()


@pytest.fixture(scope="module")
def stock() -> MobileNetV2:
    return _seeded("mobilenet_v2")


@pytest.fixture(scope="module")
def adaptive() -> MobileNetV2:
    return _seeded("pta_mobilenet_v2")


@pytest.fixture(scope="module")
def faces() -> Tensor:
    return torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(1))


def test_parameter_counts() -> None:
    assert _size(mobilenet_v2()) == 2_226_434
    assert _size(pta_mobilenet_v2()) == 2_718_978
    assert _size(mobilenet_v2(classes=1000)) == 3_504_872  # the published ImageNet network
    assert _size(mobilenet_v2(classes=1000, width=0.5)) == pytest.approx(1.97e6, abs=5e3)
    assert _size(mobilenet_v2(classes=1000, width=1.4)) == pytest.approx(6.11e6, abs=5e3)


def test_shapes(stock: MobileNetV2, faces: Tensor) -> None:
    with torch.no_grad():
        assert stock.features(faces).shape == (2, 1280)
        assert stock(faces).shape == (2, 2)
        sides = [_side(stock, faces, stage) for stage in range(7)]
    assert sides == [(16, 64), (24, 32), (32, 16), (64, 8), (96, 8), (160, 4), (320, 4)]


def test_layers_are_named_as_in_timm(stock: MobileNetV2) -> None:
    names = dict(stock.named_modules())
    block = ("conv_pw", "bn1", "act1", "conv_dw", "bn2", "act2", "conv_pwl", "bn3")
    assert [name for name, _ in names["blocks.3.2"].named_children()] == list(block)
    assert {
        "conv_stem",
        "bn1",
        "blocks.0.0.conv_dw",
        "blocks.0.0.conv_pw",
        "conv_head",
        "bn2",
        "classifier",
    } <= set(names)
    assert [len(stage) for stage in stock.blocks] == [1, 2, 3, 4, 3, 3, 1]


def test_initialisation() -> None:
    torch.manual_seed(0)
    net = mobilenet_v2()
    head = net.conv_head.weight
    assert head.std().item() == pytest.approx((2 / 1280) ** 0.5, rel=0.02)
    assert net.classifier.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert not net.classifier.bias.any()


def test_all_heavy_is_the_stock_network_bit_for_bit(
    stock: MobileNetV2, adaptive: MobileNetV2, faces: Tensor
) -> None:
    with torch.no_grad():
        assert (stock(faces) - adaptive(faces)).abs().max() == 0.0
        assert torch.equal(stock(faces), specialise(adaptive, "HHH")(faces))
    assert len(words(adaptive)) == 27


def test_the_papers_runs_are_what_the_three_largest_are(stock: MobileNetV2) -> None:
    found = find_runs(stock, _EXAMPLE)
    assert [(run.shape[0], len(run.names)) for run in found] == [(32, 2), (64, 3), (96, 2), (160, 2)]
    assert tuple(found[1:]) == PAPER_RUNS
    torch.manual_seed(3)
    by_hand = adapt(stock, "fresh")
    torch.manual_seed(3)
    found_by_itself = make_adaptive(stock, _EXAMPLE, choose=largest(3))
    _assert_same_state(by_hand, found_by_itself)
    paths = [name for name, module in by_hand.named_modules() if isinstance(module, Adaptive)]
    assert paths == ["blocks.3.2", "blocks.4.1", "blocks.5.1"]


def test_blocks_are_those_of_the_paper(adaptive: MobileNetV2) -> None:
    for block, channels in zip(blocks(adaptive), (64, 96, 160), strict=True):
        assert (len(block.heavy), len(block.light)) == (2, 1)
        for inner in (*block.heavy, *block.light):
            assert isinstance(inner, InvertedResidual)
            assert inner.skip
            assert inner.conv_pwl.out_channels == channels


def test_light_branches_start_fresh_or_as_copies(stock: MobileNetV2) -> None:
    fresh = blocks(adapt(stock, "fresh"))[0].light[0]
    assert not torch.equal(fresh.conv_pw.weight, stock.blocks[3][2].conv_pw.weight)
    assert fresh.conv_pw.weight.std().item() == pytest.approx((2 / 384) ** 0.5, rel=0.05)
    copied = blocks(adapt(stock, "copy-first"))[0].light[0]
    assert torch.equal(copied.conv_pw.weight, stock.blocks[3][2].conv_pw.weight)


def test_both_is_the_mean_at_the_block(adaptive: MobileNetV2) -> None:
    block = blocks(adaptive)[0]
    x = torch.randn(2, 64, 8, 8)
    configure(adaptive, "BHH")
    with torch.no_grad():
        assert torch.equal(block(x), (block.heavy(x) + block.light(x)) / 2)
    configure(adaptive, "HHH")


@pytest.mark.parametrize("word", ["HHH", "LHB", "LLL"])
def test_gradients_reach_the_branches_in_use_only(word: str, faces: Tensor) -> None:
    net = pta_mobilenet_v2()
    configure(net, word)
    net(faces).sum().backward()
    for block, letter in zip(blocks(net), word, strict=True):
        assert _has_gradients(block.heavy) == (letter in "HB")
        assert _has_gradients(block.light) == (letter in "LB")
    assert all(_has_gradients(module) for module in (net.conv_stem, net.blocks[6], net.classifier))


def test_the_registry_knows_both() -> None:
    assert set(LIVENESS) == {"mobilenet_v2", "pta_mobilenet_v2"}


def _size(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def _side(net: MobileNetV2, faces: Tensor, stage: int) -> tuple[int, int]:
    x = net.blocks[: stage + 1](net.act1(net.bn1(net.conv_stem(faces))))
    return x.shape[1], x.shape[2]


def _has_gradients(module: nn.Module) -> bool:
    have = {parameter.grad is not None for parameter in module.parameters()}
    assert len(have) == 1
    return have.pop()


def _assert_same_state(one: nn.Module, other: nn.Module) -> None:
    mine, theirs = one.state_dict(), other.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
