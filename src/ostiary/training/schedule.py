"""How long, how fast and with which optimiser: the part of a recipe that the loop itself reads."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator
from torch import nn


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
    optimiser: Literal["adam", "adamw"] = "adam"
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    decay: Literal["constant", "cosine"] = "constant"
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

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of step ``step`` (from 0) of ``steps``: linear warm-up, then constant or cosine."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        if self.decay == "constant":
            return self.learning_rate
        done = (step - self.warmup_steps) / max(1, steps - self.warmup_steps)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    def make_optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        """The optimiser; weight decay on weights of two or more dimensions alone (no BatchNorm, no bias)."""
        parameters = list(network.parameters())
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        kinds: dict[str, type[torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
        return kinds[self.optimiser](groups, lr=self.learning_rate)  # type: ignore[call-arg]
