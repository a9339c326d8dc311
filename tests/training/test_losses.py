"""Losses: hand-worked values, and what must not count."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from ostiary.training.losses import (
    contrast_classes,
    contrast_loss,
    domain_loss,
    reversed_gradient,
    spectrum,
    verdict_loss,
)

LOGITS = torch.tensor([[0.0, math.log(3)], [0.0, math.log(3)]])
"""Both pictures are bona fide with probability 3/4."""
LABELS = torch.tensor([1, 0])
NAN = float("nan")


def test_without_anything_else_it_is_cross_entropy() -> None:
    plain = functional.cross_entropy(LOGITS, LABELS, label_smoothing=0.1)
    assert float(verdict_loss(LOGITS, LABELS, smoothing=0.1)) == pytest.approx(float(plain))
    assert float(verdict_loss(LOGITS, LABELS)) == pytest.approx((math.log(4 / 3) + math.log(4)) / 2, rel=1e-5)


def test_soft_targets_take_their_share_and_unknown_ones_none() -> None:
    soft = torch.tensor([0.5, NAN])
    follows = 0.5 * (math.log(4 / 3) + math.log(4))  # the cross entropy of 3/4 towards 1/2
    expected = (0.75 * math.log(4 / 3) + 0.25 * follows + math.log(4)) / 2
    assert verdict_loss(LOGITS, LABELS, [(soft, 0.25)]) == pytest.approx(expected)


def test_the_last_one_followed_wholly_hides_the_labels() -> None:
    heavy = torch.tensor([0.75, 0.75])
    one = verdict_loss(LOGITS, LABELS, [(torch.tensor([0.1, 0.9]), 0.5), (heavy, 1.0)])
    other = verdict_loss(LOGITS, 1 - LABELS, [(heavy, 1.0)])
    assert one == pytest.approx(float(other))


def test_focal_weighs_by_the_distance_from_the_label() -> None:
    expected = (0.25**2 * math.log(4 / 3) + 0.75**2 * math.log(4)) / 2
    assert verdict_loss(LOGITS, LABELS, focal=2) == pytest.approx(expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_focal_forgives_an_answer_that_is_on_its_soft_target(smoothing: float) -> None:
    on_target = torch.tensor([[0.0, math.log(3)]], requires_grad=True)
    loss = verdict_loss(
        on_target, torch.tensor([0]), [(torch.tensor([0.75]), 1.0)], smoothing=smoothing, focal=0.5
    )
    loss.backward()
    assert loss < 0.01
    assert on_target.grad is not None
    assert torch.isfinite(on_target.grad).all()


def test_contrast_is_the_formula_of_the_paper() -> None:
    torch.manual_seed(0)
    features = functional.normalize(torch.randn(6, 5))
    classes = [0, 0, 0, 1, 1, 2]
    terms = []
    for i in range(5):  # the sixth is alone in its class
        total = sum(math.exp(features[i] @ features[k] / 0.2) for k in range(6) if k != i)
        positives = [p for p in range(6) if p != i and classes[p] == classes[i]]
        terms.append(
            -sum(math.log(math.exp(features[i] @ features[p] / 0.2) / total) for p in positives) / len(positives)
        )
    assert contrast_loss(features, torch.tensor(classes), 0.2) == pytest.approx(sum(terms) / 5, rel=1e-5)
    assert contrast_loss(features, torch.arange(6), 0.2) == 0
    assert contrast_loss(features[:1], torch.tensor([0]), 0.2) == 0


def test_bona_fide_belong_together_and_attacks_apart_or_all_together() -> None:
    labels = torch.tensor([1, 1, 0, 0, 0, 0])
    datasets = torch.tensor([0, 1, 0, 1, 1, 1])
    species = torch.tensor([0, 0, 1, 1, 2, 2])
    apart = contrast_classes(labels, datasets, species, "single_side").tolist()
    assert apart[0] == apart[1] == 0
    assert apart[4] == apart[5]
    assert len({0, *apart[2:]}) == 4
    assert contrast_classes(labels, datasets, species, "both").tolist() == [0, 0, 1, 1, 1, 1]


def test_only_bona_fide_faces_may_hide_their_data_set() -> None:
    domains = torch.tensor([[0.0, math.log(3)], [5.0, 0.0], [0.0, 9.0]])
    datasets = torch.tensor([1, 1, 0])
    assert domain_loss(domains, torch.tensor([1, 0, 0]), datasets, "single_side") == pytest.approx(math.log(4 / 3))
    assert domain_loss(domains, torch.tensor([0, 0, 0]), datasets, "single_side") == 0
    everything = functional.cross_entropy(domains, datasets)
    assert domain_loss(domains, torch.tensor([1, 0, 0]), datasets, "both") == pytest.approx(float(everything))


def test_a_grid_stands_in_the_spectrum_where_its_waves_are() -> None:
    """Waves of 16 a side along x: 16 of 64 frequencies right and left of the middle."""
    along = torch.arange(64) / 64 * 2 * torch.pi * 16
    picture = torch.cos(along).expand(1, 3, 64, 64) + 5
    found = spectrum(picture, 16)[0, 0]
    assert found.shape == (16, 16)
    assert {tuple(place) for place in (found > 0.5).nonzero().tolist()} == {(8, 4), (8, 12)}
    assert torch.allclose(spectrum(picture * 1 + 3, 16)[0, 0], found, atol=1e-5)


def test_the_spectrum_of_nothing_is_nothing() -> None:
    assert torch.equal(spectrum(torch.ones(2, 3, 32, 32), 4), torch.zeros(2, 1, 4, 4))


def test_a_reversed_gradient_changes_sign_and_size_and_the_features_stay() -> None:
    features = torch.tensor([1.0, -2.0], requires_grad=True)
    out = reversed_gradient(features, 0.5)
    assert torch.equal(out, features)
    (out * torch.tensor([3.0, 4.0])).sum().backward()
    assert features.grad is not None
    assert features.grad.tolist() == [-1.5, -2.0]
