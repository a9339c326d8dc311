"""Softmax over identities with a margin: what pulls the pictures of a person together and people apart.

A :class:`MarginHead` holds one unit vector a person and turns embeddings into logits: the cosine to each
vector times a scale, the own person's made smaller by a margin. With many people only a sample of the
vectors takes part in a step (Partial FC, An et al. 2021): the batch's own people and others drawn at random.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

UNKNOWN = -1
"""Label of a picture whose person is not known; it takes no part."""


class Margin(BaseModel):
    """Which margin, how large, and how much of the loss it makes up.

    "arcface" (Deng et al. 2019) adds ``margin`` to the angle, "cosface" (Wang et al. 2018) takes it from the
    cosine. ``sampled`` is the share of the people whose vectors take part in a step. ``sharded`` spreads the
    vectors over the processes (``sharded.py``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["arcface", "cosface"] = "arcface"
    scale: float = Field(default=64.0, gt=0)
    margin: float = Field(default=0.5, ge=0, lt=math.pi / 2)
    sampled: float = Field(default=1.0, gt=0, le=1)
    sharded: bool = False
    weight: float = Field(default=1.0, ge=0)


class MarginHead(nn.Module):
    """One vector (people, dimension) a person, normalised before use."""

    def __init__(self, people: int, dimension: int, margin: Margin) -> None:
        super().__init__()
        self.margin = margin
        self.weight = nn.Parameter(first_vectors(people, dimension, range(people)))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Unit embeddings (N, D) and labels (N,) -> mean cross entropy over the pictures of known people.

        Zero, with a gradient of zero, where nobody is known.
        """
        known = labels != UNKNOWN
        embeddings, labels = embeddings[known], labels[known]
        vectors, labels = taking_part(self.weight, labels, self.margin, training=self.training)
        cosines = embeddings @ functional.normalize(vectors).T
        logits = margin_logits(cosines, labels, self.margin)
        return functional.cross_entropy(logits, labels, reduction="sum") / max(1, len(labels))


def first_vectors(people: int, dimension: int, own: range) -> Tensor:
    """Where the vectors of the people ``own`` start: the same whoever else is asked for; never all at once."""
    kept = []
    for start in range(0, people, _CHUNK):
        drawn = torch.randn(min(_CHUNK, people - start), dimension) * dimension**-0.5
        kept.append(drawn[[person - start for person in range(start, start + len(drawn)) if person in own]])
    return torch.cat(kept)


_CHUNK = 4096


def taking_part(weight: Tensor, labels: Tensor, margin: Margin, *, training: bool) -> tuple[Tensor, Tensor]:
    """The vectors of a step out of (people, D), and the labels (N,) as rows of them.

    All vectors if the margin samples none; else the batch's own people and others drawn by torch's generator.
    """
    wanted = math.ceil(margin.sampled * len(weight))
    own = torch.unique(labels)
    if wanted >= len(weight) or not training:
        return weight, labels
    order = torch.rand(len(weight), device=labels.device)
    order[own] = 2.0  # a batch's own people come first, whoever else is drawn
    chosen = order.topk(max(wanted, len(own))).indices.sort().values
    return weight[chosen], torch.searchsorted(chosen, labels)


def margin_logits(cosines: Tensor, labels: Tensor, margin: Margin) -> Tensor:
    """Cosines (N, people) -> logits: all times the scale, and the one of the row's label with its margin.

    Beyond the angle pi - margin, where the cosine of the sum would rise again, ArcFace goes on in a straight
    line, as the reference does. At a cosine of 1 or -1 the gradient is finite: the sine is kept from zero.
    """
    own = cosines.gather(1, labels[:, None]).squeeze(1)
    if margin.kind == "cosface":
        harder = own - margin.margin
    else:
        sine = (1 - own.square()).clamp(min=_LEAST_SQUARE).sqrt()
        turned = own * math.cos(margin.margin) - sine * math.sin(margin.margin)
        straight = own - margin.margin * math.sin(margin.margin)
        harder = torch.where(own > -math.cos(margin.margin), turned, straight)
    return margin.scale * cosines.scatter(1, labels[:, None], harder[:, None].to(cosines.dtype))


_LEAST_SQUARE = 1e-6
"""Of the sine; keeps the gradient of its root below 1000."""
