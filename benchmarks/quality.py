"""What the quality gate costs, and what it gives: three tables over data with known labels.

Who is left without an answer, and why; what is measured on bona fide faces, from which the limits were chosen;
and what becomes of living people as the light fails or the lens blurs, with the gate and without.

python benchmarks/quality.py FOLDER_OF_CSV_AND_TAR_PAIRS --json quality.json > quality.md
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from machine import describe
from ostiary import Liveness
from ostiary.data.index import Index
from ostiary.data.pictures import PictureStore, open_pictures
from ostiary.errors import ImageError
from ostiary.faces.detector import FaceDetector
from ostiary.faces.quality import CAUSES, Quality, QualityLimits, measure
from ostiary.reports.scoring import NO_FACE, UNREADABLE, find_face, hindrances

REASONS = (UNREADABLE, NO_FACE, *CAUSES)
PERCENTILES = (1, 50, 99)
GAINS = (1.0, 0.5, 0.3, 0.2, 0.12)
BLURS = (0.02, 0.04, 0.06)
"""Standard deviations in widths of the face."""
BLUR_STEP = "blur of {:.0%} of the face's width"

LIMITS = QualityLimits()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packs", type=Path, help="folder with NAME.csv and NAME.tar of each data set")
    parser.add_argument("--split", action="append", help="judge these; train and development by default")
    parser.add_argument("--faces", type=int, default=25, help="bona fide faces a data set for the last table")
    parser.add_argument("--json", type=Path, help="write the counts here as well")
    arguments = parser.parse_args()
    splits = arguments.split or ["train", "development"]
    indexes = [path for path in sorted(arguments.packs.glob("*.csv")) if path.with_suffix(".tar").is_file()]
    print(f"{describe()}. Limits: {', '.join(f'{name} {value:g}' for name, value in asdict(LIMITS).items())}.")
    counts: list[dict[str, Any]] = []
    measured: dict[str, list[Quality]] = defaultdict(list)
    degraded: dict[str, Counter[str]] = defaultdict(Counter)
    for path in indexes:
        index, pictures = Index.read_csv(path), open_pictures(path.with_suffix(".tar"))
        for split in splits:
            for label in ("bona_fide", "attack"):
                rows = index.select(split=split, label=label)
                found = [judge(pictures, sample) for sample in rows]
                counts.append({"data": path.stem, "split": split, "label": label, **abstained(found)})
                if label == "bona_fide":
                    measured[path.stem] += [quality for quality, _ in found if quality is not None]
        living = index.select(split="development", label="bona_fide")
        chosen = np.linspace(0, len(living) - 1, min(arguments.faces, len(living))).astype(int)
        degrade(pictures, Index(living[int(place)] for place in chosen), degraded)
    print("\nWithout an answer, by the first cause.\n")
    print_abstained(counts)
    print("\nMeasures of the bona fide faces: 1st, 50th and 99th percentile.\n")
    measures = {name: percentiles(qualities) for name, qualities in measured.items()}
    print_measures(measures)
    print("\nBona fide faces of the development split, degraded: what they are told.\n")
    print_degraded(degraded)
    if arguments.json:
        record = {"abstained": counts, "measures": measures, "degraded": degraded, "limits": asdict(LIMITS)}
        arguments.json.write_text(json.dumps({"machine": describe(), **record}, indent=1) + "\n")


DETECTOR = FaceDetector()


def judge(pictures: PictureStore, sample: Any) -> tuple[Quality | None, tuple[str, ...]]:
    """The quality of a sample's face, None if the detector finds none, and all that keeps it from being judged."""
    try:
        image = pictures.image(sample.path)
    except ImageError:
        return None, (UNREADABLE,)
    face = find_face(image, sample.box, DETECTOR)
    quality = None if face is None else measure(image, face.box, face.landmarks)
    return quality, tuple(hindrances(image, sample.box, face, LIMITS))


def abstained(found: list[tuple[Quality | None, tuple[str, ...]]]) -> dict[str, Any]:
    first = Counter(reasons[0] for _, reasons in found if reasons)
    every = Counter(reason for _, reasons in found for reason in reasons)
    return {"n": len(found), "abstained": first.total(), "first_cause": dict(first), "every_cause": dict(every)}


def percentiles(qualities: list[Quality]) -> dict[str, list[float]]:
    columns = defaultdict(list)
    for quality in qualities:
        for name, value in quality.to_dict().items():
            if value is not None:
                columns[name].append(value)
    return {name: [float(v) for v in np.percentile(values, PERCENTILES)] for name, values in columns.items()}


def degrade(pictures: PictureStore, living: Index, degraded: dict[str, Counter[str]]) -> None:
    """Count what the largest face of each degraded picture is told, without the gate and with it."""
    doors = {"without": Liveness(quality=None), "with": Liveness(quality=LIMITS)}
    for sample in living:
        image = pictures.image(sample.path)
        for step, change in steps(sample.box.width if sample.box else image.shape[1] / 2):
            for gate, door in doors.items():
                check = door.check(change(image))
                reason = check.faces[0].reason if check.faces else check.reason
                degraded[f"{step}, {gate} the gate"][reason] += 1


def steps(width: float) -> Iterable[tuple[str, Callable[[np.ndarray], np.ndarray]]]:
    for gain in GAINS:
        yield f"grey levels x {gain:g}", lambda image, gain=gain: (image * gain).astype(np.uint8)
    for share in BLURS:
        blur = ImageFilter.GaussianBlur(share * width)
        yield BLUR_STEP.format(share), lambda image, blur=blur: np.asarray(Image.fromarray(image).filter(blur))


def print_abstained(counts: list[dict[str, Any]]) -> None:
    shown = [reason for reason in REASONS if any(reason in row["first_cause"] for row in counts)]
    print_table(
        ["data", "split", "label", "n", "abstained", *shown],
        (
            [
                *(row["data"], row["split"], row["label"], str(row["n"]), share(row["abstained"], row["n"])),
                *(share(row["first_cause"].get(reason, 0), row["n"]) for reason in shown),
            ]
            for row in counts
        ),
    )


def print_measures(measures: dict[str, dict[str, list[float]]]) -> None:
    names = list(next(iter(measures.values())))
    print_table(
        ["data", *names],
        ([data, *(" / ".join(f"{v:.3g}" for v in row[name]) for name in names)] for data, row in measures.items()),
    )


def print_degraded(degraded: dict[str, Counter[str]]) -> None:
    told = ["bona_fide", "presentation_attack", NO_FACE, *CAUSES]
    shown = [reason for reason in told if any(reason in row for row in degraded.values())]
    print_table(
        ["", *shown], ([step, *(share(row[r], row.total()) for r in shown)] for step, row in degraded.items())
    )


def share(count: int, total: int) -> str:
    return f"{count} ({100 * count / total:.1f} %)" if count else "-"


def print_table(head: list[str], rows: Iterable[list[str]]) -> None:
    for line in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(line) + " |")


if __name__ == "__main__":
    main()
