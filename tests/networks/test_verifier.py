"""The personal verifier: exact integers, and many users at once as each by itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ostiary.adaptive import count
from ostiary.errors import ConfigurationError
from ostiary.networks.static_verifier import StaticVerifier
from ostiary.networks.verifier import join, split, to_module, verifier
from ostiary.runtime.verifier_layers import ARCHITECTURES, F64, F112, F112W, Architecture

EVERY = pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=lambda a: a.name)

# Name, parameters, multiply-adds.
F112_LAYERS = [
    ("stem", 224, 677_376),
    ("dw0", 80, 56_448),
    ("pw0", 216, 150_528),
    ("dw1", 240, 42_336),
    ("pw1", 1_200, 225_792),
    ("dw2", 480, 84_672),
    ("pw2", 2_352, 451_584),
    ("dw3", 480, 21_168),
    ("pw3", 4_312, 206_976),
    ("dw4", 880, 38_808),
    ("pw4", 7_832, 379_456),
    ("gdc", 4_400, 4_312),
    ("fc", 89, 88),
]
# Parameters, multiply-adds, operations at two a multiply-add and one a bias, biases.
COSTS = {
    "f112": (22_785, 2_339_544, 4_777_569, 609),
    "f112w": (22_905, 4_041_592, 8_261_617, 713),
    "f64": (22_665, 1_048_792, 2_139_145, 665),
}


def thetas(architecture: Architecture, users: int, seed: int = 0) -> Tensor:
    """Of noise, with maps that neither fade nor explode; every number counts, biases too."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for layer in architecture.layers:
        parts.append(torch.randn(users, layer.weights, generator=generator) * (2 / layer.fan_in) ** 0.5)
        parts.append(torch.randn(users, layer.out, generator=generator) * 0.2)
    return torch.cat(parts, 1)


def crops(architecture: Architecture, number: int = 2) -> Tensor:
    size = architecture.size
    return torch.randn(number, 3, size, size, generator=torch.Generator().manual_seed(9))


def test_every_integer_of_the_table() -> None:
    assert [(layer.name, layer.parameters, layer.macs) for layer in F112.layers] == F112_LAYERS


@EVERY
def test_every_sum(architecture: Architecture) -> None:
    expected = COSTS[architecture.name]
    assert (architecture.parameters, architecture.macs, architecture.flops, architecture.filters) == expected
    # Counted once more, by other code, on the network that the numbers make.
    network = to_module(thetas(architecture, 1)[0], architecture)
    cost = count(network, torch.zeros(1, 3, architecture.size, architecture.size))
    assert (cost.parameters, cost.macs) == expected[:2]


def test_the_budget_of_the_paper() -> None:
    """23k parameters; 5M operations however they are counted, and half of that for the small one."""
    assert all(round(architecture.parameters, -3) == 23_000 for architecture in ARCHITECTURES.values())
    assert F112.flops <= 5_000_000 < F112W.flops
    assert F112W.macs <= 5_000_000
    assert F64.macs < F112.macs / 2
    assert F64.flops < F112.flops / 2


@EVERY
def test_many_users_at_once_as_each_by_itself(architecture: Architecture) -> None:
    users, x = thetas(architecture, 3), crops(architecture)
    together = verifier(x, users, architecture)
    assert together.shape == (3, 2)
    for theta, logits in zip(users, together, strict=True):
        alone = verifier(x, theta, architecture)
        assert alone.shape == (2,)
        torch.testing.assert_close(logits, alone, rtol=1e-4, atol=1e-5)
        module = to_module(theta, architecture).eval()
        torch.testing.assert_close(module(x)[:, 0], alone, rtol=1e-4, atol=1e-5)
    assert (together[0] - together[1]).abs().min() > 1e-3


@pytest.mark.parametrize("personal", [("fc",), ("pw2", "fc"), ("stem",), ("dw1",), ("dw0", "pw4")])
def test_layers_may_be_shared_or_personal(personal: tuple[str, ...]) -> None:
    """Dense and depthwise, first and last: in each place the axis of users may begin, or a shared layer follow."""
    many, one = split(thetas(F64, 3), F64), split(thetas(F64, 1, seed=5)[0], F64)
    mixed = {name: many[name] if name in personal else one[name] for name in one}
    x = crops(F64)
    logits = verifier(x, mixed, F64)
    torch.testing.assert_close(logits, verifier(x, join(mixed, F64), F64), rtol=1e-4, atol=1e-5)
    assert logits.shape == (3, 2)
    assert (logits[0] - logits[1]).abs().max() > 1e-3


def test_split_and_join_are_opposites() -> None:
    for theta in (thetas(F64, 2), thetas(F64, 1)[0]):
        assert torch.equal(join(split(theta, F64), F64), theta)
    shared = split(thetas(F64, 1)[0], F64)
    assert join(shared, F64).shape == (F64.parameters,)


def test_every_number_of_theta_learns_from_its_own_user() -> None:
    users = thetas(F64, 2).requires_grad_()
    verifier(crops(F64, 4), users, F64)[1].sum().backward()
    assert users.grad is not None
    assert not users.grad[0].any()
    learnt = {name: weight.abs().amax((1, 2, 3)) > 0 for name, (weight, _) in split(users.grad[1], F64).items()}
    assert all(filters.any() for filters in learnt.values()), learnt


@pytest.mark.parametrize("shape", [(1, 3, 64, 64), (3, 112, 112), (1, 1, 112, 112)])
def test_other_crops_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigurationError, match=r"takes aligned RGB crops \(N, 3, 112, 112\)"):
        verifier(torch.zeros(shape), torch.zeros(F112.parameters))


@pytest.mark.parametrize("shape", [(22_784,), (1, 1, 22_785), (2, 22_665)])
def test_another_theta_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigurationError, match="is not of the verifier f112, which has 22785 parameters"):
        verifier(crops(F112), torch.zeros(shape))


def test_a_static_network_folds_into_a_start_and_into_verifiers() -> None:
    torch.manual_seed(0)
    network = StaticVerifier(F64, 16).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.6, 1.4)
            nn.init.normal_(module.bias, 0, 0.3)
    x, embeddings = crops(F64, 3), torch.randn(2, 16)
    with torch.no_grad():
        followed = network(x)
        logits = verifier(x, network.theta(embeddings * 7), F64)
    unit = embeddings / embeddings.norm(dim=1, keepdim=True)
    torch.testing.assert_close(logits, unit @ followed.T, rtol=1e-4, atol=1e-5)
    assert network.start().shape == (F64.parameters,)
    assert not network.start()[-89:].any()
