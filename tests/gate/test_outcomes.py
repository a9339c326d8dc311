"""The truth table: the gate opens if every required stage has passed, and in no other case."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.gate.outcomes import ALWAYS_REQUIRED, OUTCOMES, STAGES, TO_ENROL, compared, decide, worst_of
from ostiary.gate.policy import LockoutRules, Policy


def test_the_whole_truth_table() -> None:
    """Every outcome of every stage: 5^7 rows, of which one opens."""
    opened = []
    for row in itertools.product(OUTCOMES, repeat=len(STAGES)):
        outcomes = dict(zip(STAGES, row, strict=True))
        verdict = decide(outcomes, STAGES)
        first = next((stage for stage in STAGES if outcomes.get(stage) != "passed"), None)
        assert verdict.stopped_by == first
        assert verdict.opens == (first is None)
        if verdict.opens:
            opened.append(row)
    assert opened == [("passed",) * len(STAGES)]


anything = st.one_of(st.sampled_from(OUTCOMES), st.text(max_size=8), st.none(), st.booleans())


@given(
    outcomes=st.dictionaries(st.sampled_from(STAGES), anything),
    required=st.frozensets(st.one_of(st.sampled_from(STAGES), st.text(max_size=8))),
)
def test_nothing_that_has_not_passed_opens(outcomes: dict, required: frozenset) -> None:  # type: ignore[type-arg]
    """Whatever words the stages come with, and whatever is asked for; where nothing is, the gate is shut."""
    verdict = decide(outcomes, required)
    assert verdict.opens == (bool(required) and all(outcomes.get(stage) == "passed" for stage in required))


@given(outcomes=st.dictionaries(st.sampled_from(STAGES), st.sampled_from(OUTCOMES)), stage=st.sampled_from(STAGES))
def test_asking_for_more_never_opens(outcomes: dict, stage: str) -> None:  # type: ignore[type-arg]
    fewer = decide(outcomes, ALWAYS_REQUIRED)
    more = decide(outcomes, ALWAYS_REQUIRED | {stage})  # type: ignore[arg-type]
    assert more.opens <= fewer.opens


def test_a_stage_that_never_began_keeps_the_gate_shut() -> None:
    for absent in STAGES:
        outcomes = dict.fromkeys(STAGES, "passed")
        del outcomes[absent]
        assert decide(outcomes, STAGES).stopped_by == absent  # type: ignore[arg-type]


def test_every_policy_asks_for_the_stages_that_make_a_gate() -> None:
    for policy in (Policy(), Policy(quality=None, lockout=None), Policy(lockout=LockoutRules(refusals=1))):
        assert policy.required >= ALWAYS_REQUIRED == {"enrolment", "detection", "quality", "liveness", "matching"}
        assert ("lockout" in policy.required) == (policy.lockout is not None)
    assert {"detection", "quality"} == TO_ENROL


@pytest.mark.parametrize(
    ("value", "threshold", "outcome"),
    [
        (0.5, 0.5, "passed"),
        (1.0, 1.0, "passed"),
        (math.nextafter(0.5, 0), 0.5, "failed"),
        (0.0, 0.5, "failed"),
        (1.0, 1.5, "failed"),
        (None, 0.5, "not_measured"),
        (math.nan, 0.5, "not_measured"),
        (math.inf, 0.5, "not_measured"),
        (-math.inf, 0.5, "not_measured"),
        (math.nextafter(1, 2), 0.5, "not_measured"),
        (-1e-9, 0.5, "not_measured"),
        (1.0, None, "missing"),
        (1.0, math.nan, "missing"),
        (1.0, 0.0, "missing"),
        (1.0, -1.0, "missing"),
        (1.0, math.inf, "missing"),
        (None, None, "missing"),
    ],
)
def test_a_measurement_against_its_threshold(value: float | None, threshold: float | None, outcome: str) -> None:
    assert compared(value, threshold) == outcome


@given(st.one_of(st.none(), st.floats()), st.one_of(st.none(), st.floats()))
def test_only_a_number_in_its_range_that_reaches_a_threshold_passes(
    value: float | None, threshold: float | None
) -> None:
    passes = value is not None and threshold is not None and 0 < threshold <= value <= 1
    assert (compared(value, threshold) == "passed") == passes


def test_several_pass_together_only_if_all_do() -> None:
    for count in (1, 2, 3):
        for row in itertools.product(OUTCOMES, repeat=count):
            assert worst_of(row) in row
            assert (worst_of(row) == "passed") == (set(row) == {"passed"})
    assert worst_of(["not_measured", "failed", "passed"]) == "failed"
    assert worst_of(["failed", "error"]) == "error"
    assert worst_of([]) == "missing"
