"""Configuration words: one letter a block, in network order. Listing, setting and drawing them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import product

import numpy as np
from torch import nn

from ostiary.adaptive.block import LETTERS, Adaptive
from ostiary.errors import ConfigurationError

PAPER_SAMPLING: dict[str, float] = {"HHH": 0.45, "LHH": 0.15, "HLH": 0.15, "HHL": 0.15, "LLL": 0.10}
"""How often each word is trained, for three blocks (Khabarlak 2022, Table 2). Both is never trained."""


def blocks(net: nn.Module) -> list[Adaptive]:
    """The adaptive blocks of ``net`` in network order: letter i of a word is for block i."""
    found = [module for module in net.modules() if isinstance(module, Adaptive)]
    return sorted(found, key=lambda block: block.position)


def words(net: nn.Module) -> list[str]:
    """Every configuration word of ``net``: 3^k for k blocks, all-heavy first, all-both last.

    A network without adaptive blocks has one word, the empty one.
    """
    return ["".join(letters) for letters in product(LETTERS, repeat=len(blocks(net)))]


def configuration(net: nn.Module) -> str:
    """The word that ``net`` is set to."""
    return "".join(block.letter for block in blocks(net))


def configure(net: nn.Module, word: str) -> None:
    """Set ``net`` to ``word``; ConfigurationError, and no change, where the word does not exist in it."""
    found = blocks(net)
    check_word(word, len(found))
    for block, letter in zip(found, word, strict=True):
        block.letter = letter


@contextmanager
def configured(net: nn.Module, word: str) -> Iterator[None]:
    """Set ``net`` to ``word`` inside the ``with``, and back to what it was afterwards."""
    before = configuration(net)
    configure(net, word)
    try:
        yield
    finally:
        configure(net, before)


def check_word(word: str, count: int) -> None:
    """ConfigurationError unless ``word`` has ``count`` letters, each of H, L, B."""
    if len(word) == count and all(letter in LETTERS for letter in word):
        return
    if count == 0:
        allowed = "this network has no adaptive blocks and takes only the empty word"
    else:
        letters = "1 letter" if count == 1 else f"{count} letters"
        allowed = (
            f"use {letters}, one for each adaptive block in network order, each of H (heavy), L (light), "
            f"B (both), as in {'H' * count} or {'L' * count}"
        )
    raise ConfigurationError(f"There is no configuration {word!r}: {allowed}.")


class WordSampler:
    """Draws the word of each training step from a table of probabilities.

    ``word(step)`` depends on the seed and the step alone (a counter-based generator): a resumed run goes
    on as if it had never stopped, and every rank of a distributed run draws the same word.
    """

    def __init__(self, table: Mapping[str, float], seed: int) -> None:
        """ConfigurationError if the words differ in length or the probabilities do not sum to one."""
        _check_table(table)
        if seed < 0:
            raise ConfigurationError(f"The seed {seed} of the word sampler is negative; use 0 or more.")
        self.table = dict(table)
        self.seed = seed
        self._words = list(self.table)
        self._upper = np.cumsum(list(self.table.values()))
        self._upper[-1] = 1.0  # rounding must not leave a gap below one

    def word(self, step: int) -> str:
        """The word of step ``step`` (0, 1, ...)."""
        uniform = np.random.Generator(np.random.Philox(key=self.seed, counter=step)).random()
        return self._words[int(np.searchsorted(self._upper, uniform, side="right"))]


def _check_table(table: Mapping[str, float]) -> None:
    if not table:
        raise ConfigurationError("The table of word probabilities is empty; give at least one word.")
    length = len(next(iter(table)))
    for word, probability in table.items():
        check_word(word, length)
        if not (math.isfinite(probability) and probability > 0):
            raise ConfigurationError(
                f"The probability {probability} of word {word} is not a positive number; leave out words "
                "that are never drawn."
            )
    total = math.fsum(table.values())
    if abs(total - 1) > 1e-9:
        raise ConfigurationError(f"The probabilities of the words sum to {total:.6g}; they must sum to 1.")
