"""Softmax with a margin: one logit a row, finite gradients, samples that keep the batch's own people."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from ostiary.training.embedding.margins import UNKNOWN, Margin, MarginHead, margin_logits, taking_part

KINDS = pytest.mark.parametrize("kind", ["arcface", "cosface"])


@KINDS
def test_exactly_one_logit_of_a_row_changes(kind: str) -> None:
    cosines = torch.rand(5, 9, generator=torch.Generator().manual_seed(0)) * 2 - 1
    labels = torch.tensor([0, 8, 3, 3, 1])
    margin = Margin(kind=kind, scale=64, margin=0.5)  # type: ignore[arg-type]
    changed = margin_logits(cosines, labels, margin) != margin.scale * cosines
    assert changed.sum(1).tolist() == [1] * 5
    assert changed[torch.arange(5), labels].all()


@KINDS
def test_no_margin_is_plain_scaled_softmax(kind: str) -> None:
    torch.manual_seed(0)
    head = MarginHead(7, 6, Margin(kind=kind, scale=16, margin=0))  # type: ignore[arg-type]
    embeddings = functional.normalize(torch.randn(4, 6))
    labels = torch.tensor([1, 2, 3, 6])
    plain = functional.cross_entropy(16 * embeddings @ functional.normalize(head.weight).T, labels)
    assert head(embeddings, labels).item() == pytest.approx(plain.item(), rel=1e-5)


@given(st.floats(0.05, 1.5), st.floats(-1, 1))
def test_the_margin_makes_it_harder_and_never_turns_round(margin: float, cosine: float) -> None:
    """ArcFace of Deng et al. 2019: cos(theta + m) up to pi - m, then a line that goes on falling."""
    own = torch.tensor([[cosine]], dtype=torch.float64)
    label = torch.tensor([0])
    harder = margin_logits(own, label, Margin(scale=1, margin=margin)).item()
    assert harder < cosine + 1e-3
    if abs(cosine) < 0.999 and math.acos(cosine) + margin < math.pi:
        assert harder == pytest.approx(math.cos(math.acos(cosine) + margin), abs=1e-6)
    lower = margin_logits((own - 1e-3).clamp(min=-1), label, Margin(scale=1, margin=margin)).item()
    assert lower <= harder + 1e-9


def test_the_line_beyond_pi_minus_the_margin_is_the_references() -> None:
    margin = Margin(scale=1, margin=0.5)
    own = torch.tensor([[-0.95]])
    assert margin_logits(own, torch.tensor([0]), margin).item() == pytest.approx(-0.95 - 0.5 * math.sin(0.5))


@KINDS
@pytest.mark.parametrize("cosine", [1.0, -1.0, 0.0])
def test_gradients_are_finite_at_both_ends(kind: str, cosine: float) -> None:
    cosines = torch.tensor([[cosine, 0.1]], requires_grad=True)
    margin_logits(cosines, torch.tensor([0]), Margin(kind=kind)).sum().backward()  # type: ignore[arg-type]
    assert cosines.grad is not None
    assert torch.isfinite(cosines.grad).all()
    assert cosines.grad.abs().max() < 64 * 1000


def test_pictures_of_unknown_people_take_no_part() -> None:
    torch.manual_seed(0)
    head = MarginHead(7, 6, Margin(scale=16))
    embeddings = functional.normalize(torch.randn(4, 6))
    whole = head(embeddings, torch.tensor([1, UNKNOWN, 3, UNKNOWN]))
    assert whole.item() == pytest.approx(head(embeddings[[0, 2]], torch.tensor([1, 3])).item())
    nobody = head(embeddings, torch.full((4,), UNKNOWN))
    nobody.backward()
    assert nobody.item() == 0
    assert head.weight.grad is not None
    assert not head.weight.grad.any()


@given(st.integers(1, 30), st.floats(0.01, 1.0), st.integers(0, 99))
def test_a_sample_holds_the_batchs_own_people(people: int, share: float, seed: int) -> None:
    torch.manual_seed(seed)
    weight = torch.arange(float(people))[:, None]
    labels = torch.randint(0, people, (4,))
    vectors, places = taking_part(weight, labels, Margin(sampled=share), training=True)
    assert torch.equal(vectors[places, 0], labels.float())
    assert len(vectors) == max(math.ceil(share * people), len(labels.unique()))
    assert len(vectors.unique()) == len(vectors)
    everybody, same = taking_part(weight, labels, Margin(sampled=share), training=False)
    assert len(everybody) == people
    assert torch.equal(same, labels)
