"""Only the newest: a thread that reads as fast as a source gives, and a mailbox with one place.

Who judges a face is slower than a camera. What comes while it is busy replaces what waits, so that memory stays
flat and every judgement is about now; nothing ever queues.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


def newest(
    read: Callable[[], Iterator[Item]],
    stop: threading.Event,
    *,
    timeout: float | None,
    late: Callable[[], Exception],
    patience: float,
) -> Generator[Item, None, None]:
    """Items of ``read`` as they come, without those that were overtaken.

    Args:
        read: gives the items until ``stop`` is set; it runs in a thread of its own, which also closes what is
            open. What it raises is raised here, after the last item.
        stop: is set when nobody reads any more.
        timeout: seconds to wait for an item; None for as long as it takes.
        late: what to raise if none came in time.
        patience: seconds to wait for the thread at the end. A read that hangs longer than that ends by itself,
            and keeps nothing alive.

    """
    mailbox = _Mailbox[Item]()

    def deliver() -> None:
        try:
            for item in read():
                mailbox.put(item)
            mailbox.end(None)
        except BaseException as error:  # whatever it is belongs to who reads the mailbox
            mailbox.end(error)

    reader = threading.Thread(target=deliver, name="ostiary-frames", daemon=True)
    reader.start()
    try:
        yield from mailbox.items(timeout, late)
    finally:
        stop.set()
        reader.join(patience)


class _Mailbox(Generic[Item]):
    """One place, and whether more is to come."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[Item] = []
        self._ended = False
        self._error: BaseException | None = None

    def put(self, item: Item) -> None:
        with self._changed:
            self._waiting[:] = [item]
            self._changed.notify()

    def end(self, error: BaseException | None) -> None:
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify()

    def items(self, timeout: float | None, late: Callable[[], Exception]) -> Iterator[Item]:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: self._waiting or self._ended, timeout):
                    raise late()
                if not self._waiting:
                    if self._error is not None:
                        raise self._error
                    return
                item = self._waiting.pop()
            yield item
