"""Where faces are judged: a few threads beside the event loop, and a queue before them that has an end.

A server that takes more than it can do answers everybody late. So whoever comes when the queue is full is sent
away at once, and told when to come back.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

from fastapi import HTTPException

Answer = TypeVar("Answer")


class Places:
    """A number of places; for one event loop.

    Args:
        number: of places.

    """

    def __init__(self, number: int) -> None:
        self._free = number

    @contextmanager
    def taken(self) -> Iterator[None]:
        """One place, for as long as the block takes.

        Raises:
            HTTPException: 503 if none is free.

        """
        if self._free == 0:
            raise busy(1)
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


class Workbench:
    """Does work in threads, in the order in which it came.

    Args:
        threads: how many.
        waiting: how much work may wait for one.

    """

    def __init__(self, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ostiary-judge")
        self._threads, self._most = threads, threads + waiting
        self._lock, self._held = Lock(), 0

    @property
    def held(self) -> int:
        """How much is being done or waits."""
        return self._held

    async def do(self, work: Callable[[], Answer]) -> Answer:
        """Do something that takes its time.

        Raises:
            HTTPException: 503 if too much waits already; and whatever the work raises.

        """
        with self._lock:
            if self._held >= self._most:
                raise busy(math.ceil(self._most / self._threads / 10))
            self._held += 1
        future = self._pool.submit(work)
        future.add_done_callback(self._ended)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Wait for what is being done; what waits is not begun."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _ended(self, _: Future[Answer]) -> None:
        with self._lock:
            self._held -= 1


def busy(seconds: int) -> HTTPException:
    """The answer to whoever comes when all is full."""
    return HTTPException(503, "The server is busy: try again in a moment.", {"Retry-After": str(max(1, seconds))})
