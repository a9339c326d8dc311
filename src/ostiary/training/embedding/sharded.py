"""The people's vectors spread over the processes of a training: each holds a part, none holds them all.

With 85,742 people (MS1MV2) and 512 dimensions the vectors, their gradients and the optimiser's moments take
half a gigabyte, with millions tens of them; in one piece on every device that ends before the network does
(Partial FC, An et al. 2021). Every process sees the embeddings of all; each computes the logits of its own
people; three numbers a picture are summed over the processes. Loss and gradients are those of one process.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.distributed.nn.functional as collective
from torch import Tensor, distributed, nn
from torch.nn import functional

from ostiary.errors import ConfigurationError
from ostiary.training.embedding.margins import UNKNOWN, Margin, first_vectors, margin_logits, taking_part


class Part(NamedTuple):
    """Which part of so many equal ones."""

    number: int
    of: int


class ShardedMarginHead(nn.Module):
    """The people of this process, every ``of``-th of them; all processes must call it together.

    The loss is the mean over the processes' batches of what :class:`MarginHead` gives, in every process.
    Gradients of the embeddings come ``of`` times too large, since the loop's processes take the mean of theirs.
    """

    def __init__(self, people: int, dimension: int, margin: Margin, part: Part) -> None:
        super().__init__()
        self.margin, self.part = margin, part
        own = range(part.number, people, part.of)
        if not own:
            raise ConfigurationError(f"{people} people cannot be spread over {part.of} processes; use fewer.")
        self.weight = nn.Parameter(first_vectors(people, dimension, own))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Unit embeddings (N, D) and labels (N,), as many in each process -> the loss of all processes."""
        everybody = torch.cat(collective.all_gather(_Larger.apply(embeddings, self.part.of)))  # type: ignore[no-untyped-call]
        batches = [torch.empty_like(labels) for _ in range(self.part.of)]
        distributed.all_gather(batches, labels.contiguous())
        weights = torch.cat([_weights(batch, self.part.of) for batch in batches]).to(embeddings.dtype)
        asked = torch.cat(batches)
        mine = (asked != UNKNOWN) & (asked % self.part.of == self.part.number)
        places = asked // self.part.of
        vectors, chosen = taking_part(self.weight, places[mine], self.margin, training=self.training)
        places = places.masked_scatter(mine, chosen)
        cosines = everybody @ functional.normalize(vectors).T
        logits = self.margin.scale * cosines
        logits = logits.masked_scatter(
            mine[:, None].expand_as(logits), margin_logits(cosines[mine], places[mine], self.margin)
        )
        loss: Tensor = _CrossEntropy.apply(logits, places, mine, weights)  # type: ignore[no-untyped-call]
        return loss


def _weights(labels: Tensor, batches: int) -> Tensor:
    """How much each picture of a batch counts: all known ones alike, all batches alike."""
    known = labels != UNKNOWN
    return known / (known.sum().clamp(min=1) * batches)


class _Larger(torch.autograd.Function):
    """The values themselves; backwards, their gradient times a factor."""

    @staticmethod
    def forward(context: Any, values: Tensor, factor: int) -> Tensor:
        context.factor = factor
        return values.view_as(values)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        larger: Tensor = gradients[0] * context.factor
        return larger, None


class _CrossEntropy(torch.autograd.Function):
    """Weighted sum over rows of the cross entropy whose logits (N, own people) lie in several processes.

    The gradient is written out, since only this process's columns have one here: softmax minus one-hot.
    """

    @staticmethod
    def forward(context: Any, logits: Tensor, places: Tensor, mine: Tensor, weights: Tensor) -> Tensor:
        highest = logits.amax(1)
        distributed.all_reduce(highest, distributed.ReduceOp.MAX)
        powers = (logits - highest[:, None]).exp()
        total = powers.sum(1)
        own = torch.zeros_like(highest)
        own[mine] = logits[mine].gather(1, places[mine][:, None]).squeeze(1)
        both = torch.stack([total, own])
        distributed.all_reduce(both)
        total, own = both
        context.save_for_backward(powers / total[:, None], places, mine, weights)
        loss: Tensor = ((total.log() + highest - own) * weights).sum()
        return loss

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        shares, places, mine, weights = context.saved_tensors
        gradient = shares.clone()
        rows = mine.nonzero().squeeze(1)
        gradient[rows, places[rows]] -= 1
        weighted: Tensor = gradient * weights[:, None] * gradients[0]
        return weighted, None, None, None
