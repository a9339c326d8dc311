"""Cold start: the whole process of ``ostiary check PHOTO``, from the shell to the answer.

Wall-clock and CPU seconds of fresh processes (files are in the page cache after the first, which is not
counted). Prints a Markdown table; ``--out`` writes JSON. POSIX only.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from machine import describe


def one_run(command: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of one process; exit code 1 is an answer too (not accepted)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - start
    if finished.returncode not in (0, 1):
        raise SystemExit(finished.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--weights", help="a weights file or a packaged name; default: the packaged model")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    python = [sys.executable, "-m", "ostiary.cli.app"]
    options = ["--weights", arguments.weights] if arguments.weights else []
    commands = {
        f"ostiary check {arguments.photo.name}": [*python, "check", str(arguments.photo), *options],
        "ostiary --help": [*python, "--help"],
    }
    record: dict[str, object] = {"machine": describe(), "runs": arguments.runs}
    print(f"{record['machine']}, {arguments.runs} runs\n")
    print("| command | wall s, median | wall s, least | CPU s, median |\n|---|---|---|---|")
    for name, command in commands.items():
        one_run(command)
        wall, cpu = zip(*(one_run(command) for _ in range(arguments.runs)), strict=True)
        row = {"wall": statistics.median(wall), "least": min(wall), "cpu": statistics.median(cpu)}
        record[name] = row
        print(f"| `{name}` | {row['wall']:.2f} | {row['least']:.2f} | {row['cpu']:.2f} |")
    if arguments.out:
        arguments.out.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
