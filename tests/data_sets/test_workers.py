"""One function over many names in several processes: order, errors, and a process that dies."""

from __future__ import annotations

from functools import partial

import pytest

from ostiary.data.workers import workers
from ostiary.errors import InputError

UPPER = partial(partial, str.upper)
EXECUTE = partial(partial, exec)
"""Makers of tasks that a fresh process can import."""


@pytest.mark.parametrize("processes", [1, 2])
def test_answers_come_in_the_order_of_the_names(processes: int) -> None:
    names = [f"name {number}" for number in range(1_100)]
    with workers(UPPER, processes) as work:
        assert list(work(names)) == [(name, name.upper()) for name in names]
        assert list(work([])) == []


def test_an_error_of_a_task_and_the_death_of_a_process_are_told_apart() -> None:
    with pytest.raises(ZeroDivisionError), workers(EXECUTE, 2) as work:
        list(work(["1 / 0"]))
    with pytest.raises(InputError, match="A working process died"), workers(EXECUTE, 2) as work:
        list(work(["import os; os._exit(3)"]))
