"""Statistics for each word: exact on small networks, and nothing else of the network changes."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from ostiary.adaptive import (
    Adaptive,
    BatchStatistics,
    apply_statistics,
    configuration,
    configure,
    configured,
    from_tensors,
    recalibrate,
    recalibrate_all,
    recalibrate_mixture,
    specialise,
    to_tensors,
    words,
)
from ostiary.errors import ConfigurationError


class Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


@pytest.fixture
def tiny() -> nn.Sequential:
    """Doubles or triples its input before a BatchNorm; the light branch has a BatchNorm of its own."""
    light = nn.Sequential(Times(3), nn.BatchNorm1d(2, affine=False), Times(3))
    return nn.Sequential(Adaptive(Times(2), light), nn.Dropout(0.5), nn.BatchNorm1d(2))


@pytest.fixture
def batches() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(8, 2, generator=generator) + shift for shift in (0.0, 1.0, 5.0)]


def test_the_average_over_batches_is_exact(tiny: nn.Sequential, batches: list[Tensor]) -> None:
    statistics = recalibrate(tiny, "H", batches)
    assert set(statistics) == {"2"}  # the light branch's layer is not used
    mean, variance = statistics["2"]
    torch.testing.assert_close(mean, 2 * torch.stack([b.mean(0) for b in batches]).mean(0))
    torch.testing.assert_close(variance, 4 * torch.stack([b.var(0) for b in batches]).mean(0))


def test_each_word_gets_its_own(tiny: nn.Sequential, batches: list[Tensor]) -> None:
    every = recalibrate_all(tiny, words(tiny), batches)
    assert {word: set(statistics) for word, statistics in every.items()} == {
        "H": {"2"},
        "L": {"0.light.1", "2"},
        "B": {"0.light.1", "2"},
    }
    # Batch statistics normalise the light branch to variance 1 (divisor n), which Times(3) makes 9.
    torch.testing.assert_close(every["L"]["2"][1], torch.full((2,), 9 * 8 / 7), rtol=1e-3, atol=0)


def test_nothing_else_changes(adaptive: nn.Sequential, batch: Tensor) -> None:
    adaptive.train()
    adaptive[0].eval()
    configure(adaptive, "BL")
    before = copy.deepcopy(adaptive.state_dict())
    modes = [module.training for module in adaptive.modules()]
    random_state = torch.get_rng_state()
    recalibrate(adaptive, "LH", [batch])
    recalibrate_mixture(adaptive, {"HH": 0.5, "LL": 0.5}, [batch, batch])
    assert all(torch.equal(value, before[name]) for name, value in adaptive.state_dict().items())
    assert modes == [module.training for module in adaptive.modules()]
    assert torch.equal(random_state, torch.get_rng_state())
    assert configuration(adaptive) == "BL"
    assert {m.momentum for m in adaptive.modules() if isinstance(m, nn.BatchNorm2d)} == {0.1}
    assert all(parameter.grad is None for parameter in adaptive.parameters())


def test_the_network_is_restored_when_a_batch_fails(adaptive: nn.Sequential, batch: Tensor) -> None:
    before = copy.deepcopy(adaptive.state_dict())
    with pytest.raises(RuntimeError):
        recalibrate(adaptive, "LL", [batch, batch[:, :1]])
    assert all(torch.equal(value, before[name]) for name, value in adaptive.state_dict().items())
    assert configuration(adaptive) == "HH"


def test_applied_statistics_normalise_what_they_were_measured_on(adaptive: nn.Sequential, batch: Tensor) -> None:
    """With one batch, evaluation then computes what batch statistics did, up to the divisor n - 1."""
    apply_statistics(adaptive, recalibrate(adaptive, "LB", [batch]))
    with configured(adaptive, "LB"), torch.no_grad():
        evaluated = adaptive(batch)
        trained = copy.deepcopy(adaptive).train()(batch)
    torch.testing.assert_close(evaluated, trained, rtol=0.02, atol=0.02)
    with torch.no_grad():
        assert torch.equal(specialise(adaptive, "LB")(batch), evaluated)


def test_layers_before_the_first_block_do_not_depend_on_the_word(adaptive: nn.Sequential, batch: Tensor) -> None:
    heavy, both = recalibrate(adaptive, "HH", [batch]), recalibrate(adaptive, "BH", [batch])
    assert _equal(heavy["1.norm"], both["1.norm"])
    assert _equal(heavy["2.heavy.0.norm"], both["2.heavy.0.norm"])
    assert not _equal(heavy["4.norm"], both["4.norm"])


def test_a_loader_may_yield_tuples(tiny: nn.Sequential, batches: list[Tensor]) -> None:
    labelled = [(batch, torch.zeros(8)) for batch in batches]
    assert _same(recalibrate(tiny, "B", labelled), recalibrate(tiny, "B", batches))


def test_the_mixture_of_one_word_is_that_word(tiny: nn.Sequential, batches: list[Tensor]) -> None:
    assert _same(recalibrate_mixture(tiny, {"L": 1.0}, batches), recalibrate(tiny, "L", batches))


def test_the_mixture_averages_its_words(tiny: nn.Sequential, batches: list[Tensor]) -> None:
    """Heavy and light means of the last layer are 2 x mean and 0; half and half lies in between."""
    mean, _ = recalibrate_mixture(tiny, {"H": 0.5, "L": 0.5}, [batches[2]] * 400)["2"]
    torch.testing.assert_close(mean, batches[2].mean(0), rtol=0.2, atol=0)


def test_no_batches_are_refused(tiny: nn.Sequential, batches: list[Tensor]) -> None:
    with pytest.raises(ConfigurationError, match="yielded no batches"):
        recalibrate(tiny, "H", [])
    with pytest.raises(ConfigurationError, match="not a generator"):
        recalibrate_all(tiny, ["H", "L"], (batch for batch in batches))
    with pytest.raises(ConfigurationError, match="'HH'"):
        recalibrate(tiny, "HH", batches)


def test_statistics_that_do_not_fit_are_refused_and_change_nothing(tiny: nn.Sequential) -> None:
    before = copy.deepcopy(tiny.state_dict())
    good = (torch.ones(2), torch.ones(2))
    with pytest.raises(ConfigurationError, match="no BatchNorm layer 1 "):
        apply_statistics(tiny, {"2": good, "1": good})
    with pytest.raises(ConfigurationError, match=r"shape \(3,\)"):
        apply_statistics(tiny, {"2": good, "0.light.1": (torch.ones(3), torch.ones(3))})
    assert all(torch.equal(value, before[name]) for name, value in tiny.state_dict().items())


def test_statistics_survive_a_file(adaptive: nn.Sequential, batch: Tensor) -> None:
    every = recalibrate_all(adaptive, ["HH", "LB"], [batch])
    tensors = to_tensors(every)
    assert "LB/2.light.0.norm/var" in tensors
    back = from_tensors(tensors)
    assert back.keys() == every.keys()
    assert all(_same(back[word], every[word]) for word in every)


@pytest.mark.parametrize("key", ["HH/bn", "HH/bn/median", "HH//mean", "bn", "HH/bn/mean"])
def test_foreign_tensors_are_refused(key: str) -> None:
    with pytest.raises(ConfigurationError, match="not one of a pair"):
        from_tensors({key: torch.ones(1)})


def _equal(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def _same(one: BatchStatistics, other: BatchStatistics) -> bool:
    return one.keys() == other.keys() and all(_equal(one[name], other[name]) for name in one)
