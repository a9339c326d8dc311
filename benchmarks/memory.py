"""Peak resident memory with the model loaded, each row in a fresh process after one call.

The processes import only the runtime half. Prints a Markdown table; ``--out`` writes JSON. POSIX only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from machine import describe
from ostiary.runtime.packaged import resolve_weights

START = """
import resource, sys
import numpy as np
import onnxruntime
from ostiary.runtime.liveness import LivenessModel
"""
LOAD = """
model = LivenessModel(sys.argv[1], keep=27)
size = model.metadata.preprocess.size
crop = np.zeros((1, size, size, 3), np.uint8)
word = model.metadata.default_configuration
"""
SWITCHED = "model.logits(crop, word, switched=True)\n"
SPECIALISED = "model.logits(crop, word)\n"
ALL = "for word in model.words: model.logits(crop, word)\n"
# Kilobytes on Linux, bytes on macOS.
PEAK = (
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == 'darwin' else 1 / 1024))\n"
)

ROWS = {
    "numpy and ONNX Runtime imported, no model": START,
    "one switchable session (all words)": START + LOAD + SWITCHED,
    "one specialised session (default word)": START + LOAD + SPECIALISED,
    "switchable and one specialised session": START + LOAD + SWITCHED + SPECIALISED,
    "a specialised session for every word": START + LOAD + ALL,
}


def peak_mebibytes(program: str, weights: Path) -> float:
    command = [sys.executable, "-c", program + PEAK, str(weights)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", help="a weights file or a packaged name; default: the packaged model")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    weights = resolve_weights(arguments.weights)
    peaks = {row: peak_mebibytes(program, weights) for row, program in ROWS.items()}
    base = next(iter(peaks.values()))
    print(f"{describe()}\n\nFile: {weights.stat().st_size:,} bytes.\n")
    print("| process | peak resident MiB | over imports |\n|---|---|---|")
    for row, peak in peaks.items():
        print(f"| {row} | {peak:.0f} | {peak - base:.0f} |")
    if arguments.out:
        record = {"machine": describe(), "bytes": weights.stat().st_size, "peak_mebibytes": peaks}
        arguments.out.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
