"""The record of one measured rate: never a number without its trials and its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Method = Literal[
    "bootstrap over people",
    "bootstrap over trials",
    "Clopper-Pearson over people",
    "Clopper-Pearson over trials",
]


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided confidence interval; ``level`` is its coverage, such as 0.95."""

    low: float
    high: float
    method: Method
    level: float = 0.95

    def __str__(self) -> str:
        return f"{100 * self.low:.2f} - {100 * self.high:.2f} %"


@dataclass(frozen=True, slots=True)
class Rate:
    """A share in [0, 1] with what it was measured on.

    ``errors`` is None for quantities that are not one count over another (ACER, AUC, EER).
    ``trials`` counts the presentations of the smallest class that the rate depends on, ``people`` the
    people behind them (None where unknown). ``people_interval`` is the second, more careful
    interval that is printed where fewer than 20 people stand behind the rate.
    """

    value: float
    errors: int | None
    trials: int
    people: int | None
    interval: Interval
    people_interval: Interval | None = None

    def __str__(self) -> str:
        return f"{100 * self.value:.2f} % ({self.interval})"
