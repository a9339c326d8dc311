"""Let the C library keep the memory that a training step frees.

A step's activations are large blocks, and glibc gives each of them back to the kernel as soon as it is free:
the next step then waits while the kernel maps and clears the same pages again. Kept, they save a good part of
a step's time on a CPU, and cost no more memory than the largest step needs anyway. No result changes.
"""

from __future__ import annotations

import ctypes

# Parameters of mallopt, from glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_NEVER = 2**31 - 1
_AHEAD = 256 * 2**20


def keep_freed_memory() -> bool:
    """Keep freed memory in this process from now on; whether the C library could be told to.

    False, and nothing done, where there is no ``mallopt`` (musl, macOS, Windows). Calling it again is harmless.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # TypeError: Windows has no library without a name
        return False
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, _AHEAD))
    return all(mallopt(name, value) == 1 for name, value in settings)
