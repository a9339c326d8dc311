from __future__ import annotations

import numpy as np
import pytest

from ostiary.errors import RateError
from ostiary.metrics.intervals import upper_limit
from ostiary.metrics.verification_threshold import choose_match_threshold
from ostiary.metrics.verification_trials import Comparisons

TARGET = 0.01


def _development(seed: int = 0, people: int = 60, size: int = 2000) -> Comparisons:
    generator = np.random.default_rng(seed)
    same = np.arange(size) % 2 == 0
    first = generator.integers(0, people, size)
    second = np.where(same, first, (first + generator.integers(1, people, size)) % people)
    values = np.where(same, 0.8, 0.5) + generator.normal(0, 0.08, size)
    names = [(f"p{a}", f"p{b}") for a, b in zip(first, second, strict=True)]
    return Comparisons.from_columns(values.clip(0, 1), same, None, names)


@pytest.mark.parametrize("rule", ["fmr", "fmr_point"])
def test_the_promise_is_kept_and_nothing_is_given_away(rule: str) -> None:
    comparisons = _development()
    found = choose_match_threshold(comparisons, TARGET, data="dev", rule=rule)  # type: ignore[arg-type]
    others = comparisons.similarity[~comparisons.same]

    def risk(threshold: float) -> float:
        matched = int((others >= threshold).sum())
        return upper_limit(matched, len(others)) if rule == "fmr" else matched / len(others)

    value = found.record.value
    assert value in comparisons.similarity
    assert risk(value) <= TARGET
    assert risk(comparisons.similarity[comparisons.similarity < value].max()) > TARGET
    assert found.errors.fmr is not None and found.errors.fmr.value == (others >= value).mean()  # noqa: PT018
    assert found.record.upper_limit == upper_limit(found.errors.fmr.errors or 0, len(others))
    assert found.low < value < found.high
    assert found.errors.fmr.interval.method == "bootstrap over people"


def test_the_record_says_what_it_rests_on() -> None:
    record = choose_match_threshold(_development(), TARGET, data="dev", rule="fmr_point", flip=True).record
    assert (record.target, record.rate, record.data, record.flip) == ("fmr<=1e-2", TARGET, "dev", True)
    assert (record.n_mated, record.n_non_mated) == (1000, 1000)
    assert record.warning is not None
    for words in ("fewer than the 3,000", "upper limit may not", "60 people"):
        assert words in record.warning


def test_its_interval_covers_where_other_people_put_it() -> None:
    found = choose_match_threshold(_development(0), TARGET, data="dev", rule="fmr_point")
    others = [
        choose_match_threshold(_development(seed), TARGET, data="dev", rule="fmr_point").record.value
        for seed in range(1, 9)
    ]
    assert sum(found.low <= value <= found.high for value in others) >= 5
    assert found.high - found.low < 0.1


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(RateError, match="1,000 non-mated comparisons"):
        choose_match_threshold(_development(), 1e-3, data="dev")


def test_pairs_as_similar_as_can_be_are_refused() -> None:
    comparisons = Comparisons.from_columns([1.0] * 400, [True] * 100 + [False] * 300)
    with pytest.raises(RateError, match="as similar as can be"):
        choose_match_threshold(comparisons, TARGET, data="dev")
