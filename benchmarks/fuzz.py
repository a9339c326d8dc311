"""Every reader of files, fed with damaged ones: no crash, no hang, and nothing accepted that was changed.

    python benchmarks/fuzz.py --inputs 2000 --out fuzz.json

Inputs are drawn from a seed (``tests/fuzz/fuzz_mutations.py``), so that ``--only NAME --first N --inputs 1`` makes
one of them again. Each reader works in a process of its own, with bounded memory, so that one that dies or never
ends is counted too. Prints a Markdown table of what became of the inputs, then each finding once; exits with 1 if
there is one.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1] / "tests" / "fuzz"))

from fuzz_data import DATA  # noqa: E402
from fuzz_gate import GATE  # noqa: E402
from fuzz_runtime import RUNTIME  # noqa: E402
from fuzz_trial import LONGEST_S, Subject, Trials  # noqa: E402

from machine import describe  # noqa: E402

ENDINGS = ("refused", "without effect", "read otherwise", "finding")
LONGEST_WALL_S = 120
"""Of one input: a reader that waits and does not work is ended after this."""

MEMORY_BYTES = 6 * 2**30
"""Address space of a process; far more than any reader of these small files has a use for."""


@dataclass
class Tally:
    """What became of the inputs of one subject."""

    endings: Counter[str] = field(default_factory=Counter)
    findings: dict[str, list[int]] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    slowest: float = 0.0

    def add(self, number: int, ending: str, found: str, seconds: float) -> None:
        self.endings[ending] += 1
        self.slowest = max(self.slowest, seconds)
        if ending == "finding":
            kind, _, example = found.partition(": ")
            self.findings.setdefault(kind, []).append(number)
            self.examples.setdefault(kind, example)

    def to_dict(self) -> dict[str, Any]:
        return {"endings": dict(self.endings), "slowest_s": round(self.slowest, 3), "findings": self.findings}


def subjects() -> dict[str, Subject]:
    """By name; those that need torch are left out where it is not installed."""
    found = (*RUNTIME, *GATE, *DATA)
    try:
        from fuzz_laboratory import LABORATORY
    except ModuleNotFoundError:
        print("torch is not installed: readers of the laboratory are left out.", file=sys.stderr)
    else:
        found = (*found, *LABORATORY)
    return {subject.name: subject for subject in found}


def judged(name: str, first: int, inputs: int, seed: int) -> Tally:
    """Run a subject's trials in other processes; after one that died comes another, behind the fatal input."""
    tally, number = Tally(), first
    while number < first + inputs:
        asked = [str(number), str(first + inputs), str(seed)]
        command = [sys.executable, str(HERE), "--worker", name, *asked]
        begun = number
        with (
            tempfile.TemporaryFile("w+") as said,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True) as process,
        ):
            for line in process.stdout or ():
                number, ending, found, seconds = json.loads(line)
                tally.add(number, ending, found, seconds)
                number += 1
            process.wait()
            said.seek(0)
            last = said.read().strip().splitlines()[-1:]
        if number < first + inputs:
            if number == begun == first and process.returncode == 1:
                raise SystemExit(f"{name}: its process did not begin: {' '.join(last)}")
            tally.add(number, "finding", f"the process ended with {process.returncode}: {' '.join(last)}", 0)
            number += 1
    return tally


def work(name: str, first: int, end: int, seed: int) -> None:
    """One line of JSON for each trial."""
    with tempfile.TemporaryDirectory() as folder:
        trials = Trials(subjects()[name], Path(folder))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        for number in range(first, end):
            faulthandler.dump_traceback_later(LONGEST_WALL_S, exit=True)
            begun = time.process_time()
            trial = trials.run(number, seed)
            print(json.dumps([number, trial.ending, trial.found, time.process_time() - begun]), flush=True)
        faulthandler.cancel_dump_traceback_later()


def keep(name: str, number: int, seed: int, out: Path) -> None:
    """Write the files of one input, to look at."""
    with tempfile.TemporaryDirectory() as folder:
        files = Trials(subjects()[name], Path(folder)).files(number, seed)
    place = out / f"{name.replace(' ', '_').replace(',', '')}-{number}"
    place.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (place / file).write_bytes(content)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=2000, help="of each reader")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", help="name of a reader; several times for several")
    parser.add_argument("--keep", type=Path, help="folder for the first input of each finding")
    parser.add_argument("--out", type=Path, help="write the counts as JSON")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        name, *numbers = arguments.worker
        work(name, *map(int, numbers))
        return 0
    names = arguments.only or list(subjects())
    tallies: dict[str, Tally] = {}
    print(f"{describe()}\n\nSeed {arguments.seed}; at most {LONGEST_S:.0f} s of processor time an input.\n")
    print(
        f"| reader of | inputs | {' | '.join(ENDINGS)} | slowest, s |\n|{'---|' * (len(ENDINGS) + 3)}", flush=True
    )
    for name in names:
        tally = tallies[name] = judged(name, arguments.first, arguments.inputs, arguments.seed)
        counts = " | ".join(str(tally.endings[ending]) for ending in ENDINGS)
        print(f"| {name} | {arguments.inputs} | {counts} | {tally.slowest:.2f} |", flush=True)
    total = arguments.inputs * len(names)
    findings = [
        (name, kind, numbers) for name, tally in tallies.items() for kind, numbers in tally.findings.items()
    ]
    print(f"\n{total} inputs, {sum(len(numbers) for _, _, numbers in findings)} findings.")
    for name, kind, numbers in findings:
        example = tallies[name].examples[kind]
        print(f"- {name}, input {numbers[0]} ({len(numbers)} times): {kind}: {example}")
        if arguments.keep:
            keep(name, numbers[0], arguments.seed, arguments.keep)
    if arguments.out:
        record = {"machine": describe(), "seed": arguments.seed, "inputs": arguments.inputs, "total": total}
        record["readers"] = {name: tally.to_dict() for name, tally in tallies.items()}
        arguments.out.write_text(json.dumps(record, indent=1))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
