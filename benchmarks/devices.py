"""Files for phones and boards, each run by its own runtime: parity, decisions that change, size, time.

Every file is checked against golden vectors, then scored beside ONNX Runtime on the same crops of an index, then
timed in one run with all others: batch 1, interleaved, CPU time of the whole process (some runtimes have threads
of their own), as a ratio to ONNX Runtime's plain graph of the same word. Prints a Markdown table.

``flipped`` are decisions at the threshold of the weights file that are not those of ONNX Runtime. ``error`` is the
equal error rate on the crops of the index, so that a file whose answers moved as a whole is not blamed for it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from machine import describe
from ostiary.data.index import Index
from ostiary.data.pictures import PictureStore, open_pictures
from ostiary.errors import ConfigurationError, MissingExtraError, WeightsError
from ostiary.export.devices import RUNTIMES, runtime
from ostiary.export.devices.answers import answers
from ostiary.export.devices.calibration import training_crops
from ostiary.export.devices.exporting import export_device
from ostiary.export.devices.plain import Source
from ostiary.export.devices.runtime import Precision, Run
from ostiary.export.golden import golden_vectors, write_golden
from ostiary.metrics.thresholds import choose_threshold
from ostiary.reports.scoring import score
from ostiary.runtime.liveness_record import Metadata
from ostiary.runtime.packaged import resolve_weights
from ostiary.runtime.timing import interleave, ratio

PORTRAITS = Path(__file__).parents[1] / "tests" / "data"
BASE: tuple[str, Precision] = ("onnx", "fp32")


@dataclass
class Candidate:
    """One file, and what was found out about it."""

    to: str
    word: str
    precision: Precision
    run: Run
    row: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.to} {self.word} {self.precision}"


class Together:
    """All candidates as one model of the scoring, each a configuration of it, so that crops are cut once."""

    def __init__(self, source: Source, candidates: list[Candidate]) -> None:
        self.metadata = source.record
        self._source = source
        self._runs = {candidate.name: candidate.run for candidate in candidates}

    def liveness(
        self, crops: NDArray[np.uint8], word: str | None = None, *, switched: bool = False
    ) -> NDArray[np.float32]:
        assert word is not None
        return answers(self._runs[word], self._source, crops).astype(np.float32)


def made(
    source: Source,
    arguments: argparse.Namespace,
    golden: Path | None,
    crops: NDArray[np.uint8] | None,
    folder: Path,
) -> list[Candidate]:
    candidates = []
    for to in arguments.to:
        for precision in arguments.precisions:
            for word in arguments.words:
                print(f"writing {to} {precision} {word}", file=sys.stderr)
                try:
                    (export,) = export_device(
                        source.path, to, folder / to, words=[word], precision=precision,
                        calibration=crops if precision == "int8" else None, golden=golden,
                    )  # fmt: skip
                except (ConfigurationError, MissingExtraError, WeightsError) as error:
                    print(f"without {to} {precision} {word}: {error}", file=sys.stderr)
                    continue
                candidate = Candidate(to, word, precision, runtime(to).open(export.files, word))
                candidate.row = {
                    "megabytes": sum(file.stat().st_size for file in export.files) / 1e6,
                    "parity": export.differences[word],
                }
                candidates.append(candidate)
    return candidates


def scored(source: Source, candidates: list[Candidate], index: Index, pictures: PictureStore) -> None:
    def report(done: int, total: int) -> None:
        if done % 100 == 0:
            print(f"scored {done} of {total}", file=sys.stderr)

    model = Together(source, candidates)
    table = score(index, pictures, model, [candidate.name for candidate in candidates], progress=report)
    assert isinstance(source.record, Metadata)
    for candidate in candidates:
        found = table.configurations[candidate.name]
        base = table.configurations[f"{BASE[0]} {candidate.word} {BASE[1]}"].liveness
        threshold = source.record.configurations[candidate.word].threshold
        given = np.isfinite(base)
        candidate.row |= {
            "pictures": int(given.sum()),
            "largest": float(np.abs(found.liveness - base)[given].max()),
            "error": choose_threshold(found.trials(), data="the index", rule="eer").rate,
        }
        if threshold is not None:
            changed = (found.liveness >= threshold.value) != (base >= threshold.value)
            candidate.row["flipped"] = int(changed[given].sum())


def timed(source: Source, candidates: list[Candidate], rounds: int) -> None:
    size = source.record.preprocess.size
    picture = np.random.default_rng(0).standard_normal((1, 3, size, size)).astype(np.float32)
    calls = {candidate.name: (lambda run=candidate.run: run(picture)) for candidate in candidates}
    samples = interleave(calls, rounds=rounds, clock=time.process_time)
    for candidate in candidates:
        found = ratio(samples[candidate.name], samples[f"{BASE[0]} {candidate.word} {BASE[1]}"])
        candidate.row |= {"milliseconds": samples[candidate.name].median, "ratio": found.value}
        candidate.row["quartiles"] = found.quartiles


def table(candidates: list[Candidate]) -> str:
    lines = [
        "| runtime | configuration | precision | MB | parity | flipped | error | time |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for candidate in candidates:
        row = candidate.row
        flipped = f"{row['flipped']} of {row['pictures']}" if "flipped" in row else ""
        error = f"{100 * row['error']:.1f} %" if "error" in row else ""
        low, high = row["quartiles"]
        cells = [
            candidate.to,
            candidate.word,
            candidate.precision,
            f"{row['megabytes']:.2f}",
            f"{row['parity']:.1g}",
        ]
        cells += [flipped, error, f"{row['ratio']:.2f} ({low:.2f} to {high:.2f})"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", help="liveness weights, a file or a name; default: the packaged ones")
    parser.add_argument("--to", nargs="*", default=list(RUNTIMES), choices=RUNTIMES)
    parser.add_argument("--words", nargs="*", default=["LLL", "HHH"], help="configurations")
    parser.add_argument("--precisions", nargs="*", default=["fp32", "fp16", "int8"])
    parser.add_argument("--index", type=Path, nargs="*", default=[], help="index CSVs; without them no int8")
    parser.add_argument("--images", type=Path, nargs="*", default=[], help="folders or tars of their pictures")
    parser.add_argument("--split", default="development", help="split that is scored")
    parser.add_argument("--limit", type=int, default=2000, help="pictures that are scored, spread over the split")
    parser.add_argument("--golden", type=Path, help="golden vectors; default: made of tests/data")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    source = Source.read(resolve_weights(arguments.weights))
    index = Index.concatenate(Index.read_csv(path) for path in arguments.index) if arguments.index else None
    pictures = open_pictures(arguments.images) if arguments.index else None
    crops = training_crops(index, pictures, source.record.preprocess) if index and pictures else None
    with tempfile.TemporaryDirectory() as name:
        golden = arguments.golden or Path(name) / "golden.json"
        if arguments.golden is None:
            portraits = [PORTRAITS / "astronaut.png", PORTRAITS / "grace_hopper.jpg"]
            write_golden(golden, golden_vectors(portraits, weights=source.path, words=arguments.words))
        candidates = made(source, arguments, golden, crops, Path(name))
        if index and pictures:
            rows = list(index.select(split=arguments.split))
            places = np.unique(np.linspace(0, len(rows) - 1, min(arguments.limit, len(rows))).astype(int))
            scored(source, candidates, Index([rows[place] for place in places]), pictures)
        timed(source, candidates, arguments.rounds)
    print(f"{describe()}, {versions()}\n\n{table(candidates)}")
    if arguments.out:
        rows = [{"to": one.to, "word": one.word, "precision": one.precision, **one.row} for one in candidates]
        report = {"machine": describe(), "versions": versions(), "files": rows}
        arguments.out.write_text(json.dumps(report, indent=1) + "\n")


def versions() -> str:
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for package in ("ai-edge-litert", "ai-edge-quantizer", "ncnn", "pnnx", "executorch"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


if __name__ == "__main__":
    main()
