"""Decisions to be told, and hooks that behave as they are told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone

import pytest

from ostiary.gate.decision import Decision, StageReport
from ostiary.hooks.hook import Event, HookError

PATIENCE_S = 60


def _decision(accepted: bool = True, handle: str | None = "ada") -> Decision:
    return Decision(
        accepted=accepted,
        reason="accepted" if accepted else "another_person",
        handle=handle,
        liveness=0.8125,
        similarity=0.4375,
        configuration="HLH",
        time=datetime(2026, 3, 1, 12, tzinfo=timezone.utc),
        stages=(StageReport("detection", "passed", 1.5),),
        faces=1,
        frames=1,
    )


@pytest.fixture
def decision() -> Callable[..., Decision]:
    return _decision


@pytest.fixture
def event() -> Callable[..., Event]:
    def make(accepted: bool = True, **changes: object) -> Event:
        return Event(decision=_decision(accepted), door="north", **changes)  # type: ignore[arg-type]

    return make


class Recorder:
    """A hook that does what its list says: ``ok``, ``again``, ``final``, ``break`` or ``hang``; then ``ok``."""

    def __init__(self, *answers: str, lasts_s: float = PATIENCE_S, only_accepted: bool = False) -> None:
        self.name, self.lasts_s, self.only_accepted = "recorder", lasts_s, only_accepted
        self.answers, self.told, self.tries = list(answers), list[Event](), 0
        self.let_go, self.hangs, self.closed = threading.Event(), threading.Event(), False

    def prepare(self, timeout_s: float) -> None:
        pass

    def send(self, event: Event, timeout_s: float) -> None:
        self.tries += 1
        answer = self.answers.pop(0) if self.answers else "ok"
        if answer == "hang":
            self.hangs.set()
            assert self.let_go.wait(PATIENCE_S)
        elif answer == "break":
            raise RuntimeError("a word that no log may hold")
        elif answer != "ok":
            raise HookError(f"it said {answer}", final=answer == "final")
        self.told.append(event)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def recorder() -> type[Recorder]:
    return Recorder


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Wait until something is true."""

    def wait(true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < deadline
            time.sleep(0.002)

    return wait
