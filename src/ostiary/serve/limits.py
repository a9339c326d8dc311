"""How much a client may ask for: requests in a time, bytes of a request, and seconds to send them.

The table of rates has a fixed size, whoever asks, and lies in a file that all workers map: a client has one rate,
however many processes serve it. Two workers that write one entry at the same moment may let one request too many
through; the gate's own lock-out, which must not err, is in the vault's database.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from fastapi import HTTPException, Request
from numpy.typing import NDArray

ENTRIES = 4096
"""Of the table; two clients in the same one share a rate."""


class RateLimit:
    """The generic cell rate algorithm (ITU-T I.371): a steady rate, and a burst above it.

    Args:
        rate: requests a second.
        burst: requests at once.
        table: a file of :func:`make_table` that several processes share; None for a table of one's own.
        clock: seconds, the same for all processes.

    """

    def __init__(
        self, rate: float, burst: int, *, table: Path | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval, self._burst, self._clock = 1 / rate, burst, clock
        self._salt = os.urandom(16)
        self._due: NDArray[np.float64] = np.zeros(ENTRIES)
        if table is not None:
            mapped = np.memmap(table, np.float64, "r+", shape=(ENTRIES + 2,))
            self._salt, self._due = mapped[ENTRIES:].tobytes(), mapped

    def wait(self, client: str) -> float:
        """Count a request; 0 if it may be answered, else the seconds until one may be."""
        entry = self._entry(client)
        now = self._clock()
        due = max(float(self._due[entry]), now)
        early = due - now - (self._burst - 1) * self._interval
        if early > 1e-9:
            return early
        self._due[entry] = due + self._interval
        return 0.0

    def _entry(self, client: str) -> int:
        digest = hashlib.blake2b(_network(client).encode(), key=self._salt, digest_size=8).digest()
        return int.from_bytes(digest, "big") % ENTRIES


def make_table(path: Path) -> None:
    """Write an empty table, with a salt that nobody can foresee."""
    path.write_bytes(bytes(8 * ENTRIES) + os.urandom(16))


async def read_body(request: Request, largest: int, seconds: float) -> bytes:
    """The whole body of a request, in memory: a photo is never written to a disk.

    Raises:
        HTTPException: 413 if it is too large, 408 if it takes too long.

    """
    too_large = HTTPException(413, f"The request has more than the {largest} bytes allowed: send smaller photos.")
    said = request.headers.get("content-length", "")
    if said.isascii() and said.isdecimal() and (len(said) > 15 or int(said) > largest):
        raise too_large
    parts: list[bytes] = []

    async def read() -> None:
        total = 0
        async for part in request.stream():
            total += len(part)
            if total > largest:
                raise too_large
            parts.append(part)

    try:
        await asyncio.wait_for(read(), seconds)
    except asyncio.TimeoutError:
        raise HTTPException(408, f"The request took more than {seconds:g} seconds to arrive.") from None
    return b"".join(parts)


def _network(client: str) -> str:
    """Whom a rate belongs to: an IPv4 address, or the 64 bits of an IPv6 address that one customer has."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if address.version == 6:
        return str(ipaddress.ip_network((address.packed[:8] + bytes(8), 64)))
    return client
