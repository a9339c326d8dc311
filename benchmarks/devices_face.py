"""Face networks in files for phones and boards, each run by its own runtime on the pairs of a list.

What ``devices.py`` does for liveness: every file embeds the same aligned crops by its own runtime, and is timed in
one run with all others (batch 1, interleaved, CPU time of the process). ``flipped`` are decisions at the threshold
of the weights file that are not those of ONNX Runtime; accuracy is by the k-fold protocol. A Markdown table comes
out.

python benchmarks/devices_face.py --pairs pairs.csv --images validation.tar --calibration train.tar
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

from devices import BASE, versions
from machine import describe
from ostiary.data.pairs import Pairs, read_pairs
from ostiary.data.pictures import open_pictures
from ostiary.errors import ConfigurationError, MissingExtraError, WeightsError
from ostiary.export.devices import RUNTIMES, runtime
from ostiary.export.devices.exporting import export_device
from ostiary.export.devices.plain import Source
from ostiary.export.devices.runtime import Precision, Run
from ostiary.export.face_release import read_crops
from ostiary.faces.preprocess import Preprocess
from ostiary.metrics.verification import verification_rates
from ostiary.reports.comparisons import compare_pairs
from ostiary.reports.embedded import embed_pictures
from ostiary.runtime.embedding_record import EmbeddingMetadata
from ostiary.runtime.packaged import EMBEDDING, resolve_weights
from ostiary.runtime.timing import interleave, ratio


@dataclass
class Candidate:
    """One file as an embedder, and what was found out about it."""

    to: str
    precision: Precision
    run: Run
    preprocess: Preprocess
    row: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.to} {self.precision}"

    def embed(self, crops: NDArray[np.uint8], *, flip: bool = False) -> NDArray[np.float32]:
        assert not flip
        inputs = self.preprocess.normalise(crops)
        return np.concatenate([self.run(inputs[place : place + 1]) for place in range(len(inputs))])


def made(source: Source, arguments: argparse.Namespace, crops: NDArray[np.uint8], folder: Path) -> list[Candidate]:
    candidates = []
    for to in arguments.to:
        for precision in arguments.precisions:
            print(f"writing {to} {precision}", file=sys.stderr)
            try:
                (export,) = export_device(
                    source.path,
                    to,
                    folder / to,
                    precision=precision,
                    calibration=crops if precision == "int8" else None,
                )
            except (ConfigurationError, MissingExtraError, WeightsError) as error:
                print(f"without {to} {precision}: {error}", file=sys.stderr)
                continue
            ((word, parity),) = export.differences.items()
            candidate = Candidate(to, precision, runtime(to).open(export.files, word), source.record.preprocess)
            candidate.row = {
                "megabytes": sum(file.stat().st_size for file in export.files) / 1e6,
                "parity": parity,
            }
            candidates.append(candidate)
    return candidates


def judged(source: Source, candidates: list[Candidate], pairs: Pairs, images: Path) -> None:
    """Compare all pairs by each candidate; the first is the base of what changes."""
    assert isinstance(source.record, EmbeddingMetadata)
    assert source.record.threshold is not None
    threshold, base = source.record.threshold.value, None
    for candidate in candidates:
        print(f"comparing by {candidate.name}", file=sys.stderr)
        store = open_pictures(images)
        compared = compare_pairs(pairs, embed_pictures(pairs.paths, store, candidate, aligned=True), flip=False)
        decided = compared.similarity >= threshold
        base = decided if base is None else base
        rates = verification_rates(compared.comparisons())
        candidate.row |= {"pairs": len(decided), "flipped": int((decided != base).sum()), "eer": rates.eer.value}
        candidate.row["accuracy"] = rates.accuracy.value if rates.accuracy else None


def timed(candidates: list[Candidate], rounds: int) -> None:
    size = candidates[0].preprocess.size
    picture = np.random.default_rng(0).standard_normal((1, 3, size, size)).astype(np.float32)
    calls = {candidate.name: (lambda run=candidate.run: run(picture)) for candidate in candidates}
    samples = interleave(calls, rounds=rounds, clock=time.process_time)
    for candidate in candidates:
        found = ratio(samples[candidate.name], samples[" ".join(BASE)])
        candidate.row |= {"milliseconds": samples[candidate.name].median, "ratio": found.value}
        candidate.row["quartiles"] = found.quartiles


def table(candidates: list[Candidate]) -> str:
    lines = ["| runtime | precision | MB | parity | flipped | accuracy % | EER % | time |", "|---" * 8 + "|"]
    for one in candidates:
        row, (low, high) = one.row, one.row["quartiles"]
        lines.append(
            f"| {one.to} | {one.precision} | {row['megabytes']:.2f} | {row['parity']:.1g} | {row['flipped']} of "
            f"{row['pairs']} | {100 * row['accuracy']:.1f} | {100 * row['eer']:.1f} | {row['ratio']:.2f} "
            f"({low:.2f} to {high:.2f}) |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="slim_face", help="face weights with a threshold, a file or a name")
    parser.add_argument("--to", nargs="*", default=list(RUNTIMES), choices=RUNTIMES)
    parser.add_argument("--precisions", nargs="*", default=["fp32", "fp16", "int8"])
    parser.add_argument("--pairs", type=Path, required=True, help="CSV path_a,path_b,same,fold")
    parser.add_argument("--images", type=Path, required=True, help="folder or tar of their aligned crops")
    parser.add_argument("--calibration", type=Path, required=True, help="folder or tar of crops of the training")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    source = Source.read(resolve_weights(arguments.weights, EMBEDDING))
    crops = read_crops(arguments.calibration, source.record.preprocess.size)
    with tempfile.TemporaryDirectory() as folder:
        candidates = made(source, arguments, crops, Path(folder))
        judged(source, candidates, read_pairs(arguments.pairs), arguments.images)
        timed(candidates, arguments.rounds)
    print(f"{describe()}, {versions()}\n\n{table(candidates)}")
    if arguments.out:
        rows = [{"to": one.to, "precision": one.precision, **one.row} for one in candidates]
        report = {"machine": describe(), "versions": versions(), "files": rows}
        arguments.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
