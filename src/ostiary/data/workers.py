"""One slow function over many names, in this process or in several that live no longer than it does."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from ostiary.errors import InputError

Task = Callable[[str], str]
Work = Callable[[Sequence[str]], Iterable[tuple[str, str]]]


@contextmanager
def workers(make: Callable[[], Task], processes: int) -> Iterator[Work]:
    """A function that takes names and yields (name, what the task says of it), in the order of the names.

    Args:
        make: makes the task, once in each process; with several it must be picklable.
        processes: 1 for none but this one. With more, a script needs the usual ``if __name__ == "__main__"``.

    Raises:
        InputError: a process died.

    """
    if processes == 1:
        task = make()
        yield lambda names: ((name, task(name)) for name in names)
        return
    # spawn: a fork of a process that has opened a network may hang.
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _begin, (make,)) as pool:

        def work(names: Sequence[str]) -> Iterator[tuple[str, str]]:
            block = _CHUNKS * _CHUNK * processes  # of millions of names only so many wait in the queue
            for start in range(0, len(names), block):
                part = names[start : start + block]
                yield from zip(part, pool.map(_do, part, chunksize=_CHUNK), strict=True)

        try:
            yield work
        except BrokenProcessPool:
            raise InputError(
                "A working process died: run again, with fewer processes if memory was short; a script must begin "
                'its work below `if __name__ == "__main__":`.'
            ) from None


_CHUNK, _CHUNKS = 8, 32
_task: Task
"""Of this process, where it is one of several."""


def _begin(make: Callable[[], Task]) -> None:
    global _task
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _task = make()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do(name: str) -> str:
    return _task(name)
