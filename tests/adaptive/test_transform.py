"""The transform on networks of several kinds: what it finds, what it keeps, what it refuses."""

from __future__ import annotations

import copy
from itertools import combinations

import pytest
import torch
from torch import Tensor, nn

from ostiary.adaptive import Adaptive, Run, blocks, configure, find_runs, largest, make_adaptive, words
from ostiary.errors import ConfigurationError


def test_resnet_runs_and_counts(resnet: nn.Module, image: Tensor) -> None:
    """The figures of a prototype: runs of 2, 2, 3 and 2 blocks, 4,641,058 -> 6,191,138 parameters."""
    runs = find_runs(resnet, image)
    assert [len(run.names) for run in runs] == [2, 2, 3, 2]
    assert [run.shape[0] for run in runs] == [32, 64, 128, 256]
    net = make_adaptive(resnet, image, choose=largest(3))
    assert _size(resnet) == 4_641_058
    assert _size(net) == 6_191_138
    paths = [name for name, module in net.named_modules() if isinstance(module, Adaptive)]
    assert paths == ["stages.1.1", "stages.2.2", "stages.3.1"]


def test_all_heavy_is_the_original_bit_for_bit(resnet: nn.Module, squeeze_net: nn.Module, batch: Tensor) -> None:
    with torch.no_grad():
        for original in (resnet, squeeze_net):
            assert (make_adaptive(original, batch[:1])(batch) - original(batch)).abs().max() == 0.0


def test_every_other_word_is_another_function(squeeze_net: nn.Module, adaptive: nn.Module, batch: Tensor) -> None:
    with torch.no_grad():
        outputs = [squeeze_net(batch)]
        for word in words(adaptive)[1:]:
            configure(adaptive, word)
            outputs.append(adaptive(batch))
    assert not any(torch.equal(one, other) for one, other in combinations(outputs, 2))


def test_a_root_sequential_with_two_runs(squeeze_net: nn.Sequential, image: Tensor) -> None:
    assert find_runs(squeeze_net, image) == [Run("", ("1", "2", "3")), Run("", ("5", "6"))]
    net = make_adaptive(squeeze_net, image)
    assert [name for name, _ in net.named_children()] == ["0", "1", "2", "4", "5", "7", "8", "9"]
    assert len(words(net)) == 9


def test_the_input_network_is_left_as_it_was(squeeze_net: nn.Sequential, image: Tensor) -> None:
    squeeze_net.train()
    squeeze_net[1].eval()
    modes = [module.training for module in squeeze_net.modules()]
    before = copy.deepcopy(squeeze_net.state_dict())
    net = make_adaptive(squeeze_net, image)
    assert modes == [module.training for module in squeeze_net.modules()]
    assert all(torch.equal(value, before[name]) for name, value in squeeze_net.state_dict().items())
    assert not blocks(squeeze_net)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in squeeze_net.modules())
    assert {id(p) for p in net.parameters()}.isdisjoint({id(p) for p in squeeze_net.parameters()})


def test_modes_are_inherited(squeeze_net: nn.Sequential, image: Tensor) -> None:
    assert not any(module.training for module in make_adaptive(squeeze_net, image).modules())
    assert all(module.training for module in make_adaptive(squeeze_net.train(), image).modules())


def test_layers_outside_the_runs_keep_their_names(resnet: nn.Module, image: Tensor) -> None:
    net = make_adaptive(resnet, image)
    changed = set(resnet.state_dict()) - set(net.state_dict())
    assert changed
    assert all(name.startswith("stages.") for name in changed)


def test_light_init(squeeze_net: nn.Sequential, image: Tensor) -> None:
    first = blocks(make_adaptive(squeeze_net, image, light_init="copy-first"))[0]
    last = blocks(make_adaptive(squeeze_net, image, light_init="copy-last"))[0]
    assert _same(first.light[0], squeeze_net[2])
    assert _same(last.light[0], squeeze_net[3])
    torch.manual_seed(5)
    fresh = blocks(make_adaptive(squeeze_net, image))[0]
    torch.manual_seed(5)
    again = blocks(make_adaptive(squeeze_net, image))[0]
    assert _same(fresh.light, again.light)
    assert not torch.equal(fresh.light[0].depthwise.weight, squeeze_net[2].depthwise.weight)
    assert torch.equal(fresh.light[0].norm.running_var, torch.ones(32))


def test_other_depths(resnet: nn.Module, image: Tensor) -> None:
    net = make_adaptive(resnet, image, heavy=3, light=2, light_init="copy-last")
    (block,) = blocks(net)
    assert (len(block.heavy), len(block.light)) == (3, 2)
    assert _same(block.light[0], resnet.stages[2][2])
    assert torch.equal(net(image), resnet(image))


def test_letters_follow_the_computation_not_the_registration(image: Tensor) -> None:
    class Reversed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.late = nn.Sequential(nn.Conv2d(3, 3, 3, 1, 1), nn.Conv2d(3, 3, 3, 1, 1))
            self.early = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1))

        def forward(self, x: Tensor) -> Tensor:
            return self.late(self.early(x))

    net = make_adaptive(Reversed(), image)
    configure(net, "LH")
    assert (net.early[0].letter, net.late[0].letter) == ("L", "H")
    runs = [Run("late", ("0", "1")), Run("early", ("0", "1"))]
    configure(net := make_adaptive(Reversed(), image, runs=runs), "LH")
    assert (net.early[0].letter, net.late[0].letter) == ("L", "H")


def test_the_outermost_run_wins(image: Tensor) -> None:
    def inner() -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1))

    net = nn.Sequential(nn.Sequential(inner(), inner()))
    assert find_runs(net, image) == [Run("0", ("0", "1"))]
    both = [Run("0", ("0", "1")), Run("0.0", ("0", "1"))]
    with pytest.raises(ConfigurationError, match=r"0\.0 lies inside"):
        make_adaptive(net, image, runs=both)


def test_an_attention_network_of_tokens() -> None:
    """Blocks of (N, tokens, width); the attention layer owns parameters and resets them in its own way."""
    torch.manual_seed(0)
    layers = [nn.TransformerEncoderLayer(8, 2, 16, batch_first=True) for _ in range(3)]
    original = nn.Sequential(*layers, nn.Linear(8, 2)).eval()
    tokens = torch.randn(2, 5, 8)
    net = make_adaptive(original, tokens)
    assert torch.equal(net(tokens), original(tokens))
    configure(net, "L")
    assert net(tokens).shape == (2, 5, 2)


class Shift(nn.Module):
    """Owns a parameter and has no way to reset it."""

    def __init__(self) -> None:
        super().__init__()
        self.amount = nn.Parameter(torch.randn(1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.amount


class InPlace(Shift):
    def forward(self, x: Tensor) -> Tensor:
        return x.mul_(2) + self.amount


class StochasticDepth(Shift):
    pass


class PairIn(Shift):
    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        return x + other + self.amount


class PairOut(Shift):
    def forward(self, x: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return (x if isinstance(x, Tensor) else x[0]), self.amount


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(PairIn(), PairIn())

    def forward(self, x: Tensor) -> Tensor:
        for block in self.inner:
            x = block(x, x)
        return x


class Repeated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(self.inner(x))


class Reordered(Repeated):
    def forward(self, x: Tensor) -> Tensor:
        return self.inner[0](self.inner[1](x))


class Indexed(Repeated):
    def forward(self, x: Tensor) -> Tensor:
        for index in range(2):
            x = self.inner[index](x)
        return x


def _tied() -> nn.Sequential:
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    return nn.Sequential(first, second)


def _shared() -> nn.Sequential:
    block = nn.Linear(4, 4)
    return nn.Sequential(block, block)


@pytest.mark.parametrize(
    ("net", "run", "message"),
    [
        (_shared(), Run("", ("0", "1")), "called more than once"),
        (Repeated(), Run("inner", ("0", "1")), "called more than once"),
        (_tied(), Run("", ("0", "1")), "shares weights"),
        (TwoInputs(), Run("inner", ("0", "1")), "more than one input"),
        (nn.Sequential(PairOut(), PairOut()), Run("", ("0", "1")), "something else than a tensor"),
        (
            nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 4)),
            Run("", ("0", "1")),
            r"changes the shape from \(1, 4\)",
        ),
        (nn.Sequential(InPlace(), InPlace()), Run("", ("0", "1")), "in place"),
        (nn.Sequential(StochasticDepth(), StochasticDepth()), Run("", ("0", "1")), "stochastic depth"),
        (nn.Sequential(nn.Tanh(), nn.Tanh()), Run("", ("0", "1")), "no parameters"),
    ],
)
def test_unfit_blocks_are_refused_by_name_and_reason(net: nn.Module, run: Run, message: str) -> None:
    """The same reason, whether the run is given or looked for."""
    example = torch.zeros(1, 4)
    with pytest.raises(ConfigurationError, match=message):
        make_adaptive(net, example, runs=[run])
    assert find_runs(net, example) == []
    with pytest.raises(ConfigurationError, match=f"no run of 2.*{message}"):
        make_adaptive(net, example)


@pytest.mark.parametrize(
    ("net", "message"),
    [(Reordered(), "does not follow"), (Indexed(), "indexes its blocks from outside")],
)
def test_blocks_used_from_outside_their_sequential_are_refused(net: nn.Module, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_adaptive(net, torch.zeros(1, 4), runs=[Run("inner", ("0", "1"))])


def test_wrong_requests_are_refused(squeeze_net: nn.Sequential, image: Tensor) -> None:
    def refused(message: str, **options: object) -> None:
        with pytest.raises(ConfigurationError, match=message):
            make_adaptive(squeeze_net, image, **options)  # type: ignore[arg-type]

    refused("light depth 2", heavy=2, light=2)
    refused("light depth 0", light=0)
    refused("42 is not a child", runs=[Run("", ("42",))])
    refused("has 2 blocks", runs=[Run("", ("5", "6"))], heavy=3)
    refused("2 does not follow 3", runs=[Run("", ("3", "2"))])
    refused("5 does not follow 3", runs=[Run("", ("3", "5"))])
    refused("in two runs", runs=[Run("", ("1", "2")), Run("", ("2", "3"))])
    refused("No run was chosen", runs=[])
    refused("3 largest runs, but the network has 2", choose=largest(3))
    refused("no run of 4", heavy=4)


def test_an_adaptive_network_is_not_made_adaptive_again(adaptive: nn.Sequential, image: Tensor) -> None:
    with pytest.raises(ConfigurationError, match="adaptive already"):
        make_adaptive(adaptive, image)


def test_parameters_without_a_reset_are_refused_fresh_and_can_be_copied() -> None:
    net = nn.Sequential(Shift(), Shift())
    with pytest.raises(ConfigurationError, match=r"Shift has parameters but no reset_parameters.*copy-first"):
        make_adaptive(net, torch.zeros(1, 4))
    assert len(blocks(make_adaptive(net, torch.zeros(1, 4), light_init="copy-first"))) == 1


def test_the_probe_leaves_no_hooks_when_the_network_fails(squeeze_net: nn.Sequential) -> None:
    with pytest.raises(RuntimeError):
        find_runs(squeeze_net, torch.zeros(1, 7, 32, 32))
    assert not any(module._forward_hooks for module in squeeze_net.modules())


def _size(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def _same(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
