"""The weights that come with the package, by name."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostiary.errors import WeightsError
from ostiary.runtime.container import WeightsRecord, read_metadata

FOLDER = Path(__file__).resolve().parents[1] / "weights"

_LINE = re.compile(r"[0-9a-f]{64}  [\w.-]{1,100}", re.ASCII)
"""Of ``SHA256SUMS``."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """The packaged weights of one task.

    ``files`` is name a user types -> file in ``ostiary/weights``; ``default`` is one of these names, None where
    the package has no weights for the task; the variable ``environment`` names another default, a path or a name.
    """

    task: str
    files: Mapping[str, str]
    default: str | None
    environment: str


LIVENESS = Shelf(
    "liveness",
    {"pta_mobilenet_v2": "pta_mobilenet_v2.onnx", "pta_mobilenet_v2_int8": "pta_mobilenet_v2_int8.onnx"},
    "pta_mobilenet_v2",
    "OSTIARY_WEIGHTS",
)
EMBEDDING = Shelf(
    "face embedding",
    {
        "slim_face": "slim_face.onnx",
        "slim_face_int8": "slim_face_int8.onnx",
        "seesaw_shuffle": "seesaw_shuffle.onnx",
        "seesaw_shuffle_int8": "seesaw_shuffle_int8.onnx",
    },
    "slim_face",
    "OSTIARY_FACE_WEIGHTS",
)

#: Models that others made; their files carry no record of ours. See the card beside each file.
FOREIGN: dict[str, dict[str, Any]] = {
    "face_detection_yunet.onnx": {
        "name": "face_detection_yunet",
        "task": "detection",
        "version": "2026may",
        "licence": "MIT",
        "data": [],
    }
}


def resolve_weights(weights: Path | str | None = None, shelf: Shelf = LIVENESS) -> Path:
    """The weights file for a name, a path, or (``None``) the default of the task.

    The default is the packaged model, or what the shelf's environment variable names.

    Raises:
        WeightsError: neither a file nor a name, or there is no default.

    """
    chosen = weights or os.environ.get(shelf.environment) or shelf.default
    if chosen is None:
        raise WeightsError(
            f"This ostiary comes without {shelf.task} weights; name a weights file, or set {shelf.environment} to "
            "one."
        )
    if str(chosen) in shelf.files:
        return FOLDER / shelf.files[str(chosen)]
    path = Path(chosen)
    if not path.is_file():
        names = ", ".join(shelf.files) or "none yet"
        raise WeightsError(
            f"{chosen} is neither a file nor a packaged {shelf.task} model; packaged models are: {names}."
        )
    return path


def packaged_weights(shelf: Shelf = LIVENESS) -> dict[str, Path]:
    """Every packaged model of a task that is there, name -> file."""
    files = {name: FOLDER / file for name, file in shelf.files.items()}
    return {name: path for name, path in files.items() if path.is_file()}


def verify_packaged(folder: Path = FOLDER) -> list[str]:
    """Check every file that ``SHA256SUMS`` lists and return their names.

    Raises:
        WeightsError: the list or a listed file is missing, or a file has another hash.

    """
    sums = folder / "SHA256SUMS"
    if not sums.is_file():
        raise WeightsError(f"{sums} is missing: install ostiary again.")
    names = []
    for line in sums.read_text(encoding="ascii", errors="replace").splitlines():
        expected, _, name = line.partition("  ")
        if not _LINE.fullmatch(line):
            raise WeightsError(f"{sums} is damaged ({line[:80]!r}): install ostiary again.")
        path = folder / name
        if not path.is_file():
            raise WeightsError(f"{path} is missing: install ostiary again.")
        if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            raise WeightsError(
                f"{path} is damaged: its SHA-256 is not that of {sums.name}; install ostiary again."
            )
        names.append(name)
    return names


def describe_packaged(folder: Path = FOLDER) -> list[dict[str, Any]]:
    """A record of each model in the package, after checking all hashes.

    Returns:
        ``name``, ``task``, ``version``, ``licence``, ``data`` (names of the training data), ``megabytes``
        (10^6 bytes) and ``file`` of each.

    Raises:
        WeightsError: see :func:`verify_packaged`.

    """
    records = []
    for name in verify_packaged(folder):
        path = folder / name
        if path.suffix == ".onnx":
            record = FOREIGN.get(name) or read_metadata(path, WeightsRecord).model_dump(
                include={"name", "task", "version", "licence", "data"}
            )
            records.append({**record, "megabytes": round(path.stat().st_size / 1e6, 2), "file": name})
    return records
