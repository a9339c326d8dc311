"""Times of a vault with many people: each change by itself, then reading, matching and checking.

    python benchmarks/vault.py --people 10000 --place vault-bench.db

Prints a Markdown table. Each add is a transaction of its own that is on the disk when it ends. Matching is that of
a face whose embedding is there already; what the networks cost is in gate.py.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from machine import describe
from ostiary.gate.envelope import new_key
from ostiary.gate.gallery import Candidates, Gallery
from ostiary.gate.matching import EmbeddedPeople
from ostiary.gate.vault import Vault


class Comparing:
    """The part of a matcher that compares; a probe is an embedding, float32 (D,)."""

    kind, model, preprocess_hash, problems = "embedding", "ab" * 32, "cd" * 32, ()

    def people(self, templates: Sequence[Sequence[bytes]]) -> EmbeddedPeople:
        return EmbeddedPeople(np.stack([np.frombuffer(own[0], "<f4") for own in templates]).astype(float), 0.9)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--dimension", type=int, default=128, help="float32 numbers of a template")
    parser.add_argument("--place", type=Path, required=True)
    arguments = parser.parse_args()
    choose, key = random.Random(0), new_key()
    vault = Vault.create(arguments.place, key)
    drawn = np.random.default_rng(0).standard_normal((arguments.people, arguments.dimension)).astype("<f4")
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    users = [f"user {number}" for number in range(arguments.people)]
    some = choose.sample(users, min(1000, len(users)))

    embeddings: dict[str, NDArray[np.float32]] = dict(zip(users, drawn, strict=True))
    gallery = Gallery(vault, Comparing(), 3600, time.time)  # type: ignore[arg-type]

    def add(user: str) -> None:
        vault.add(user, embeddings[user].tobytes(), "embedding", "ab" * 32, "cd" * 32, consent="benchmark")

    def found(user: str, candidates: object) -> None:
        match = gallery.match(embeddings[user], candidates) if isinstance(candidates, Candidates) else None
        assert match is not None
        assert (match.handle, match.outcome) == (user, "passed")

    print(f"{describe()}\n")
    print("| what | times | median ms | 95th percentile ms | all, s |\n|---|---|---|---|---|")
    row("add a person", add, users)
    row("open a person", vault.open, some)
    row("open everybody", lambda _: vault.open_all(), range(3))
    row("verify a person: open, compare", lambda user: found(user, gallery.one(user)), some)
    row("make everybody ready", lambda _: (gallery.forget(), gallery.everybody()), range(3))
    row("find a person among all", lambda user: found(user, gallery.everybody()), some)
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
