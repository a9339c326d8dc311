"""Times of a vault with many people: each change by itself, then reading and checking.

    python benchmarks/vault.py --people 10000 --place vault-bench.db

Prints a Markdown table. Each add is a transaction of its own that is on the disk when it ends.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from pathlib import Path

from ostiary.gate.envelope import new_key
from ostiary.gate.vault import Vault


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--bytes", type=int, default=512, help="size of a template: 128 float32 numbers")
    parser.add_argument("--place", type=Path, required=True)
    arguments = parser.parse_args()
    choose, key = random.Random(0), new_key()
    vault = Vault.create(arguments.place, key)
    users = [f"user {number}" for number in range(arguments.people)]
    some = choose.sample(users, min(1000, len(users)))

    def add(user: str) -> None:
        vault.add(user, choose.randbytes(arguments.bytes), "embedding", "ab" * 32, "cd" * 32, consent="benchmark")

    print("| what | times | median ms | 95th percentile ms | all, s |\n|---|---|---|---|---|")
    row("add a person", add, users)
    row("open a person", vault.open, some)
    row("open everybody", lambda _: vault.open_all(), range(3))
    row("list", lambda _: vault.list(), range(3))
    row("check", lambda _: vault.check(), range(1))
    row("delete a person", vault.delete, some[:100])
    row("change the key", lambda _: vault.rotate(new_key()), range(1))
    problems = vault.check()
    print(f"\n{len(vault.list())} people left, {len(problems)} problems, {arguments.place.stat().st_size} bytes")
    vault.close()


def row(name: str, work: Callable[..., object], over: object) -> None:
    times = []
    for one in over:  # type: ignore[attr-defined]
        start = time.perf_counter()
        work(one)
        times.append(time.perf_counter() - start)
    ordered = sorted(times)
    middle, late = ordered[len(times) // 2] * 1e3, ordered[int(len(times) * 0.95)] * 1e3
    print(f"| {name} | {len(times)} | {middle:.2f} | {late:.2f} | {sum(times):.1f} |", flush=True)


if __name__ == "__main__":
    main()
