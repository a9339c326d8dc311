"""A hook that hangs, fails or breaks delays and changes nothing, and whatever was not told is counted."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostiary.gate.decision import Decision
from ostiary.hooks.dispatcher import Counts, Dispatcher, Hooks

Make = Callable[..., Any]
Until = Callable[[Callable[[], bool]], None]


def test_what_is_told_of_a_decision(event: Make) -> None:
    refused = event(accepted=False, id="1")
    assert json.loads(refused.body()) == {
        "id": "1",
        "event_type": "refused",
        "door": "north",
        "accepted": False,
        "reason": "another_person",
        "handle": "ada",
        "configuration": "HLH",
        "time": "2026-03-01T12:00:00.000+00:00",
        "outcomes": {"detection": "passed"},
        "milliseconds": {"detection": 1.5},
        "faces": 1,
        "frames": 1,
        "causes": [],
        "box": None,
        "retry_s": None,
        "problem": None,
    }
    assert json.loads(refused.body(measurements=True)) == {
        **json.loads(refused.body()),
        "liveness": 0.8125,
        "similarity": 0.4375,
    }
    assert "0.8125" not in repr(refused)
    assert json.loads(event().body())["event_type"] == "accepted"
    assert event().id != event().id


def test_a_hook_that_hangs_delays_neither_the_door_nor_another_hook(
    decision: Make, recorder: Make, until: Until
) -> None:
    hanging, well = recorder("hang"), recorder()
    hooks = Hooks([hanging, well], "north")
    hooks.tell(decision())
    assert hanging.hangs.wait(60)
    begun = time.perf_counter()
    for _ in range(20):
        hooks.tell(decision())
    assert time.perf_counter() - begun < 1, "one hook hangs for as long as this test wants"
    until(lambda: len(well.told) == 21)
    assert hanging.told == []
    begun = time.perf_counter()
    hooks.close(patience_s=0.05)
    assert time.perf_counter() - begun < 1
    hanging.let_go.set()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    answers=st.lists(st.sampled_from(["ok", "again", "final", "break"]), max_size=8),
    accepted=st.lists(st.booleans(), max_size=8),
    only=st.booleans(),
)
def test_every_decision_is_told_or_counted_and_none_raises(
    decision: Make, recorder: Make, answers: list[str], accepted: list[bool], only: bool
) -> None:
    hook = recorder(*answers, only_accepted=only)
    hooks = Hooks([hook], "north")
    for one in accepted:
        hooks.tell(decision(one))
    hooks.close(60)
    ((_, counts),) = hooks.counts
    assert counts.sent == len(hook.told)
    assert counts.sent + counts.failed == sum(one or not only for one in accepted)
    assert hook.closed


def test_what_fails_is_tried_again_with_the_same_id_and_in_order(
    event: Make, recorder: Make, until: Until
) -> None:
    hook = recorder("again", "again", "ok", "ok")
    dispatcher = Dispatcher(hook, first_pause_s=0.001)
    sent = [event(), event()]
    for one in sent:
        dispatcher.put(one)
    until(lambda: dispatcher.counts == Counts(sent=2))
    assert (hook.told, hook.tries) == (sent, 4)
    dispatcher.close(60)


def test_what_is_refused_for_good_is_not_tried_again(event: Make, recorder: Make, until: Until) -> None:
    hook = recorder("final", "break")
    dispatcher = Dispatcher(hook)
    dispatcher.put(event())
    dispatcher.put(event())
    until(lambda: dispatcher.counts == Counts(failed=2))
    assert hook.tries == 2
    dispatcher.close(60)


def test_what_has_grown_old_is_never_told(event: Make, recorder: Make, until: Until) -> None:
    hook = recorder(*["again"] * 1000, lasts_s=0.2)
    dispatcher = Dispatcher(hook, first_pause_s=0.01)
    dispatcher.put(event(began=time.monotonic() - 0.2))
    until(lambda: dispatcher.counts.late == 1)
    assert hook.tries == 0, "it was old when it came"
    dispatcher.put(event())
    until(lambda: dispatcher.counts.late == 2)
    assert (hook.told, dispatcher.counts) == ([], Counts(late=2))
    dispatcher.close(60)


def test_a_full_queue_loses_the_oldest(event: Make, recorder: Make, until: Until) -> None:
    hook = recorder("hang")
    dispatcher = Dispatcher(hook, places=2)
    first, *others = [event() for _ in range(6)]
    dispatcher.put(first)
    assert hook.hangs.wait(60)
    for one in others:
        dispatcher.put(one)
    assert dispatcher.counts == Counts(crowded_out=3)
    hook.let_go.set()
    until(lambda: dispatcher.counts == Counts(sent=3, crowded_out=3))
    assert hook.told == [first, *others[-2:]]
    dispatcher.close(60)


def test_the_log_tells_of_an_outage_but_not_each_time_and_holds_nobody(
    decision: Make, recorder: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), Hooks([recorder(*["final", "break"] * 8)], "north") as hooks:
        for _ in range(16):
            hooks.tell(decision())
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1 + math.log2(16) + 1, "the 1st, 2nd, 4th, 8th, 16th, and the sum"
    assert said[0] == "recorder was not told of a decision: it said final (1 so far)."
    assert said[1] == "recorder was not told of a decision: it broke (RuntimeError) (2 so far)."
    assert said[-1] == "recorder was not told of 16 of 16 decisions."
    assert "ada" not in caplog.text
    assert "no log" not in caplog.text


def test_without_hooks_there_is_nothing_to_do(decision: Callable[..., Decision]) -> None:
    with Hooks([], "north") as hooks:
        hooks.tell(decision())
    assert hooks.counts == []
