"""What a weights file says about itself, and the check that it is whole.

A weights file is an ONNX model with two entries in its ``metadata_props``: ``ostiary.model`` (the record of
its task, as JSON) and ``ostiary.sha256`` (SHA-256 over the file with these 64 characters replaced by zeros).
Both are found in the raw bytes, so a damaged or foreign file is refused before any parser of models sees
it, and neither the ``onnx`` package nor a protobuf library is needed. What a record says beyond the part that
all tasks share stands in a file of its own: ``liveness_record.py``, ``embedding_record.py``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ostiary.errors import WeightsError
from ostiary.faces.preprocess import Preprocess

FORMAT: Literal["1"] = "1"
MODEL_KEY = "ostiary.model"
HASH_KEY = "ostiary.sha256"
ZERO_HASH = "0" * 64


class WeightsRecord(BaseModel):
    """What every weights file says about itself; a task's own record adds to it.

    ``data`` names what the network was trained on, ``training_commit`` the code that trained it. What this part
    does not know it passes over; the record of a task refuses it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal["1"] = FORMAT
    task: str
    name: str
    version: str
    licence: str
    data: list[str]
    notes: str = ""
    preprocess: Preprocess
    training_commit: str
    precision: Literal["float32", "int8"] = "float32"


Record = TypeVar("Record", bound=WeightsRecord)


def read_metadata(path: Path, kind: type[Record]) -> Record:
    """Read a weights file's record after checking its hash.

    Args:
        path: of the file.
        kind: the record of the task that is wanted, or ``WeightsRecord`` for what all tasks have.

    Raises:
        WeightsError: the file is missing, not an ostiary weights file, damaged, of another format version,
            or made for another task.

    """
    return read_container(path, kind)[0]


def read_container(path: Path, kind: type[Record]) -> tuple[Record, bytes]:
    """As :func:`read_metadata`, and the file's bytes: what was checked is what the runtime then opens."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read ({error.strerror}); give the path of a weights file or a name that "
            "`ostiary weights list` shows."
        ) from None
    start = _hash_position(content, str(path))
    if content[start : start + 64] != _digest(content, start):
        raise WeightsError(f"{path} is damaged: its SHA-256 is not the one recorded in it; fetch it again.")
    return _parse(_model_json(content, str(path)), str(path), kind), content


def seal(content: bytes) -> bytes:
    """Write the hash into a serialised model whose ``ostiary.sha256`` entry holds 64 zeros."""
    start = _hash_position(content, "the model")
    return content[:start] + _digest(content, start) + content[start + 64 :]


def _digest(content: bytes, start: int) -> bytes:
    view = memoryview(content)
    digest = hashlib.sha256(view[:start])
    digest.update(ZERO_HASH.encode())
    digest.update(view[start + 64 :])
    return digest.hexdigest().encode()


def _entry(key: str) -> bytes:
    """How a protobuf StringStringEntryProto with this key begins: field 1 (key), then the tag of field 2."""
    return b"\x0a" + bytes([len(key)]) + key.encode() + b"\x12"


def _hash_position(content: bytes, name: str) -> int:
    # The entries stand at the end of what our export writes, hence the search from behind.
    marker = _entry(HASH_KEY) + bytes([64])
    at = content.rfind(marker)
    start = at + len(marker)
    if at < 0 or start + 64 > len(content):
        raise WeightsError(
            f"{name} is not a whole ostiary weights file (it records no hash): it is truncated, damaged or a "
            "foreign model; fetch it again, make one with `ostiary export`, or name the record of a foreign one "
            "(docs/models.md)."
        )
    return start


def _model_json(content: bytes, name: str) -> bytes:
    marker = _entry(MODEL_KEY)
    at = content.rfind(marker)
    if at < 0:
        raise WeightsError(f"{name} holds no ostiary record ({MODEL_KEY}): export it again.")
    start = at + len(marker)
    length = shift = 0
    while start < len(content):  # a protobuf varint: seven bits a byte, lowest first, high bit set but on the last
        byte = content[start]
        length |= (byte & 0x7F) << shift
        shift += 7
        start += 1
        if byte < 0x80:
            return content[start : start + length]
    raise WeightsError(f"{name} ends within its ostiary record: fetch it again.")


def _parse(text: bytes, name: str, kind: type[Record]) -> Record:
    try:
        record: Any = json.loads(text)
        version, task = str(record["format"]), str(record["task"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise WeightsError(f"{name} has an unreadable ostiary record; export it again.") from None
    if version.split(".")[0] != FORMAT:
        raise WeightsError(
            f"{name} has format {version}, and this ostiary reads format {FORMAT}: install a newer ostiary."
        )
    wanted = kind.model_fields["task"]
    if not wanted.is_required() and task != wanted.default:
        raise WeightsError(
            f"{name} was made for the task {task!r}, not for {wanted.default}: give {wanted.default} weights."
        )
    try:
        return kind.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "record"
        raise WeightsError(
            f"{name} has a wrong ostiary record ({where}: {first['msg']}); export it again."
        ) from None
