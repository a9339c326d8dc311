"""Which configuration words a step trains: the rule by which one network learns to be many."""

from __future__ import annotations

from itertools import product
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from ostiary.adaptive.configuration import WordSampler, blocks


class Dial(BaseModel):
    """How the words of a step are chosen, and whom they follow.

    ``rule`` "paper" draws one word a step by the recipe's table. "sandwich" (Yu and Huang 2019) runs all-heavy,
    all-light and ``random_words`` others, drawn evenly from the words of ``letters``, in every step; their
    gradients add up, so a step costs as much as that many, and the loss in the log is the sum of theirs.

    ``distil`` is the share of the loss by which every other word follows the answer of all-heavy to the same
    batch, instead of labels and teachers: 1 is the in-place distillation of Yu and Huang. The sandwich has
    that answer already; under the paper's rule it takes one more forward pass, without gradient, in
    steps of another word.

    All words share one set of BatchNorm running statistics, and each pass moves them: with several passes
    a step they are a mean over words, weighted towards the last one. The gradients do not depend on them; figures
    on development data during training do. The export measures them afresh for each word.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: Literal["paper", "sandwich"] = "paper"
    random_words: int = Field(default=1, ge=0, le=6)
    letters: Literal["HL", "HLB"] = "HL"
    distil: float = Field(default=0.0, ge=0, le=1)


class StepWords:
    """The words of each step, all-heavy first where it is among them: from the seed and the step alone."""

    def __init__(self, dial: Dial, table: dict[str, float], network: nn.Module, seed: int) -> None:
        self._dial, self._seed = dial, seed
        count = len(blocks(network))
        self._ends = list(dict.fromkeys(("H" * count, "L" * count)))
        self._between = [
            word for word in map("".join, product(dial.letters, repeat=count)) if word not in self._ends
        ]
        self._sampler = WordSampler(table, seed) if count and dial.rule == "paper" else None

    def __call__(self, step: int) -> list[str]:
        """The words of step ``step``; one, the empty one, for a network without adaptive blocks."""
        if self._sampler is not None:
            return [self._sampler.word(step)]
        rng = np.random.Generator(np.random.Philox(key=self._seed, counter=step))
        count = min(self._dial.random_words, len(self._between))
        return self._ends + [self._between[i] for i in rng.permutation(len(self._between))[:count]]
