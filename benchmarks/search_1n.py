"""Who of 100,000 people is it? Exact comparisons with everybody, beside indexes that look at some.

    python benchmarks/search_1n.py --people 100000 --dimension 512

Prints a Markdown table; ``--out`` writes JSON. Each candidate runs in a process of its own, on one thread, on the
same embeddings: people are drawn around points of likeness, as relatives and lookalikes are, a probe is its person
with noise, and one probe in four is of nobody who is enrolled. These are no faces: the table compares time, memory
and whether the most similar person is found, and says nothing about error rates.

The clock is the CPU time of the process. Memory is what the process keeps after the index is built and the rows
that it was built from are given up, beyond what it had before. ``faiss-cpu`` and ``usearch`` are asked if they are
installed.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from machine import describe

Vector = NDArray[np.float32]
Search = Callable[[Vector], tuple[int, float]]
"""From a probe to the most similar person and the similarity."""

BLOCK = 4096
"""Rows that are widened at a time where less than float32 is stored."""


def unit(rows: NDArray[np.floating]) -> Vector:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def people(number: int, dimension: int, seed: int) -> Vector:
    """Unit embeddings; cosines within one group of 20 are about 0.3, those of strangers about 0."""
    chance = np.random.default_rng(seed)
    groups = unit(chance.standard_normal((max(1, number // 20), dimension), np.float32))
    near = math.sqrt(0.3) * groups[chance.integers(len(groups), size=number)]
    return unit(near + math.sqrt(0.7) * unit(chance.standard_normal((number, dimension), np.float32)))


def probes(enrolled: Vector, number: int, seed: int) -> Vector:
    """Unit embeddings at a cosine of about 0.65 of somebody, the last quarter at one of nobody."""
    chance = np.random.default_rng(seed + 1)
    of = enrolled[chance.integers(len(enrolled), size=number)]
    of[3 * number // 4 :] = unit(chance.standard_normal((number - 3 * number // 4, enrolled.shape[1]), np.float32))
    noise = unit(chance.standard_normal(of.shape, np.float32))
    return unit(0.65 * of + math.sqrt(1 - 0.65**2) * noise)


def gate(rows: Vector, options: argparse.Namespace) -> Search:
    from ostiary.gate.matching import EmbeddedPeople, most_alike

    people = EmbeddedPeople(rows.astype(np.float64), 0.7)

    def search(probe: Vector) -> tuple[int, float]:
        found = most_alike(people.compare(probe))
        assert found.person is not None
        assert found.similarity is not None
        return found.person, found.similarity

    return search


def numpy_of(kind: type[np.floating]) -> Callable[[Vector, argparse.Namespace], Search]:
    def build(rows: Vector, options: argparse.Namespace) -> Search:
        matrix = rows.astype(kind)

        def search(probe: Vector) -> tuple[int, float]:
            cosines = matrix @ probe.astype(kind)
            best = int(np.argmax(cosines))
            return best, float(1 + cosines[best]) / 2

        return search

    return build


def numpy_half(rows: Vector, options: argparse.Namespace) -> Search:
    matrix = rows.astype(np.float16)

    def search(probe: Vector) -> tuple[int, float]:
        blocks = [matrix[at : at + BLOCK].astype(np.float32) @ probe for at in range(0, len(matrix), BLOCK)]
        cosines = np.concatenate(blocks)
        best = int(np.argmax(cosines))
        return best, float(1 + cosines[best]) / 2

    return search


def numpy_bytes(rows: Vector, options: argparse.Namespace) -> Search:
    """8-bit rows; the hundred best are compared again by the float16 rows."""
    scale = np.abs(rows).max(axis=1, keepdims=True) / 127
    small, half, scales = np.rint(rows / scale).astype(np.int8), rows.astype(np.float16), scale[:, 0]

    def search(probe: Vector) -> tuple[int, float]:
        blocks = [small[at : at + BLOCK].astype(np.float32) @ probe for at in range(0, len(small), BLOCK)]
        candidates = np.argpartition(np.concatenate(blocks) * scales, -100)[-100:]
        cosines = half[candidates].astype(np.float32) @ probe
        best = int(np.argmax(cosines))
        return int(candidates[best]), float(1 + cosines[best]) / 2

    return search


def faiss_of(hnsw: bool) -> Callable[[Vector, argparse.Namespace], Search]:
    def build(rows: Vector, options: argparse.Namespace) -> Search:
        import faiss

        faiss.omp_set_num_threads(1)
        if hnsw:
            index = faiss.IndexHNSWFlat(rows.shape[1], options.links, faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efConstruction = index.hnsw.efSearch = options.effort
        else:
            index = faiss.IndexFlatIP(rows.shape[1])
        index.add(rows)

        def search(probe: Vector) -> tuple[int, float]:
            cosines, found = index.search(probe[None], 1)
            return int(found[0, 0]), float(1 + cosines[0, 0]) / 2

        return search

    return build


def usearch_of(kind: str) -> Callable[[Vector, argparse.Namespace], Search]:
    def build(rows: Vector, options: argparse.Namespace) -> Search:
        from usearch.index import Index

        index = Index(
            ndim=rows.shape[1],
            metric="ip",
            dtype=kind,
            connectivity=options.links,
            expansion_add=options.effort,
            expansion_search=options.effort,
        )
        index.add(np.arange(len(rows)), rows, threads=1)

        def search(probe: Vector) -> tuple[int, float]:
            found = index.search(probe, 1, threads=1)
            return int(found.keys[0]), 1 - float(found.distances[0]) / 2

        return search

    return build


CANDIDATES: dict[str, Callable[[Vector, argparse.Namespace], Search]] = {
    "exact, the gate's own": gate,
    "exact, numpy float64": numpy_of(np.float64),
    "exact, numpy float32": numpy_of(np.float32),
    "exact, numpy float16, widened by blocks": numpy_half,
    "numpy int8, best 100 again by float16": numpy_bytes,
    "exact, faiss IndexFlatIP float32": faiss_of(hnsw=False),
    "HNSW, faiss float32": faiss_of(hnsw=True),
    "HNSW, usearch float16": usearch_of("f16"),
}


def resident() -> int:
    """Bytes of this process in memory; Linux."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """What one candidate does, in this process."""
    rows = people(options.people, options.dimension, options.seed)
    asked = probes(rows, options.probes, options.seed)
    expected = [int(np.argmax(rows @ probe)) for probe in asked]
    held = [
        float(rows[best].astype(float) @ probe.astype(float) + 1) / 2
        for best, probe in zip(expected, asked, strict=True)
    ]
    CANDIDATES[name](rows[:200], options)(asked[0])  # libraries take their own memory here
    gc.collect()
    before, began = resident() - rows.nbytes, time.process_time()
    search = CANDIDATES[name](rows, options)
    built = time.process_time() - began
    del rows
    gc.collect()
    kept, times, found = resident() - before, [], []
    for probe in asked:
        began = time.process_time()
        found.append(search(probe))
        times.append(1000 * (time.process_time() - began))
    mated = 3 * options.probes // 4
    same = [one == best for (one, _), best in zip(found, expected, strict=True)]
    return {
        "build_s": built,
        "kept_mb": kept / 1e6,
        "probe_ms": statistics.median(times),
        "probe_p95_ms": sorted(times)[int(0.95 * len(times))],
        "found_mated": sum(same[:mated]) / mated,
        "found_others": sum(same[mated:]) / (options.probes - mated),
        "largest_difference": max(
            (abs(alike - true) for (_, alike), true, right in zip(found, held, same, strict=True) if right),
            default=math.nan,
        ),
    }


def in_a_process(name: str, options: argparse.Namespace) -> dict[str, Any]:
    given = {key: value for key, value in vars(options).items() if key not in ("out", "only")}
    done = subprocess.run(
        [sys.executable, __file__, "--only", name, *(f"--{key}={value}" for key, value in given.items())],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        return {"not_run": said[-1] if said else f"it ended with {done.returncode}"}
    return dict(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--probes", type=int, default=200)
    parser.add_argument("--links", type=int, default=32, help="of each person in an HNSW index")
    parser.add_argument("--effort", type=int, default=128, help="candidates of HNSW, building and asking")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="one candidate, in this process; prints JSON")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options.only, options)))
        return
    print(f"{describe()}\n\n{options.people:,} people of {options.dimension} numbers, {options.probes} probes.\n")
    print("| search | CPU ms a probe, median (95th percentile) | memory MB | build CPU s | found | of strangers |")
    print("|---|---|---|---|---|---|")
    found: dict[str, Any] = {}
    for name in CANDIDATES:
        found[name] = one = in_a_process(name, options)
        if "not_run" in one:
            print(f"| {name} | not run: {one['not_run']} | | | | |", flush=True)
            continue
        print(
            f"| {name} | {one['probe_ms']:.2f} ({one['probe_p95_ms']:.2f}) | {one['kept_mb']:.0f} "
            f"| {one['build_s']:.1f} | {one['found_mated']:.1%} | {one['found_others']:.1%} |",
            flush=True,
        )
    if options.out:
        record = {"machine": describe(), "people": options.people, "dimension": options.dimension, "found": found}
        options.out.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
