"""What a weights file says about itself, and the check that it is whole.

A weights file is an ONNX model with two entries in its ``metadata_props``: ``ostiary.model`` (the record
below as JSON) and ``ostiary.sha256`` (SHA-256 over the file with these 64 characters replaced by zeros).
Both are found in the raw bytes, so a damaged or foreign file is refused before any parser of models sees
it, and neither the ``onnx`` package nor a protobuf library is needed.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ostiary.errors import WeightsError
from ostiary.faces.preprocess import Preprocess

FORMAT: Literal["1"] = "1"
MODEL_KEY = "ostiary.model"
HASH_KEY = "ostiary.sha256"
ZERO_HASH = "0" * 64


class Threshold(BaseModel):
    """A decision threshold with all that is needed to judge it: accept if ``liveness >= value``.

    ``target`` names the error rate that was held at ``rate`` on the development data called ``data``, with
    ``n_bona_fide`` and ``n_attack`` presentations; ``upper_limit`` is its upper confidence limit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    target: str
    rate: float
    n_bona_fide: int
    n_attack: int
    data: str
    upper_limit: float | None = None
    warning: str | None = None


class ConfigurationRecord(BaseModel):
    """Cost, threshold and development error of one configuration word.

    ``macs`` are multiply-adds of convolutions and linear layers for one crop. ``development_error`` is an
    error rate on development data, of the same kind for all words of a file: it serves to rank them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    parameters: int
    macs: int
    threshold: Threshold | None = None
    development_error: float | None = None


class TrunkRecord(BaseModel):
    """The layers before the first adaptive block, where the file can go on from what they gave.

    ``shape`` is that of their activations for one crop, ``macs`` their multiply-adds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: tuple[int, ...]
    macs: int


class Band(BaseModel):
    """A cascade of two configuration words, and the answers of the first that go on to the second.

    Refused if liveness by ``first`` is below ``low``, accepted if it is at least ``high``; everything between
    is judged by ``second``. Two equal limits send nothing on, and a ``high`` above 1 is reached by nothing.
    ``share`` is the share of the ``n_bona_fide`` and ``n_attack`` development presentations of ``data`` that
    went on when the band was chosen.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: str
    second: str
    low: float = Field(ge=0, allow_inf_nan=False)
    high: float = Field(ge=0, allow_inf_nan=False)
    share: float | None = None
    n_bona_fide: int | None = None
    n_attack: int | None = None
    data: str | None = None

    @model_validator(mode="after")
    def _limits_in_order(self) -> Band:
        if self.low > self.high:
            raise ValueError("the lower limit of the band is above the upper one")
        return self


class Metadata(BaseModel):
    """The record inside a liveness weights file.

    ``trunk`` is missing in files that cannot go on from given activations, ``cascade`` where no band was chosen.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["1"] = FORMAT
    task: Literal["liveness"] = "liveness"
    name: str
    version: str
    licence: str
    data: list[str]
    notes: str = ""
    preprocess: Preprocess
    configurations: dict[str, ConfigurationRecord] = Field(min_length=1)
    default_configuration: str
    training_commit: str
    statistics: Literal["shared", "per_configuration"] = "shared"
    precision: Literal["float32", "int8"] = "float32"
    trunk: TrunkRecord | None = None
    cascade: Band | None = None

    @model_validator(mode="after")
    def _words_agree(self) -> Metadata:
        if self.default_configuration not in self.configurations:
            raise ValueError("default_configuration is not among the configurations")
        if any(not re.fullmatch("[LHB]*", word) for word in self.configurations):
            raise ValueError("a configuration word has other letters than H, L and B")
        if len({len(word) for word in self.configurations}) != 1:
            raise ValueError("the configuration words differ in length")
        if self.cascade and not {self.cascade.first, self.cascade.second} <= set(self.configurations):
            raise ValueError("cascade names a word that is not among the configurations")
        return self


def read_metadata(path: Path) -> Metadata:
    """Read a weights file's record after checking its hash.

    Raises:
        WeightsError: the file is missing, not an ostiary weights file, damaged, of another format version,
            or made for another task.

    """
    return read_container(path)[0]


def read_container(path: Path) -> tuple[Metadata, bytes]:
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
    return _parse(_model_json(content, str(path)), str(path)), content


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
            "foreign model; fetch it again or make one with `ostiary export`."
        )
    return start


def _model_json(content: bytes, name: str) -> bytes:
    marker = _entry(MODEL_KEY)
    at = content.rfind(marker)
    if at < 0:
        raise WeightsError(f"{name} holds no ostiary record ({MODEL_KEY}): export it again.")
    start = at + len(marker)
    length = shift = 0
    while True:  # a protobuf varint: seven bits a byte, lowest first, high bit set on all but the last
        byte = content[start]
        length |= (byte & 0x7F) << shift
        shift += 7
        start += 1
        if byte < 0x80:
            return content[start : start + length]


def _parse(text: bytes, name: str) -> Metadata:
    try:
        record: Any = json.loads(text)
        version, task = str(record["format"]), str(record["task"])
    except (ValueError, KeyError, TypeError):
        raise WeightsError(f"{name} has an unreadable ostiary record; export it again.") from None
    if version.split(".")[0] != FORMAT:
        raise WeightsError(
            f"{name} has format {version}, and this ostiary reads format {FORMAT}: install a newer ostiary."
        )
    if task != "liveness":
        raise WeightsError(f"{name} was made for the task {task!r}, not for liveness: give liveness weights.")
    try:
        return Metadata.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "record"
        raise WeightsError(
            f"{name} has a wrong ostiary record ({where}: {first['msg']}); export it again."
        ) from None
