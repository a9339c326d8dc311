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
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices import Candidate, made, timed, versions
from machine import describe
from ostiary.data.pairs import Pairs, read_pairs
from ostiary.data.pictures import open_pictures
from ostiary.export.devices import RUNTIMES
from ostiary.export.devices.plain import Source
from ostiary.export.face_release import read_crops
from ostiary.faces.preprocess import Preprocess
from ostiary.metrics.verification import verification_rates
from ostiary.reports.comparisons import compare_pairs
from ostiary.reports.embedded import embed_pictures
from ostiary.runtime.embedding_record import EmbeddingMetadata
from ostiary.runtime.packaged import EMBEDDING, resolve_weights


class Embeds:
    """A candidate as evaluation asks for an embedding: a picture at a time, as a device does."""

    def __init__(self, candidate: Candidate, preprocess: Preprocess) -> None:
        self.name, self.preprocess, self._run = candidate.name, preprocess, candidate.run

    def embed(self, crops: NDArray[np.uint8], *, flip: bool = False) -> NDArray[np.float32]:
        assert not flip
        inputs = self.preprocess.normalise(crops)
        return np.concatenate([self._run(inputs[place : place + 1]) for place in range(len(inputs))])


def judged(source: Source, candidates: list[Candidate], pairs: Pairs, images: Path) -> None:
    """Compare all pairs by each candidate; the first is the base of what changes."""
    assert isinstance(source.record, EmbeddingMetadata)
    assert source.record.threshold is not None
    threshold, base = source.record.threshold.value, None
    for candidate in candidates:
        print(f"comparing by {candidate.name}", file=sys.stderr)
        store, embeds = open_pictures(images), Embeds(candidate, source.record.preprocess)
        compared = compare_pairs(pairs, embed_pictures(pairs.paths, store, embeds, aligned=True), flip=False)
        decided = compared.similarity >= threshold
        base = decided if base is None else base
        rates = verification_rates(compared.comparisons())
        candidate.row |= {"pairs": len(decided), "flipped": int((decided != base).sum()), "eer": rates.eer.value}
        candidate.row["accuracy"] = rates.accuracy.value if rates.accuracy else None


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
    parser.set_defaults(words=[""])  # a face network has no choice of them
    arguments = parser.parse_args()
    source = Source.read(resolve_weights(arguments.weights, EMBEDDING))
    crops = read_crops(arguments.calibration, source.record.preprocess.size)
    with tempfile.TemporaryDirectory() as folder:
        candidates = made(source, arguments, None, crops, Path(folder))
        judged(source, candidates, read_pairs(arguments.pairs), arguments.images)
        timed(source, candidates, arguments.rounds)
    print(f"{describe()}, {versions()}\n\n{table(candidates)}")
    if arguments.out:
        rows = [{"to": one.to, "precision": one.precision, **one.row} for one in candidates]
        report = {"machine": describe(), "versions": versions(), "files": rows}
        arguments.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
