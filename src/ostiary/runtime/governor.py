"""Keeps a liveness model within a time budget by choosing its configuration.

The governor measures the candidate words once on this device, keeps those that no other word beats in both
quality and time (the *ladder*), and starts on the best rung that fits. It then watches the calls: when their
moving median exceeds the budget it steps down to the best rung that fits at the present load, and when a
better rung would fit with room to spare for long enough, it climbs one rung. A climb that has to be taken
back doubles the patience before the next one, so that a load near the border does not make it swing.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError
from ostiary.runtime.liveness_record import Metadata
from ostiary.runtime.timing import interleave


class Governable(Protocol):
    """What the governor needs of a model; :class:`ostiary.runtime.liveness.LivenessModel` is one."""

    @property
    def metadata(self) -> Metadata:
        """The record of the weights file."""

    def liveness(
        self, crops: NDArray[np.uint8], word: str | None = None, *, switched: bool = False
    ) -> NDArray[np.float32]:
        """Liveness of crops under a word."""


class Governor:
    """Chooses, watches and changes the configuration of a model.

    All calls use the model's switchable session, in which a change of word is free; it is also what is
    measured. Not safe to share between threads.

    Args:
        model: the model to govern.
        budget_ms: wall-clock milliseconds that one crop may take.
        words: candidates; by default every word of the model.
        clock: seconds, monotonic.
        rounds: timed calls of each candidate in the measurement at the start.
        window: calls over which the moving median is taken.
        patience: calls in a row that must leave room for a better rung before it is tried.
        margin: share of the budget that a better rung must be expected to stay within.

    Raises:
        ConfigurationError: a word that the model lacks, or a budget that is not positive.

    """

    def __init__(
        self,
        model: Governable,
        budget_ms: float,
        words: Sequence[str] | None = None,
        *,
        clock: Callable[[], float] = time.perf_counter,
        rounds: int = 5,
        window: int = 9,
        patience: int = 30,
        margin: float = 0.9,
    ) -> None:
        if not budget_ms > 0:
            raise ConfigurationError(f"a budget of {budget_ms} ms cannot be kept: give a positive number.")
        self.budget_ms = budget_ms
        self._model = model
        self._clock = clock
        self._margin = margin
        self._first_patience = self._patience = patience
        self._window = window
        self._recent: deque[float] = deque(maxlen=window)
        self._roomy = 0
        self._on_trial = False
        self._since_move = 0
        self._load = 1.0  # how much slower calls are now than in the measurement at the start
        candidates = _known(words, model.metadata)
        self.latency_ms = _measure(model, candidates, rounds, clock)
        self.ladder = _ladder(candidates, model.metadata, self.latency_ms)
        self._rung = self._best_rung(load=1.0)

    @property
    def word(self) -> str:
        """The configuration in use."""
        return self.ladder[self._rung]

    @property
    def fits(self) -> bool:
        """Whether the word in use keeps the budget, as measured at the start and as seen lately."""
        return self.latency_ms[self.word] * self._load <= self.budget_ms

    def liveness(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Liveness of crops under the word in use, float32 (N,); the time it took is taken into account."""
        start = self._clock()
        liveness = self._model.liveness(crops, self.word, switched=True)
        if len(crops):
            self.observe((self._clock() - start) * 1000.0 / len(crops))
        return liveness

    def observe(self, milliseconds: float) -> None:
        """Take note of what one crop took under the word in use, and change the word if called for."""
        self._recent.append(milliseconds)
        self._since_move += 1
        self._load = statistics.median(self._recent) / self.latency_ms[self.word]
        if len(self._recent) < self._window:
            return
        if not self.fits:
            self._step_down()
        elif self._rung > 0:
            self._consider_climbing()
        if self._on_trial and self._since_move > self._patience:
            self._on_trial = False
            self._patience = self._first_patience  # the last climb has proved right

    def _step_down(self) -> None:
        lower = max(self._best_rung(self._load), min(self._rung + 1, len(self.ladder) - 1))
        if lower == self._rung:
            return
        if self._on_trial:
            self._patience *= 2
        self._move(lower, on_trial=False)

    def _consider_climbing(self) -> None:
        expected = self.latency_ms[self.ladder[self._rung - 1]] * self._load
        self._roomy = self._roomy + 1 if expected <= self.budget_ms * self._margin else 0
        if self._roomy >= self._patience:
            self._move(self._rung - 1, on_trial=True)

    def _move(self, rung: int, *, on_trial: bool) -> None:
        self._rung = rung
        self._on_trial = on_trial
        self._since_move = self._roomy = 0
        self._recent.clear()

    def _best_rung(self, load: float) -> int:
        """The best rung within the budget at this load, or the cheapest if none is."""
        for rung, word in enumerate(self.ladder):
            if self.latency_ms[word] * load <= self.budget_ms:
                return rung
        return len(self.ladder) - 1


def _known(words: Sequence[str] | None, metadata: Metadata) -> list[str]:
    known = list(metadata.configurations)
    for word in words or []:
        if word not in known:
            raise ConfigurationError(f"there is no configuration {word!r}; the model has: {', '.join(known)}.")
    return list(words) if words else known


def _measure(model: Governable, words: Sequence[str], rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    size = model.metadata.preprocess.size
    crop = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)

    def call(word: str) -> Callable[[], object]:
        return lambda: model.liveness(crop, word, switched=True)

    samples = interleave({word: call(word) for word in words}, rounds=rounds, warmup=1, clock=clock)
    return {word: timed.median for word, timed in samples.items()}


def _ladder(words: Sequence[str], metadata: Metadata, latency_ms: dict[str, float]) -> list[str]:
    """Words from best to cheapest, without those that a better word undercuts in time."""

    def rank(word: str) -> tuple[float, float]:
        record = metadata.configurations[word]
        error = record.development_error
        # Without a recorded error more work stands for better quality, after all words that have one.
        return (float("inf") if error is None else error, -record.macs)

    ladder: list[str] = []
    for word in sorted(words, key=rank):
        if not ladder or latency_ms[word] < latency_ms[ladder[-1]]:
            ladder.append(word)
    return ladder
