"""The record of a liveness model: its configuration words, each with its cost and threshold, and its cascade."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ostiary.runtime.container import WeightsRecord


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


class Metadata(WeightsRecord):
    """The record inside a liveness weights file.

    ``trunk`` is missing in files that cannot go on from given activations, ``cascade`` where no band was chosen.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Literal["liveness"] = "liveness"
    configurations: dict[str, ConfigurationRecord] = Field(min_length=1)
    default_configuration: str
    statistics: Literal["shared", "per_configuration"] = "shared"
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
