"""The governor's choices, with a model whose times the test sets."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError
from ostiary.faces.preprocess import Preprocess
from ostiary.runtime.governor import Governor
from ostiary.runtime.liveness_record import ConfigurationRecord, Metadata

TIMES = {"HH": 10.0, "HL": 8.0, "LH": 9.0, "LL": 6.0}
MACS = {"HH": 100, "HL": 70, "LH": 90, "LL": 60}
CROP = np.zeros((1, 16, 16, 3), np.uint8)


class FakeModel:
    """Spends its word's milliseconds, times a load, on a clock of its own."""

    def __init__(self, errors: dict[str, float] | None = None, jitter: float = 0.0) -> None:
        self.now = 0.0
        self.load = 1.0
        self.calls: list[str] = []
        self._jitter = random.Random(0)
        self._width = jitter
        self.metadata = Metadata(
            name="fake",
            version="1",
            licence="none",
            data=[],
            preprocess=Preprocess(crop="loose", size=16),
            configurations={
                word: ConfigurationRecord(parameters=1, macs=macs, development_error=(errors or {}).get(word))
                for word, macs in MACS.items()
            },
            default_configuration="HH",
            training_commit="unknown",
        )

    def liveness(
        self, crops: NDArray[np.uint8], word: str | None = None, *, switched: bool = False
    ) -> NDArray[np.float32]:
        assert word is not None
        assert switched
        noise = 1 + self._width * self._jitter.uniform(-1, 1)
        self.now += TIMES[word] * self.load * noise * max(len(crops), 1) / 1000
        self.calls.append(word)
        return np.zeros(len(crops), np.float32)

    def clock(self) -> float:
        return self.now


def govern(model: FakeModel, budget_ms: float, words: list[str] | None = None) -> Governor:
    return Governor(model, budget_ms, words, clock=model.clock)


@pytest.mark.parametrize(
    ("budget", "word", "fits"),
    [
        (20, "HH", True),
        (10.5, "HH", True),
        (9.5, "LH", True),
        (8.5, "HL", True),
        (7, "LL", True),
        (5, "LL", False),
    ],
)
def test_the_most_work_that_fits_is_chosen(budget: float, word: str, fits: bool) -> None:
    governor = govern(FakeModel(), budget)
    assert governor.word == word
    assert governor.fits is fits
    assert governor.latency_ms == pytest.approx(TIMES)
    assert governor.ladder == ["HH", "LH", "HL", "LL"]


def test_the_lowest_development_error_is_preferred_to_work() -> None:
    errors = {"HH": 0.05, "HL": 0.02, "LH": 0.03, "LL": 0.04}
    governor = govern(FakeModel(errors), 20)
    assert governor.ladder == ["HL", "LL"]  # HH and LH are both slower and worse than HL
    assert governor.word == "HL"


def test_only_the_given_words_are_measured() -> None:
    model = FakeModel()
    governor = govern(model, 20, ["LL", "HL"])
    assert set(model.calls) == {"LL", "HL"}
    assert governor.word == "HL"


def test_it_steps_down_under_load_and_up_again() -> None:
    model = FakeModel()
    governor = govern(model, 11)
    model.load = 1.3  # HH 13, LH 11.7, HL 10.4
    run(governor, 20)
    assert governor.word == "HL"
    assert governor.fits
    model.load = 2.0  # LL 12: nothing fits
    run(governor, 20)
    assert governor.word == "LL"
    assert not governor.fits
    model.load = 0.9
    run(governor, 300)
    assert governor.word == "HH"
    assert governor.fits


def test_one_slow_call_changes_nothing() -> None:
    model = FakeModel()
    governor = govern(model, 11)
    for turn in range(200):
        model.load = 5.0 if turn % 4 == 0 else 1.0
        run(governor, 1)
    assert governor.word == "HH"


@pytest.mark.parametrize("load", [1.0, 1.1, 1.15, 1.22, 1.3, 1.5, 1.8])
def test_a_steady_load_does_not_make_it_swing(load: float) -> None:
    model = FakeModel(jitter=0.15)
    governor = govern(model, 11)
    model.load = load
    words = run(governor, 3000)
    changes = sum(before != after for before, after in pairwise(words))
    assert changes <= 12
    late = words[2000:]
    assert sum(before != after for before, after in pairwise(late)) <= 2


def test_the_same_times_give_the_same_choices() -> None:
    def words() -> list[str]:
        model = FakeModel(jitter=0.3)
        governor = govern(model, 11)
        found = []
        for turn in range(500):
            model.load = 1 + (turn // 100) * 0.2
            found += run(governor, 1)
        return found

    assert words() == words()


def test_the_budget_is_for_a_crop_whatever_the_batch() -> None:
    model = FakeModel()
    governor = govern(model, 10.5)
    for _ in range(50):
        governor.liveness(np.repeat(CROP, 8, axis=0))
        governor.liveness(CROP[:0])
    assert governor.word == "HH"


@pytest.mark.parametrize("budget", [0, -1, float("nan")])
def test_impossible_budgets_are_refused(budget: float) -> None:
    with pytest.raises(ConfigurationError, match="positive"):
        govern(FakeModel(), budget)


def test_unknown_words_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="no configuration 'HX'"):
        govern(FakeModel(), 10, ["HX"])


def run(governor: Governor, calls: int) -> list[str]:
    words = []
    for _ in range(calls):
        governor.liveness(CROP)
        words.append(governor.word)
    return words
