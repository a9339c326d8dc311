"""The record of a face embedding: its network and cost, and from which similarity on two pictures match."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ostiary.faces.preprocess import Preprocess
from ostiary.runtime.container import WeightsRecord


class MatchThreshold(BaseModel):
    """A decision threshold with all that is needed to judge it: two pictures match if ``similarity >= value``.

    ``target`` names the error rate (ISO/IEC 19795-1; ``fmr``, the false match rate) that was held at ``rate``
    on the development data called ``data``, with ``n_mated`` comparisons of one person and ``n_non_mated`` of
    two; ``upper_limit`` is its upper confidence limit. ``flip`` says whether the embeddings were means with the
    mirrored crop's: the threshold holds for such embeddings alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float = Field(ge=0, allow_inf_nan=False)
    target: str = "fmr"
    rate: float
    n_mated: int
    n_non_mated: int
    data: str
    flip: bool = False
    upper_limit: float | None = None
    warning: str | None = None


class EmbeddingMetadata(WeightsRecord):
    """The record inside a weights file for face embeddings.

    ``network`` is the name of the registry, ``dimension`` the numbers of an embedding, ``macs`` the
    multiply-adds of convolutions and linear layers for one crop. Without a ``threshold`` the file tells how
    similar two pictures are, and nothing decides.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Literal["embedding"] = "embedding"
    network: str
    dimension: int = Field(ge=1)
    parameters: int
    macs: int
    threshold: MatchThreshold | None = None

    @field_validator("preprocess")
    @classmethod
    def _is_aligned(cls, preprocess: Preprocess) -> Preprocess:
        if preprocess.crop != "aligned":
            raise ValueError("an embedding needs the aligned crop")
        return preprocess
