"""How long, how fast and with which optimiser: the part of a recipe that the loop itself reads."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ostiary.errors import ConfigurationError


class Schedule(BaseModel):
    """Optimiser, learning rate, length and batch of a run.

    ``shards`` is the number of equal parts into which a batch is cut for the forward pass: BatchNorm sees
    one shard at a time. Processes share the shards among them, so the curve depends on the recipe and
    the seed, not on how many processes ran it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: PositiveInt
    batch: PositiveInt = 32
    shards: PositiveInt = 1
    optimiser: Literal["adam", "adamw", "sgd"] = "adam"
    """ "sgd" has a momentum of 0.9."""
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    decayed: Literal["matrices", "all_but_norms"] = "matrices"
    """Which weights decay: those of two or more dimensions, or all but the scales and shifts of normalisations."""
    head_weight_decay: float | None = Field(default=None, ge=0)
    """Weight decay of the parameters that the network calls its ``heads``; None: as all others."""
    decay: Literal["constant", "cosine", "steps"] = "constant"
    milestones: tuple[float, ...] = ()
    """Shares of the run after each of which "steps" divides the learning rate by ten."""
    warmup_steps: int = Field(default=0, ge=0)
    average: float = Field(default=0.0, ge=0, lt=1)
    """Decay of the exponential moving average of the weights; 0: none."""
    keep: Literal["best", "last"] = "best"
    """Which epoch becomes the model: the best on development data, or simply the last."""

    @model_validator(mode="after")
    def _batch_splits_evenly(self) -> Schedule:
        if self.batch % self.shards:
            raise ValueError(f"a batch of {self.batch} cannot be cut into {self.shards} equal shards")
        return self

    def adjusted(self, *, epochs: int | None = None, processes: int = 1) -> Schedule:
        """The same with another length, or with shards enough for several processes.

        Raises:
            ConfigurationError: not a possible length, or a batch that cannot be cut so.

        """
        change = {"epochs": epochs or self.epochs}
        if self.shards % processes:
            change["shards"] = processes
        try:
            return Schedule.model_validate({**self.model_dump(), **change})
        except ValidationError as error:
            raise ConfigurationError(f"The schedule cannot be changed so: {error.errors()[0]['msg']}.") from None

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of step ``step`` (from 0) of ``steps``: linear warm-up, then as ``decay`` says."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        if self.decay == "constant":
            return self.learning_rate
        if self.decay == "steps":
            return self.learning_rate * 0.1 ** sum(step >= share * steps for share in self.milestones)
        done = (step - self.warmup_steps) / max(1, steps - self.warmup_steps)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    def make_optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        """The optimiser, with a group of parameters for each weight decay; ``network.heads`` may name heads."""
        heads = {id(parameter) for parameter in getattr(network, "heads", ())}
        norms = {
            id(p) for module in network.modules() if isinstance(module, _BatchNorm) for p in module.parameters()
        }
        groups: dict[float, list[nn.Parameter]] = {}
        for parameter in network.parameters():
            spared = id(parameter) in norms if self.decayed == "all_but_norms" else parameter.ndim <= 1
            decay = 0.0 if spared else self.weight_decay
            if id(parameter) in heads and self.head_weight_decay is not None:
                decay = self.head_weight_decay
            groups.setdefault(decay, []).append(parameter)
        kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {
            "adam": torch.optim.Adam,
            "adamw": torch.optim.AdamW,
            "sgd": partial(torch.optim.SGD, momentum=0.9),
        }
        decays = [{"params": members, "weight_decay": decay} for decay, members in groups.items()]
        return kinds[self.optimiser](decays, lr=self.learning_rate)
