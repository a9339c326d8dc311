"""Many frames through one gate: memory, open files and threads must stay where they are.

    python benchmarks/soak.py --frames 20000 --out soak.json

The frames show one face, another one, several, none, noise, faces too small or cut off, and some are no frames
at all (one pixel, a line, grey, floats, transparent). They are verified and identified in an order drawn from a
seed, with an audit log and the lock-out; people are enrolled, renewed and deleted in between. After a warm-up of
a quarter, growth is the median slope (Theil and Sen) between the samples, over the whole run. Exits with 1 if
memory grows by more than ``--most-mib``, or if at the end there are more open files or threads than after the
warm-up. Linux only: the figures are those of ``/proc/self``.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import logging
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from machine import describe
from ostiary.errors import InputError
from ostiary.gate.audit import AuditLog
from ostiary.gate.gate import Gate
from ostiary.gate.liveness_stage import LivenessStage
from ostiary.gate.matching import EmbeddingMatcher
from ostiary.gate.policy import Policy
from ostiary.gate.vault import Vault
from ostiary.images import read_image

HERE = Path(__file__).resolve().parent
PORTRAITS = HERE.parent / "tests" / "data"
WIDTH, HEIGHT = 640, 480
EVERY_ENROLMENT = 100
"""After so many frames somebody is enrolled, renewed or deleted."""

Frame = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """The process after so many frames."""

    frames: int
    mib: float
    files: int
    threads: int


def sample(frames: int) -> Sample:
    gc.collect()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    kibibytes = int(status["VmRSS"].split()[0])
    files = sum(1 for _ in Path("/proc/self/fd").iterdir())
    return Sample(frames, round(kibibytes / 1024, 2), files, int(status["Threads"]))


def growth(samples: list[Sample], value: Callable[[Sample], float]) -> float:
    """How much a value grows over the whole run, by the median slope after the warm-up."""
    after = samples[len(samples) // 4 :]
    slopes = [
        (value(later) - value(earlier)) / (later.frames - earlier.frames)
        for earlier, later in itertools.combinations(after, 2)
    ]
    return float(np.median(slopes)) * samples[-1].frames if slopes else float("nan")


def frames(seed: int) -> dict[str, list[Frame]]:
    """By what they show; RGB uint8 (H, W, 3) but for those that are no frames."""
    chance = np.random.default_rng(seed)
    ada, bob = (Image.fromarray(read_image(PORTRAITS / name)) for name in ("astronaut.png", "grace_hopper.jpg"))

    def room(*faces: tuple[Image.Image, int, int, int]) -> Frame:
        picture = Image.new("RGB", (WIDTH, HEIGHT), tuple(int(level) for level in chance.integers(90, 200, 3)))
        for portrait, side, x, y in faces:
            picture.paste(portrait.resize((side, side)), (x, y))
        noisy = np.asarray(picture, np.float32) + chance.normal(0, 3, (HEIGHT, WIDTH, 1))
        return np.clip(noisy, 0, 255).astype(np.uint8)

    def place() -> tuple[int, int, int]:
        side = int(chance.integers(300, 460))
        return side, int(chance.integers(0, WIDTH - side)), HEIGHT - side

    return {
        "ada": [room((ada, *place())) for _ in range(8)],
        "bob": [room((bob, *place())) for _ in range(4)],
        "two faces": [room((ada, 300, 0, 100), (bob, 300, 330, 120)) for _ in range(3)],
        "nobody": [room() for _ in range(3)],
        "noise": [chance.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(2)],
        "dark": [np.zeros((HEIGHT, WIDTH, 3), np.uint8)],
        "too small": [room((ada, 90, 200, 200))],
        "cut off": [room((ada, 460, WIDTH - 170, 20))],
        "other sizes": [
            np.asarray(ada.resize(size), np.uint8) for size in ((33, 47), (1280, 720), (97, 1013), (2000, 31))
        ],
        "no frames": [
            np.zeros((1, 1, 3), np.uint8),
            np.zeros((1, 3000, 3), np.uint8),
            np.zeros((0, 480, 3), np.uint8),
            np.zeros((480, 640), np.uint8),
            np.zeros((480, 640, 4), np.uint8),
            np.zeros((480, 640, 3), np.float32),
        ],
    }


def untrained(folder: Path) -> Path:
    """An embedding that nobody trained, made by another process: what makes it is not what is measured."""
    program = "import sys, gate, pathlib; gate.untrained(sys.argv[1], pathlib.Path(sys.argv[2]))"
    subprocess.run([sys.executable, "-c", program, "seesaw_shuffle", str(folder)], cwd=HERE, check=True)
    return folder / "untrained.onnx"


class Soak:
    """A gate that is kept busy.

    Args:
        folder: for the vault and the log.
        weights: of the embedding.
        seed: of all that is drawn.

    """

    def __init__(self, folder: Path, weights: Path, seed: int) -> None:
        self._now = datetime(2026, 1, 1, tzinfo=timezone.utc)
        self._vault = Vault.create(folder / "vault.db", bytes(range(32)))
        self._gate = Gate(
            self._vault,
            liveness=LivenessStage(),
            matcher=EmbeddingMatcher(weights),
            policy=Policy(log_unjudged=True, thorough=True),
            audit=AuditLog(folder / "audit.jsonl", self._vault.log_key),
            clock=lambda: self._now,
        )
        self._frames, self._chance = frames(seed), random.Random(seed)
        self._enrolled = 0
        self.reasons: Counter[str] = Counter()
        self._gate.enrol("ada", self._frames["ada"][0], consent="soak", watched=True)

    def step(self, number: int) -> None:
        # Two hours a frame: a lock-out has always ended, and has always to be reckoned with.
        self._now += timedelta(hours=2)
        faces = self._chance.random() < 0.5
        shown = self._chance.choice(["ada", "bob"] if faces else list(self._frames))
        frame = self._chance.choice(self._frames[shown])
        given = frame if self._chance.random() < 0.5 else [frame]
        try:
            decision = (
                self._gate.identify(given) if self._chance.random() < 0.3 else self._gate.verify(given, "ada")
            )
            self.reasons[decision.reason] += 1
        except InputError:  # what is no frame, handed over as one picture
            self.reasons["refused as no picture"] += 1
        if number % EVERY_ENROLMENT == 0:
            self._change_people(number // EVERY_ENROLMENT)

    def close(self) -> tuple[str, ...]:
        """What is wrong with the vault and its log after all that."""
        problems = self._vault.check()
        AuditLog(self._gate._audit.path, self._vault.log_key).verify()  # type: ignore[union-attr]
        self._vault.close()
        return problems

    def _change_people(self, turn: int) -> None:
        frame = self._chance.choice(self._frames["bob"])
        if turn % 3 == 0:
            self._gate.enrol("bob", frame, consent="soak", watched=True, duplicates=False)
        elif turn % 3 == 1 and any(one.user == "bob" for one in self._vault.list()):
            self._gate.enrol("bob", frame, consent="soak", watched=True, duplicates=False, renew=True)
        elif any(one.user == "bob" for one in self._vault.list()):
            self._vault.delete("bob")


def verdicts(samples: list[Sample], most_mib: float) -> Iterator[str]:
    """What did not stay flat."""
    begun, ended = samples[len(samples) // 4], samples[-1]
    mib = growth(samples, lambda one: one.mib)
    if not mib <= most_mib:
        yield f"memory grows by {mib:.1f} MiB over the run, more than {most_mib:.1f}"
    if ended.files > begun.files:
        yield f"{ended.files} open files at the end, {begun.files} after the warm-up"
    if ended.threads > begun.threads:
        yield f"{ended.threads} threads at the end, {begun.threads} after the warm-up"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--samples", type=int, default=100, help="how often the process is looked at")
    parser.add_argument("--most-mib", type=float, default=8.0, help="growth of memory that is taken for none")
    parser.add_argument("--weights", type=Path, help="of the embedding; default: an untrained network")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the samples as JSON")
    arguments = parser.parse_args()
    every = max(1, arguments.frames // arguments.samples)
    logging.getLogger("ostiary").setLevel(logging.ERROR)  # of thousands of broken frames one line each is too much
    with tempfile.TemporaryDirectory() as name:
        soak = Soak(Path(name), arguments.weights or untrained(Path(name)), arguments.seed)
        begun, samples = time.perf_counter(), []
        for number in range(1, arguments.frames + 1):
            soak.step(number)
            if number % every == 0:
                samples.append(sample(number))
        seconds, damage = time.perf_counter() - begun, soak.close()
    print(f"{describe()}\n\n{arguments.frames} frames in {seconds:.0f} s, seed {arguments.seed}.\n")
    print("| frames | resident MiB | open files | threads |\n|---|---|---|---|")
    shown = samples[:: max(1, len(samples) // 10)]
    for one in [*shown, *([] if shown[-1] is samples[-1] else [samples[-1]])]:
        print(f"| {one.frames} | {one.mib:.1f} | {one.files} | {one.threads} |")
    print(f"\nGrowth of memory over the run: {growth(samples, lambda one: one.mib):.2f} MiB.")
    print("Answers: " + ", ".join(f"{reason} {count}" for reason, count in soak.reasons.most_common()) + ".")
    failed = [*verdicts(samples, arguments.most_mib), *damage]
    print("\n".join(f"NOT FLAT: {sentence}." for sentence in failed) or "Flat.")
    if arguments.out:
        record = {"machine": describe(), "seconds": round(seconds), "seed": arguments.seed, "failed": failed}
        record |= {"answers": dict(soak.reasons), "samples": [asdict(one) for one in samples]}
        arguments.out.write_text(json.dumps(record, indent=1))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
