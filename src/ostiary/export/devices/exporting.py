"""From a weights file to the file of another runtime, run by that runtime before it is kept.

Beside it stands a record, as JSON: what to feed, what to ask for, which thresholds hold, and how far the answers
are from those of ONNX Runtime. Thresholds do not pass over to 8 bits, where answers move: they are left out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError, WeightsError
from ostiary.export.devices import runtime
from ostiary.export.devices.answers import Reference, answers, golden_reference, reference
from ostiary.export.devices.plain import Source
from ostiary.export.devices.runtime import Job, Precision, Runtime
from ostiary.reports.folder import replacing
from ostiary.runtime.container import WeightsRecord
from ostiary.runtime.crops import check_crops
from ostiary.runtime.liveness_record import Metadata

LIMITS: dict[Precision, float] = {"fp32": 1e-3, "fp16": 1e-2, "int8": 0.1}
"""Difference from ONNX Runtime, of a liveness or a similarity, with which a file is kept.

The largest in floating point. With 8 bits single pictures may move far, near a threshold above all, and so it is
the mean: it tells a broken file from a coarse one. How many decisions change is for benchmarks/devices.py.
"""

_CHECKED = 8
"""Pictures that a file is checked on where no golden vectors are given."""


@dataclass(frozen=True, slots=True)
class Exported:
    """Files of one export, its record, and by word the largest difference from ONNX Runtime."""

    files: list[Path]
    record: Path
    differences: dict[str, float]


def export_device(
    weights: Path,
    to: str,
    out: Path,
    *,
    words: Sequence[str] | None = None,
    together: bool = False,
    precision: Precision = "fp32",
    calibration: NDArray[np.uint8] | None = None,
    golden: Path | None = None,
) -> list[Exported]:
    """Write configurations of a weights file for another runtime: a file each, or one for all of them.

    Args:
        weights: a weights file of ours in floating point.
        to: a name of :data:`ostiary.export.devices.RUNTIMES`.
        out: a folder; files of the same names are replaced, others stay.
        words: configurations; None for the file's default one.
        together: one file that holds all the words, and each weight once.
        precision: of weights and activations; the runtime's ``PRECISIONS`` has what that means.
        calibration: RGB crops uint8 (N, S, S, 3) of training data, a few hundred, for ``int8``. Some serve the
            check as well.
        golden: vectors of ``ostiary export golden`` to check against; without them, crops of ``calibration`` or
            of noise.

    Raises:
        ConfigurationError: what is asked for cannot be had.
        MissingExtraError: the runtime or its converter is not installed.
        WeightsError: the file's answers differ from ONNX Runtime's by more than :data:`LIMITS`.

    """
    target, source = runtime(to), Source.read(weights)
    chosen = list(dict.fromkeys(words)) if words else [source.default]
    _check(target, to, precision, together, calibration)
    networks = {word: source.plain(word) for word in chosen}
    if calibration is not None:
        check_crops(calibration, source.record.preprocess, source.path.name)
    expected = _expected(source, chosen, calibration, golden)
    pictures = source.record.preprocess.normalise(calibration) if calibration is not None else None
    made = []
    with replacing(out) as folder:
        for group in [chosen] if together else [[word] for word in chosen]:
            record = narrowed(source.record, group, precision)
            job = Job({word: networks[word] for word in group}, record, precision, pictures)
            stem = re.sub(r"[^\w.-]", "_", record.name)
            name = "-".join(part for part in (stem, *([] if together else group), precision) if part)
            files = target.write(job, folder / name)
            differences = {word: _difference(target, files, word, source, expected, precision) for word in group}
            described = _described(target, to, source, record, group, precision, files, differences, expected)
            (folder / f"{name}.{to}.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
            made.append(Exported([out / file.name for file in files], out / f"{name}.{to}.json", differences))
    return made


def narrowed(record: WeightsRecord, words: Sequence[str], precision: Precision) -> WeightsRecord:
    """What a device file says of itself: the record of these words, without thresholds where answers moved."""
    changes: dict[str, Any] = {"precision": "int8" if precision == "int8" else "float32"}
    if isinstance(record, Metadata):
        kept = {word: record.configurations[word] for word in words}
        if precision == "int8":
            kept = {word: entry.model_copy(update={"threshold": None}) for word, entry in kept.items()}
        default = record.default_configuration if record.default_configuration in kept else words[0]
        changes |= {"configurations": kept, "default_configuration": default, "trunk": None, "cascade": None}
    elif precision == "int8":
        changes["threshold"] = None
    return record.model_copy(update=changes)


def _check(
    target: Runtime, to: str, precision: Precision, together: bool, calibration: NDArray[np.uint8] | None
) -> None:
    if precision not in target.PRECISIONS:
        raise ConfigurationError(f"{to} has no {precision}; choose one of: {', '.join(target.PRECISIONS)}.")
    if together and target.TOGETHER is not None:
        raise ConfigurationError(f"{to} gives a file for each configuration: {target.TOGETHER}.")
    if precision == "int8" and (calibration is None or len(calibration) == 0):
        raise ConfigurationError("8-bit files need pictures to calibrate on: name some of the training data.")


def _expected(
    source: Source, words: list[str], calibration: NDArray[np.uint8] | None, golden: Path | None
) -> Reference:
    if golden is not None:
        return golden_reference(source, words, golden)
    if calibration is None:
        size = source.record.preprocess.size
        crops = np.random.default_rng(0).integers(0, 256, (_CHECKED, size, size, 3), np.uint8)
    else:
        places = np.unique(np.linspace(0, len(calibration) - 1, min(_CHECKED, len(calibration))).astype(int))
        crops = calibration[places]
    return reference(source, words, crops)


def _difference(
    target: Runtime, files: list[Path], word: str, source: Source, expected: Reference, precision: Precision
) -> float:
    differences = np.abs(answers(target.open(files, word), source, expected.crops) - expected.expected[word])
    measured = float(differences.mean() if precision == "int8" else differences.max())
    if not measured <= LIMITS[precision]:
        raise WeightsError(
            f"{files[0].name} answers otherwise than {source.path.name} (by {measured:.2g}, where {precision} "
            f"may differ by {LIMITS[precision]:g}); nothing was written."
        )
    return float(differences.max())


def _described(
    target: Runtime,
    to: str,
    source: Source,
    record: WeightsRecord,
    words: Sequence[str],
    precision: Precision,
    files: Sequence[Path],
    differences: dict[str, float],
    expected: Reference,
) -> dict[str, Any]:
    size = record.preprocess.size
    return {
        "format": "device-1",
        "runtime": to,
        "precision": precision,
        "means": target.PRECISIONS[precision],
        "files": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
        "source": {"file": source.path.name, "sha256": hashlib.sha256(source.content).hexdigest()},
        "input": {
            "name": target.INPUT,
            "layout": target.LAYOUT,
            "shape": [1, 3, size, size] if target.LAYOUT == "NCHW" else [1, size, size, 3],
        },
        "ask_for": {word: target.asked_for(word) for word in words},
        "record": record.model_dump(mode="json", exclude_none=True),
        "check": {"pictures": len(expected.crops), "largest_difference": differences},
    }
