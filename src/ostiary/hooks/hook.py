"""What is told of a decision, and what tells it.

A hook is told in a thread of its own (dispatcher.py) and may take its time; it may fail, and it may be asked
again. An event that has grown old is not told any more: a door that opens a minute late opens for somebody else.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Protocol

from ostiary.errors import OstiaryError
from ostiary.gate.decision import Decision


class HookError(OstiaryError):
    """An event could not be told; ``final`` if another try would come to the same."""

    def __init__(self, sentence: str, *, final: bool = False) -> None:
        super().__init__(sentence)
        self.final = final


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One decision on its way out.

    Attributes:
        decision: what was decided.
        door: name of the gate that did.
        id: the same in every try, so that a receiver can tell a repetition.
        began: when it was decided, in seconds of ``time.monotonic``.

    """

    decision: Decision
    door: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    began: float = field(default_factory=time.monotonic)

    def body(self, *, measurements: bool = False) -> bytes:
        """The event as JSON: no picture and no template; liveness and similarity only if asked for."""
        said = {
            "id": self.id,
            "event_type": "accepted" if self.decision.accepted else "refused",
            "door": self.door,
            **self.decision.to_dict(measurements=measurements),
        }
        return json.dumps(said).encode()


class Hook(Protocol):
    """Tells an event to somebody. Used by one thread."""

    @property
    def name(self) -> str:
        """For the log; without any secret."""

    @property
    def lasts_s(self) -> float:
        """So many seconds after a decision it may still be told."""

    @property
    def only_accepted(self) -> bool:
        """Whether refusals are of no interest."""

    def prepare(self, timeout_s: float) -> None:
        """Do what can be done before there is an event. Raises as :meth:`send`."""

    def send(self, event: Event, timeout_s: float) -> None:
        """Tell an event; gives up after about ``timeout_s`` seconds.

        Raises:
            HookError: it was not told, or nobody said that it arrived.

        """

    def close(self) -> None:
        """Give back what is held."""
