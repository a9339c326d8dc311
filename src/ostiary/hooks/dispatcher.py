"""The queue between a door and a hook: the door never waits for it, and nothing that a hook does reaches the door.

Each hook has a thread and a short queue of its own, so that a server that hangs keeps no relay from opening. What
fails is tried again after growing pauses, for as long as the event is worth telling. If the queue is full, the
oldest event gives way. Whatever was not told is counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from types import TracebackType

from ostiary.gate.decision import Decision
from ostiary.hooks.hook import Event, Hook, HookError

PLACES = 32
"""Events that wait for one hook."""

TIMEOUT_S = 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 4.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Counts:
    """What became of events. ``failed``: the receiver refused it, or was given up at the end. ``late``: it had not
    arrived in time. ``crowded_out``: newer ones came while the queue was full.
    """

    sent: int = 0
    failed: int = 0
    late: int = 0
    crowded_out: int = 0

    @property
    def lost(self) -> int:
        """How many were not told."""
        return self.failed + self.late + self.crowded_out


Counted = Callable[[str, str], None]
"""Is told the name of a hook and what became of an event: a field of :class:`Counts`."""


class Dispatcher:
    """Tells events to one hook, in the background.

    Args:
        hook: becomes this object's own, which closes it.
        places: events that may wait.
        timeout_s: of one try.
        first_pause_s: before the second try; each further pause is twice as long, ``LONGEST_PAUSE_S`` at most.
        counted: is told of each event what became of it, by the thread that knows.

    """

    def __init__(
        self,
        hook: Hook,
        *,
        places: int = PLACES,
        timeout_s: float = TIMEOUT_S,
        first_pause_s: float = FIRST_PAUSE_S,
        counted: Counted = lambda _name, _what: None,
    ) -> None:
        self._counted = counted
        self._hook, self._places, self._timeout_s, self._first_pause_s = hook, places, timeout_s, first_pause_s
        self._waiting: deque[Event] = deque()
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self._counts = Counts()
        self._thread = threading.Thread(target=self._run, name=f"hook {hook.name}", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """Of the hook."""
        return self._hook.name

    @property
    def counts(self) -> Counts:
        """What has become of events so far."""
        with self._changed:
            return Counts(**asdict(self._counts))

    def put(self, event: Event) -> None:
        """Take an event; returns at once."""
        if self._hook.only_accepted and not event.decision.accepted:
            return
        with self._changed:
            crowded = len(self._waiting) >= self._places
            if crowded:
                self._waiting.popleft()
            self._waiting.append(event)
            self._changed.notify()
        if crowded:
            self._lost("crowded_out", "events come faster than they can be told")

    def close(self, patience_s: float) -> None:
        """Try each event that waits once more, for so many seconds at most."""
        with self._changed:
            self._ending.set()
            self._changed.notify()
        self._thread.join(patience_s)
        if self._thread.is_alive():
            log.warning("%s did not come to an end and is left behind.", self.name)

    def _run(self) -> None:
        try:
            self._hook.prepare(self._timeout_s)
        except HookError as error:  # each event will try again
            log.warning("%s.", error)
        while (event := self._next()) is not None:
            self._tell(event)
        self._hook.close()

    def _next(self) -> Event | None:
        """The next event, once there is one; None at the end."""
        with self._changed:
            while not self._waiting:
                if self._ending.is_set():
                    return None
                self._changed.wait()
            return self._waiting.popleft()

    def _tell(self, event: Event) -> None:
        """Try until it is told, refused for good, too old, or all is to end."""
        pause, problem = self._first_pause_s, "it waited too long"
        while (left := event.began + self._hook.lasts_s - time.monotonic()) > 0:
            try:
                self._hook.send(event, min(self._timeout_s, left))
            except HookError as error:
                problem = str(error)
                if error.final:
                    return self._lost("failed", problem)
            except Exception as error:  # a fault of the hook; its words may hold anything
                return self._lost("failed", f"it broke ({type(error).__name__})")
            else:
                return self._sent()
            # The last moments of an event are for a try, not for a pause.
            if self._ending.wait(max(0.0, min(pause, event.began + self._hook.lasts_s - time.monotonic()))):
                return self._lost("failed", problem)
            pause = min(2 * pause, LONGEST_PAUSE_S)
        return self._lost("late", problem)

    def _sent(self) -> None:
        with self._changed:
            self._counts.sent += 1
        self._counted(self.name, "sent")

    def _lost(self, how: str, problem: str) -> None:
        """Count it, and tell of the first, the second, the fourth, ...: a log must not fill up with one outage."""
        with self._changed:
            setattr(self._counts, how, getattr(self._counts, how) + 1)
            lost = self._counts.lost
        self._counted(self.name, how)
        if lost & (lost - 1) == 0:
            log.warning("%s was not told of a decision: %s (%d so far).", self.name, problem, lost)


class Hooks:
    """All hooks of a door. Safe for threads.

    Args:
        hooks: become this object's own, which closes them.
        door: name of the gate.
        counted: as of :class:`Dispatcher`.

    """

    def __init__(self, hooks: Iterable[Hook], door: str, counted: Counted = lambda _name, _what: None) -> None:
        self._door = door
        self._dispatchers = [Dispatcher(hook, counted=counted) for hook in hooks]

    def __enter__(self) -> Hooks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def tell(self, decision: Decision) -> None:
        """Tell a decision to all; returns at once, whatever becomes of it."""
        event = Event(decision=decision, door=self._door)
        for dispatcher in self._dispatchers:
            dispatcher.put(event)

    @property
    def counts(self) -> list[tuple[str, Counts]]:
        """What has become of events so far, by the hooks' names."""
        return [(dispatcher.name, dispatcher.counts) for dispatcher in self._dispatchers]

    def close(self, patience_s: float = 5.0) -> None:
        """Tell what still waits, for so many seconds at most in all."""
        end = time.monotonic() + patience_s
        for dispatcher in self._dispatchers:
            dispatcher.close(max(0.0, end - time.monotonic()))
        for name, counts in self.counts:
            if counts.lost:
                log.warning("%s was not told of %d of %d decisions.", name, counts.lost, counts.lost + counts.sent)
