"""MobileFaceNet and SeesawFaceNets: shapes, and what tells the variants apart."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from ostiary.errors import ConfigurationError
from ostiary.networks.face_network import (
    Block,
    FaceNetwork,
    Layout,
    Row,
    Shuffle,
    SqueezeExcite,
    Style,
    UnevenPointwise,
)
from ostiary.networks.mobilefacenet import mobilefacenet
from ostiary.networks.registry import FACE
from ostiary.networks.seesaw import DW_V1, DW_V2, SHARE, SHUFFLE, dw_seesaw_v1

SMALL = Layout(16, (Row(32, 16, 2, 2), Row(32, 16, 2, 2), Row(64, 32, 2, 2)), last=32)
"""A layout of the same shape that runs in a moment."""


def small(style: Style) -> FaceNetwork:
    torch.manual_seed(0)
    return lively(FaceNetwork(SMALL, style, 24)).eval()


def lively(network: nn.Module) -> nn.Module:
    """Statistics and slopes as after a training, so that nothing hides behind ones and zeros."""
    generator = torch.Generator().manual_seed(7)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features, generator=generator) * 0.1
            module.running_var = torch.rand(module.num_features, generator=generator) + 0.5
    return network


@pytest.fixture(scope="module")
def faces() -> Tensor:
    return torch.randn(2, 3, 112, 112, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", FACE)
def test_embeddings_are_of_unit_length(name: str, faces: Tensor) -> None:
    network = FACE[name](128).eval()
    sides = []
    for group in network.groups:
        group.register_forward_hook(lambda _module, _inputs, output: sides.append(output.shape[-1]))
    with torch.no_grad():
        embeddings = network(faces)
    assert embeddings.shape == (2, 128)
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(2), atol=1e-5)
    assert sides == [28, 14, 7, 7][: len(sides)]
    assert network.global_depthwise[0].weight.shape == (512, 1, 7, 7)


@pytest.mark.parametrize("shape", [(1, 3, 128, 128), (1, 1, 112, 112), (3, 112, 112)])
def test_another_size_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigurationError, match="112, 112"):
        small(SHUFFLE)(torch.zeros(shape))


def test_the_shuffle_by_hand() -> None:
    order = Shuffle(8)(torch.arange(8.0).reshape(1, 8, 1, 1)).flatten().tolist()
    assert order == [0, 4, 1, 5, 2, 6, 3, 7]
    with pytest.raises(ConfigurationError, match="two halves"):
        Shuffle(7)


@given(st.integers(1, 40).map(lambda half: 2 * half))
def test_the_shuffle_is_undone_by_that_of_as_many_groups(channels: int) -> None:
    x = torch.arange(float(channels)).reshape(1, channels, 1, 1)
    shuffled = Shuffle(channels)(x)
    assert torch.equal(torch.channel_shuffle(shuffled, channels // 2), x)


@pytest.mark.parametrize("share", [1, 3])
def test_an_uneven_pair_is_a_dense_convolution_with_zeros(share: int) -> None:
    pair = lively(UnevenPointwise(16, 32, share, None)).eval()
    dense = torch.zeros(32, 16, 1, 1)
    cut, out = 16 * share // 4, 32 * share // 4
    dense[:out, :cut] = pair.first.conv.weight
    dense[out:, cut:] = pair.second.conv.weight
    x = torch.randn(2, 16, 5, 5)
    norms = [unit.norm for unit in (pair.first, pair.second)]
    scale = torch.cat([norm.weight / (norm.running_var + norm.eps).sqrt() for norm in norms])
    shift = torch.cat([norm.bias for norm in norms]) - torch.cat([norm.running_mean for norm in norms]) * scale
    expected = nn.functional.conv2d(x, dense) * scale[:, None, None] + shift[:, None, None]
    assert torch.allclose(pair(x), expected, rtol=1e-5, atol=1e-6)
    assert pair.first.conv.weight.numel() + pair.second.conv.weight.numel() == 16 * 32 * 5 // 8


def test_widths_without_quarters_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="quarters"):
        UnevenPointwise(16, 30, 1, None)


def plain(style: Style) -> Block:
    """One block without squeeze-and-excitation, which would carry everything everywhere."""
    torch.manual_seed(0)
    return lively(Block(16, 32, 16, 1, style, squeeze=False)).eval()


def reached(module: nn.Module, channel: int) -> set[int]:
    """Output channels that a change of an input channel reaches."""
    x = torch.randn(1, 16, 6, 6)
    other = x.clone()
    other[:, channel] += 1
    with torch.no_grad():
        moved = (module(x) - module(other)).abs().amax((0, 2, 3))
    return set(torch.nonzero(moved > 1e-7).flatten().tolist())


def test_share_keeps_its_last_quarter_from_the_first_and_shuffle_does_not() -> None:
    shared, shuffled = plain(SHARE), plain(SHUFFLE)
    shared.skip = shuffled.skip = None
    assert reached(shared, 0) == set(range(12))
    assert reached(shared, 15) == set(range(16))
    assert reached(shuffled, 0) == reached(shuffled, 15) == set(range(16))


@pytest.mark.parametrize("style", [SHARE, SHUFFLE])
def test_two_blocks_carry_every_channel_to_every_other(style: Style) -> None:
    pair = nn.Sequential(plain(style), plain(style))
    assert all(reached(pair, channel) == set(range(16)) for channel in range(16))


def test_share_and_shuffle_differ_on_the_same_weights(faces: Tensor) -> None:
    shared, shuffled = small(SHARE), small(SHUFFLE)
    assert sum(p.numel() for p in shared.parameters()) == sum(p.numel() for p in shuffled.parameters())
    assert not torch.allclose(shared(faces), shuffled(faces), atol=1e-3)


def test_the_two_shortcuts_differ_on_the_same_weights(faces: Tensor) -> None:
    first, second = small(DW_V1), small(DW_V2)
    for block in (group[0] for group in first.groups):
        assert block.skip is not None
        assert block.skip[-1].__class__ is nn.SiLU
    weights = {name.replace(".skip.1.", ".skip."): value for name, value in second.state_dict().items()}
    first.load_state_dict(weights)
    assert not torch.allclose(first(faces), second(faces), atol=1e-3)


def test_only_blocks_that_keep_the_shape_are_added_to_their_input() -> None:
    network = mobilefacenet()
    skips = [[block.skip is not None for block in group] for group in network.groups]
    assert [len(group) for group in skips] == [5, 7, 1, 2]
    assert skips == [[False] + [True] * 4, [False] + [True] * 6, [False], [True, True]]


def test_every_parameter_of_the_dw_networks_learns(faces: Tensor) -> None:
    network = dw_seesaw_v1()
    network(faces).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_swish_is_not_its_hard_form() -> None:
    act = small(SHUFFLE).stem.act
    values = act(torch.tensor([-1.278, 4.0]))
    assert values.tolist() == pytest.approx([-0.2785, 3.928], abs=5e-4)


def test_squeeze_and_excitation_gates_each_picture_by_itself() -> None:
    torch.manual_seed(0)
    gate = SqueezeExcite(16)
    assert gate.act.weight.shape == (4,)
    x = torch.rand(3, 16, 4, 4) + 0.1
    scale = gate(x) / x
    assert ((scale > 0) & (scale < 1)).all()
    assert torch.allclose(scale, scale.mean((2, 3), keepdim=True).expand_as(scale), atol=1e-5)
    assert torch.allclose(gate(x)[1:2], gate(x[1:2]), atol=1e-6)
    assert not torch.allclose(scale[0], scale[1], atol=1e-4)


def test_where_squeeze_and_excitation_stands() -> None:
    style = Style("swish", expand="uneven", shuffle=True, project="uneven", squeeze=(False, True))
    network = FaceNetwork(SMALL, style, 24)
    assert [isinstance(group[0].squeeze, SqueezeExcite) for group in network.groups] == [False, True, True]


def test_copies_share_nothing(faces: Tensor) -> None:
    """The size check is a hook; a copy must keep it."""
    network = copy.deepcopy(small(SHARE))
    with pytest.raises(ConfigurationError):
        network(faces[..., :100])
