"""What has to be said of a network that others made before it can be used: a small JSON file beside it.

The record is the model: it names the network's file and hash, how a face is cut and normalised for it, and what
its answer means. None of that can be seen in the network, and each of it wrong gives answers that look right.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ostiary.errors import WeightsError
from ostiary.faces.preprocess import Preprocess

SUFFIX = ".json"
"""Of a record; weights of ours are ``.onnx`` files that hold theirs."""

LARGEST_RECORD = 2**20
"""Bytes."""


class Answer(BaseModel):
    """What a liveness network's output means.

    The output is (N, ``classes``), of which ``column`` tells of ``of``. ``values`` are ``logits`` before a softmax
    (before a sigmoid, for one class) or ``probabilities`` after it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    values: Literal["logits", "probabilities"]
    classes: int = Field(ge=1, le=1000)
    column: int = Field(ge=0)
    of: Literal["bona_fide", "attack"]

    @model_validator(mode="after")
    def _has_the_column(self) -> Answer:
        if self.column >= self.classes:
            raise ValueError(f"there is no column {self.column} of {self.classes}; they count from 0")
        return self


class ForeignRecord(BaseModel):
    """What is said of any network of others; the record of a task adds to it.

    Attributes:
        format: of the record.
        task: what the network is for.
        file: of the network, in the folder of the record.
        sha256: of that file, 64 hex digits.
        name: how reports call it.
        version: of the network.
        licence: of its weights, which may differ from that of the code around them.
        data: what it was trained on, as far as known.
        notes: anything else.
        preprocess: crop, size, channels, mean and deviation.
        layout: of its input, channels before or after rows and columns.
        output: name of the output that is the answer; None for the first.
        zero_inputs: feed zeros to every input but the picture, for files whose exporter left weights among them.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["foreign-1"]
    task: str
    file: str = Field(pattern=r"^[^/\\\x00]+$")
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    name: str = Field(min_length=1)
    version: str
    licence: str
    data: list[str] = Field(default_factory=list)
    notes: str = ""
    preprocess: Preprocess
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    output: str | None = None
    zero_inputs: bool = False


class ForeignEmbeddingRecord(ForeignRecord):
    """A face embedding of others; it need not be of unit length."""

    task: Literal["embedding"]

    @model_validator(mode="after")
    def _is_aligned(self) -> ForeignEmbeddingRecord:
        if self.preprocess.crop != "aligned":
            raise ValueError("an embedding needs the aligned crop")
        return self


class ForeignLivenessRecord(ForeignRecord):
    """A liveness network of others, and what its answer means."""

    task: Literal["liveness"]
    answer: Answer

    @model_validator(mode="after")
    def _is_loose(self) -> ForeignLivenessRecord:
        if self.preprocess.crop != "loose":
            raise ValueError("liveness needs the loose crop")
        return self


Record = TypeVar("Record", bound=ForeignRecord)


def read_foreign(path: Path, kind: type[Record]) -> tuple[Record, bytes]:
    """A record, and the bytes of the network that it names: what was checked is what the runtime then opens.

    Raises:
        WeightsError: a file is missing or too large, the record is none or of another task, or the network has
            another hash than it says.

    """
    try:
        record = kind.model_validate_json(_read(path, LARGEST_RECORD))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "record"
        raise WeightsError(
            f"{path} is no record of a network for {get_args(kind.model_fields['task'].annotation)[0]} ({where}: "
            f"{first['msg']}); docs/models.md shows how one is written."
        ) from None
    network = path.parent / record.file
    content = _read(network)
    found = hashlib.sha256(content).hexdigest()
    if found != record.sha256:
        raise WeightsError(
            f"{network} has the SHA-256 {found[:12]}..., and {path.name} was written for {record.sha256[:12]}...: "
            "fetch that file again, or write a record for this one."
        )
    return record, content


def _read(path: Path, most: int = 2**31) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(most + 1)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}); check the path.") from None
    if len(content) > most:
        raise WeightsError(f"{path} is larger than {most} bytes; name the record, not the network.")
    return content
