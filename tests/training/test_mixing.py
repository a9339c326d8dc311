"""Mixing within a batch: what changes, what stays, and between whom."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ostiary.training.mixing import Mixture, StyleMix, partners

LABELS = torch.tensor([1, 1, 1, 0, 0, 0, 0, 1])


def maps() -> Tensor:
    torch.manual_seed(0)
    scale = torch.arange(1.0, 9.0).reshape(8, 1, 1, 1)
    return torch.randn(8, 4, 6, 6) * scale + 3 * scale


def test_never_means_never() -> None:
    features = maps()
    assert StyleMix()(features, LABELS) is features


def test_a_style_changes_and_the_content_stays() -> None:
    features = maps()
    mixed = StyleMix(probability=1.0, among="batch")(features, LABELS)

    def content(x: Tensor) -> Tensor:
        return (x - x.mean((2, 3), keepdim=True)) / x.std((2, 3), keepdim=True)

    assert torch.allclose(content(mixed), content(features), atol=1e-4)
    means = mixed.mean((2, 3))
    assert not torch.allclose(means, features.mean((2, 3)), atol=0.1)
    assert means.min() >= features.mean((2, 3)).min() - 1e-3
    assert means.max() <= features.mean((2, 3)).max() + 1e-3


def test_among_a_label_no_style_crosses_to_the_other() -> None:
    features = maps()
    features[LABELS == 0] += 1000
    for seed in range(5):
        torch.manual_seed(seed)
        means = StyleMix(probability=1.0, among="label")(features, LABELS).mean((1, 2, 3))
        assert means[LABELS == 1].max() < 100
        assert means[LABELS == 0].min() > 900


def test_torchs_seed_decides() -> None:
    def drawn(seed: int) -> Tensor:
        features = maps()
        torch.manual_seed(seed)
        return StyleMix(probability=1.0)(features, LABELS)

    assert torch.equal(drawn(3), drawn(3))
    assert not torch.equal(drawn(3), drawn(4))


def test_partners_permute_within_each_label() -> None:
    places = partners(LABELS)
    assert sorted(places.tolist()) == list(range(8))
    assert torch.equal(LABELS[places], LABELS)


def test_mixup_takes_its_share_of_each() -> None:
    mixture = Mixture(0.75, torch.tensor([1, 0]))
    assert mixture(torch.tensor([[4.0], [8.0]])).tolist() == [[5.0], [7.0]]
    drawn = Mixture.draw(0.2, 5, torch.device("cpu"))
    assert 0 <= drawn.share <= 1
    assert sorted(drawn.others.tolist()) == list(range(5))


def test_a_strength_of_one_draws_all_shares_alike() -> None:
    torch.manual_seed(0)
    shares = [Mixture.draw(1.0, 2, torch.device("cpu")).share for _ in range(400)]
    assert sum(shares) / 400 == pytest.approx(0.5, abs=0.05)
