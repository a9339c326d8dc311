"""From one comparison to a search among many, and back."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.errors import ConfigurationError, RateError
from ostiary.metrics.identification import fmr_for, fpir
from ostiary.metrics.intervals import trials_needed
from ostiary.reports.operating import Target


@pytest.mark.parametrize(
    ("fmr", "people", "expected"),
    [(0.5, 2, 0.75), (0.1, 3, 0.271), (1e-3, 1, 1e-3), (1e-3, 1000, 0.6323045752290363), (0, 10, 0), (1, 3, 1)],
)
def test_worked_cases(fmr: float, people: int, expected: float) -> None:
    assert fpir(fmr, people) == pytest.approx(expected, rel=1e-12)


def test_counted_on_independent_comparisons() -> None:
    drawn = np.random.default_rng(0).random((20_000, 50)) < 0.01
    assert drawn.any(axis=1).mean() == pytest.approx(fpir(0.01, 50), abs=0.01)


@given(wanted=st.floats(1e-9, 0.999), people=st.integers(1, 10**7))
def test_there_and_back_and_never_above_the_sum(wanted: float, people: int) -> None:
    fmr = fmr_for(wanted, people)
    assert fpir(fmr, people) == pytest.approx(wanted, rel=1e-9)
    assert wanted <= people * fmr * (1 + 1e-9)
    assert fpir(fmr, people + 1) > wanted * (1 - 1e-12)


def test_what_makes_no_sense() -> None:
    for rate, people in ((-0.1, 1), (1.1, 1), (float("nan"), 1), (0.1, 0)):
        with pytest.raises(RateError):
            fpir(rate, people)
    for rate, people in ((0.0, 1), (1.0, 1), (0.1, 0)):
        with pytest.raises(RateError):
            fmr_for(rate, people)


def test_a_target_among_many_people_is_one_of_single_comparisons() -> None:
    target = Target.parse("fpir=0.01@1000")
    assert (target.name, target.measured) == ("fmr", "similarity")
    assert target.rate == fmr_for(0.01, 1000)
    assert str(target) == "fmr=1.00503e-05 (fpir=0.01@1000)"
    assert str(Target.parse("fmr=0.001")) == "fmr=0.001"
    for text in (
        "fpir=0.01",
        "fpir=0.01@",
        "fpir=0.01@0",
        "fpir=0.01@-5",
        "fpir=0@5",
        "fmr=0.01@5",
        "fpir=0.01@2.5",
    ):
        with pytest.raises(ConfigurationError, match="makes no sense"):
            Target.parse(text)


def test_the_table_of_the_page_is_computed() -> None:
    page = (Path(__file__).parents[2] / "docs" / "identify.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\d,]+) \| ([\d.]+%) \| ([\d.e-]+) \| ([\d,]+) \|$", page, re.MULTILINE)
    assert len(rows) == 6
    for people, loose, fmr, needed in rows:
        number = int(people.replace(",", ""))
        wanted = fmr_for(0.01, number)
        assert (loose, fmr) == (f"{fpir(0.001, number):.1%}", f"{wanted:.2e}")
        assert needed == f"{trials_needed(wanted).rule_of_3:,}"
