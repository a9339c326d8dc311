"""The allocator: freed memory stays with the process where the C library can be told so."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

from ostiary.training.allocator import keep_freed_memory

GLIBC = platform.libc_ver()[0] == "glibc"

# In a process of its own, so that the other tests keep the allocator that they had.
FAULTS = """
import resource, numpy as np
from ostiary.training.allocator import keep_freed_memory
assert keep_freed_memory() and keep_freed_memory(), "calling it again is harmless"
np.ones(5_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(5_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not GLIBC, reason="only glibc has mallopt")
def test_freed_memory_is_used_again_without_asking_the_kernel() -> None:
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    # Each array of 40 MB would fault in 9766 pages of 4 kB.
    assert int(done.stdout) < 1000


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_a_library_without_mallopt_is_left_alone(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: None) -> None:
        raise error

    monkeypatch.setattr(ctypes, "CDLL", absent)
    assert keep_freed_memory() is False
