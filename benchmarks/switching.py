"""What a change of configuration costs: alternating two words call by call, against staying with each.

Preprocessing included, batch 1, one thread, CPU time of the calling thread, all rows interleaved. Prints a
Markdown table; ``--out`` writes JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from machine import describe
from ostiary.runtime.liveness import LivenessModel
from ostiary.runtime.timing import interleave

CALLS = 10


def runs(model: LivenessModel, words: tuple[str, str], *, switched: bool) -> dict[str, Callable[[], None]]:
    size = model.metadata.preprocess.size
    crop = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)

    def run(pair: tuple[str, str]) -> None:
        for turn in range(CALLS):
            model.logits(crop, pair[turn % 2], switched=switched)

    first, second = words
    return {name: partial(run, pair) for name, pair in (
        (first, (first, first)), (second, (second, second)), ("alternating", words)
    )}  # fmt: skip


def new_session_ms(model: LivenessModel, words: list[str]) -> float:
    """Median CPU time of making a specialised session; the model keeps one, so each word makes a new one."""
    size = model.metadata.preprocess.size
    empty, times = np.zeros((1, size, size, 3), np.uint8), []
    for word in words:
        start = time.thread_time()
        model.logits(empty, word)
        times.append((time.thread_time() - start) * 1000)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", help="a weights file or a packaged name; default: the packaged model")
    parser.add_argument("--words", default="HHH,LLL", help="two configurations separated by a comma")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    first, second = arguments.words.split(",")
    record: dict[str, object] = {"machine": describe(), "rounds": arguments.rounds}
    print(f"{record['machine']}\n")
    print(f"| way | {first} ms | {second} ms | alternating ms | cost of a switch ms |\n|---|---|---|---|---|")
    for way, switched in (("switched", True), ("specialised, both kept", False)):
        model = LivenessModel(arguments.weights, keep=2)
        samples = interleave(runs(model, (first, second), switched=switched), rounds=arguments.rounds, warmup=3)
        a, b, both = (samples[name].median / CALLS for name in (first, second, "alternating"))
        record[way] = {first: a, second: b, "alternating": both, "switch": both - (a + b) / 2}
        print(f"| {way} | {a:.3f} | {b:.3f} | {both:.3f} | {both - (a + b) / 2:.3f} |")
    fresh = LivenessModel(arguments.weights, keep=1)
    record["new_session"] = new_session_ms(fresh, fresh.words)
    print(f"\nA word that has no session yet: {record['new_session']:.0f} ms once (median over all words).")
    if arguments.out:
        arguments.out.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
