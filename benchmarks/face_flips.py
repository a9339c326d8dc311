"""Decisions that change when a face network is rewritten or rounded: the same pairs, two files.

Folders are what ``ostiary evaluate face`` writes, of the same pairs; the first is the reference. ``own``: each
file at the threshold that it holds, as at a door; ``same``: both at the reference's. Prints a Markdown table;
``--out`` writes JSON.

python benchmarks/face_flips.py eval/slim_fp32 eval/slim_int8 --out flips.json
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ostiary.metrics.intervals import clopper_pearson
from ostiary.reports.comparisons import read_comparisons


@dataclass(frozen=True, slots=True)
class Judged:
    """What one file said of the pairs: names of both pictures, similarities (N,), the threshold in the file."""

    name: str
    pairs: list[tuple[str, str]]
    similarity: NDArray[np.float64]
    threshold: float

    @classmethod
    def read(cls, folder: Path) -> Judged:
        """Of a folder of ``evaluate face``."""
        compared = read_comparisons(folder / "comparisons.csv")
        report = json.loads((folder / "report.json").read_text())
        if "stored" not in report["at"]:
            raise SystemExit(f"{folder} is of a file without a threshold: export it with people to choose one on.")
        pairs = [(pair.path_a, pair.path_b) for pair in compared.pairs]
        model = report["header"]["model"]
        name = f"{model['name']} {model.get('precision', '')}".strip()
        return cls(name, pairs, compared.similarity, report["at"]["stored"]["threshold"])


@dataclass(frozen=True, slots=True)
class Flips:
    """Of ``pairs`` so many are decided otherwise; ``moved`` is the deviation of the similarity."""

    name: str
    pairs: int
    own: int
    same: int
    moved: float


def flips(reference: Judged, other: Judged) -> Flips:
    if reference.pairs != other.pairs:
        raise SystemExit("the folders are of other pairs: evaluate both files on the same list.")
    used = ~np.isnan(reference.similarity) & ~np.isnan(other.similarity)
    before, after = reference.similarity[used], other.similarity[used]
    decided = before >= reference.threshold
    return Flips(
        other.name,
        int(used.sum()),
        int((decided != (after >= other.threshold)).sum()),
        int((decided != (after >= reference.threshold)).sum()),
        float((after - before).std()),
    )


def table(reference: str, rows: list[Flips]) -> str:
    lines = [
        f"| against {reference} | own threshold % | same threshold % | similarity moved by |",
        "|---|---|---|---|",
    ]
    for row in rows:
        shares = []
        for count in (row.own, row.same):
            known = clopper_pearson(count, row.pairs)
            shares.append(f"{100 * count / row.pairs:.2f} ({100 * known.low:.2f} to {100 * known.high:.2f})")
        lines.append(f"| {row.name} | {shares[0]} | {shares[1]} | {row.moved:.4f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", help="the reference, and what is compared with it")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    reference, *others = map(Judged.read, arguments.folders)
    rows = [flips(reference, other) for other in others]
    print(table(reference.name, rows))
    if arguments.out:
        content = {"reference": reference.name, "rows": [asdict(row) for row in rows]}
        arguments.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
