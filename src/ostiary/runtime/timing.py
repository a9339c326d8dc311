"""Compare running times on a shared, noisy machine.

All candidates take turns within each round, in random order, so that a disturbance hits them alike; the
clock is the CPU time of the calling thread (right for sessions of one intra-op thread), and what is compared
are medians.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Samples:
    """Times of one candidate in milliseconds, one a round, in the order of the rounds."""

    milliseconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median time in milliseconds."""
        return float(np.median(self.milliseconds))

    @property
    def quartiles(self) -> tuple[float, float]:
        """First and third quartile in milliseconds."""
        low, high = np.percentile(self.milliseconds, [25, 75])
        return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Ratio:
    """One candidate against another: the ratio of their medians, and the quartiles of the rounds' ratios."""

    value: float
    quartiles: tuple[float, float]


def interleave(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    warmup: int = 15,
    seed: int = 0,
    clock: Callable[[], float] = time.thread_time,
) -> dict[str, Samples]:
    """Time each candidate once a round, in an order drawn anew each round.

    Args:
        candidates: name -> what to time.
        rounds: timed calls of each candidate.
        warmup: rounds before those, not timed.
        seed: of the orders.
        clock: seconds; by default CPU time of the calling thread.

    """
    order = random.Random(seed)
    names = list(candidates)
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(-warmup, rounds):
        order.shuffle(names)
        for name in names:
            call = candidates[name]
            start = clock()
            call()
            elapsed = clock() - start
            if turn >= 0:
                times[name].append(elapsed * 1000.0)
    return {name: Samples(tuple(times[name])) for name in candidates}


def ratio(samples: Samples, base: Samples) -> Ratio:
    """Compare two candidates of the same :func:`interleave`."""
    paired = np.asarray(samples.milliseconds) / np.asarray(base.milliseconds)
    low, high = np.percentile(paired, [25, 75])
    return Ratio(samples.median / base.median, (float(low), float(high)))
