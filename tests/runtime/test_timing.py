"""Interleaved timing under a clock that the test turns."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ostiary.runtime.timing import Samples, interleave, ratio


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_every_candidate_is_timed_once_a_round_after_the_warm_up() -> None:
    clock = Clock()
    order: list[str] = []

    def candidate(name: str, seconds: float) -> Callable[[], None]:
        def call() -> None:
            order.append(name)
            clock.now += seconds

        return call

    candidates = {"slow": candidate("slow", 0.004), "fast": candidate("fast", 0.001)}
    samples = interleave(candidates, rounds=20, warmup=3, clock=clock)
    assert samples["slow"].milliseconds == pytest.approx((4.0,) * 20)
    assert samples["fast"].median == pytest.approx(1.0)
    rounds = [tuple(order[i : i + 2]) for i in range(0, len(order), 2)]
    assert len(rounds) == 23
    assert set(rounds) == {("slow", "fast"), ("fast", "slow")}  # the order is drawn anew each round
    compared = ratio(samples["slow"], samples["fast"])
    assert compared.value == pytest.approx(4.0)
    assert compared.quartiles == pytest.approx((4.0, 4.0))


def test_the_seed_decides_the_order() -> None:
    def orders(seed: int) -> list[str]:
        order: list[str] = []
        interleave({n: (lambda n=n: order.append(n)) for n in "abcd"}, rounds=5, warmup=0, seed=seed)
        return order

    assert orders(1) == orders(1)
    assert orders(1) != orders(2)


def test_medians_and_quartiles() -> None:
    samples = Samples((1.0, 2.0, 3.0, 4.0, 100.0))
    assert samples.median == 3.0
    assert samples.quartiles == (2.0, 4.0)
