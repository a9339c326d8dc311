"""The thresholds that a door decides by, each with what was measured to choose it, and the models they hold for.

A threshold belongs to one network and one way of cutting a face: with other weights, or another crop, the same
number means another error rate. A calibration therefore names the SHA-256 of both, and is refused elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ostiary.errors import ConfigurationError
from ostiary.faces.preprocess import Preprocess
from ostiary.runtime.embedding_record import MatchThreshold
from ostiary.runtime.liveness_record import Threshold

FORMAT: Literal["1"] = "1"
LARGEST_FILE = 2**20

Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Limit = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ModelHashes(NamedTuple):
    """What a threshold is bound to: SHA-256 of the weights file and of its preprocess record, in hex."""

    model: str
    preprocess: str


class Companion(BaseModel):
    """The error on the other side of a threshold, such as the BPCER that an APCER costs.

    ``errors`` of ``trials`` were counted; ``low`` and ``high`` are the limits of the interval.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["apcer", "bpcer", "fmr", "fnmr"]
    rate: Share
    low: Share
    high: Share
    errors: Count
    trials: Count
    people: Count | None = None


class Operating(BaseModel):
    """A threshold with all that is needed to judge it: accepted if the measured value is >= ``value``.

    A threshold of 0 would accept everything and is no operating point.

    Attributes:
        value: the threshold, above 0.
        target: what was asked for, such as ``"fmr=0.001"`` or ``"apcer=0.05"``.
        rate: that error as it was measured at ``value`` on ``data``; ``low`` and ``high`` are the limits of its
            two-sided interval. None where only the target is known, as for older weights.
        trials: what ``rate`` was counted over: attacks of the worst species for an APCER, else all of the class.
        people: people behind them, or None if unknown. Frames of one person are no independent trials.
        data: name of the data.
        made: when it was chosen, or None for a threshold that came with the weights.
        value_low: with ``value_high``, where the same rule would have put the threshold on other people.
        upper_limit: one-sided upper 95 % limit of ``rate``, the trials taken as independent.
        other: the error that the threshold costs.
        warning: what the trials hardly bear.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: Limit
    target: str
    rate: Share | None
    low: Share | None
    high: Share | None
    trials: Count
    people: Count | None
    data: str
    made: datetime | None
    value_low: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    value_high: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    upper_limit: Share | None = None
    other: Companion | None = None
    warning: str | None = None

    @property
    def false_match_rate(self) -> float | None:
        """What is known of it, with caution: the upper limit, since no error among few trials is no rate of 0."""
        if self.target.startswith(("fmr=", "fpir=")):
            return self.rate if self.upper_limit is None else self.upper_limit
        return self.other.high if self.other is not None and self.other.name == "fmr" else None


class Calibration(BaseModel):
    """The thresholds of a site, as a JSON file.

    ``liveness`` has one for each configuration word (or ``FIRST>SECOND`` of a cascade), since configurations
    shift the answers differently. ``matching`` holds for embeddings made with the mirrored crop, or without, as
    ``matching_flip`` says. Either part may be missing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["1"] = FORMAT
    liveness: dict[str, Operating] = Field(default_factory=dict)
    liveness_model: Hash | None = None
    liveness_preprocess: Hash | None = None
    matching: Operating | None = None
    matching_model: Hash | None = None
    matching_preprocess: Hash | None = None
    matching_flip: bool = False

    @model_validator(mode="after")
    def _is_bound(self) -> Calibration:
        for part, there in (("liveness", bool(self.liveness)), ("matching", self.matching is not None)):
            if there != (self._bound(part) is not None):
                raise ValueError(f"{part} needs its thresholds, the hash of its model and that of its preprocess")
        return self

    @classmethod
    def of_liveness(cls, thresholds: Mapping[str, Operating], model: ModelHashes) -> Calibration:
        """Thresholds by configuration word, for one liveness model."""
        return cls(liveness=dict(thresholds), liveness_model=model.model, liveness_preprocess=model.preprocess)

    @classmethod
    def of_matching(cls, threshold: Operating, model: ModelHashes, *, flip: bool = False) -> Calibration:
        """The threshold of one embedding model."""
        return cls(
            matching=threshold,
            matching_model=model.model,
            matching_preprocess=model.preprocess,
            matching_flip=flip,
        )

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Read a calibration file.

        Raises:
            ConfigurationError: the file is missing, no calibration, or of another format.

        """
        try:
            with path.open("rb") as stream:
                content = stream.read(LARGEST_FILE + 1)
        except OSError as error:
            raise ConfigurationError(
                f"{path} cannot be read ({error.strerror}); name a file that `ostiary calibrate` wrote."
            ) from None
        if len(content) > LARGEST_FILE:
            raise ConfigurationError(f"{path} is too large for a calibration; name a file of `ostiary calibrate`.")
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "file"
            raise ConfigurationError(
                f"{path} is no calibration of this ostiary ({where}: {first['msg']}); make it anew with "
                "`ostiary calibrate`."
            ) from None

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            ConfigurationError: it cannot be written there.

        """
        partial = path.with_name(f"{path.name}.partial")
        try:
            partial.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            raise ConfigurationError(
                f"{path}: the calibration cannot be written ({error.strerror}); name another file."
            ) from None

    def for_models(
        self,
        *,
        liveness: ModelHashes | None = None,
        matching: ModelHashes | None = None,
        flip: bool | None = None,
    ) -> Calibration:
        """Itself, if it was made for these models; a part whose model is not given is not looked at.

        Args:
            liveness: the liveness model in use.
            matching: the embedding model in use.
            flip: whether its embeddings are means with the mirrored crop's; None not to look at it.

        Raises:
            ConfigurationError: a threshold was chosen for other weights, another crop or other embeddings.

        """
        for part, given in (("liveness", liveness), ("matching", matching)):
            bound = self._bound(part)
            if given is None or bound is None:
                continue
            for what, ours, theirs in zip(("weights", "preprocess record"), bound, given, strict=True):
                if ours != theirs:
                    raise ConfigurationError(
                        f"The calibration's {part} threshold was chosen for another {part} model: its {what} "
                        f"begin with {ours[:12]}, those in use with {theirs[:12]}; run `ostiary calibrate` for "
                        "the model in use."
                    )
        if self.matching is not None and flip is not None and flip != self.matching_flip:
            chosen, used = ("with", "without") if self.matching_flip else ("without", "with")
            raise ConfigurationError(
                f"The calibration's matching threshold was chosen {chosen} the mirrored face, and embeddings are "
                f"made {used} it; use the same for both."
            )
        return self

    def merged(self, newer: Calibration) -> Calibration:
        """Both together; where both have a threshold for the same thing, the newer one.

        Raises:
            ConfigurationError: they were made for different models.

        """
        self.for_models(
            liveness=newer._bound("liveness"),
            matching=newer._bound("matching"),
            flip=newer.matching_flip if newer.matching else None,
        )
        given = {name: getattr(newer, name) for name in type(self).model_fields if getattr(newer, name)}
        return type(self)(**{**dict(self), **given, "liveness": {**self.liveness, **newer.liveness}})

    def _bound(self, part: str) -> ModelHashes | None:
        """The hashes of ``liveness`` or ``matching``; None unless both are there."""
        model, preprocess = getattr(self, f"{part}_model"), getattr(self, f"{part}_preprocess")
        return None if model is None or preprocess is None else ModelHashes(model, preprocess)


def model_hashes(weights: Path, preprocess: Preprocess) -> ModelHashes:
    """The hashes of a weights file and of how crops are made for it.

    Raises:
        ConfigurationError: the file cannot be read.

    """
    try:
        model = hashlib.sha256(weights.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigurationError(f"{weights} cannot be read ({error.strerror}); name a weights file.") from None
    return ModelHashes(model, preprocess_hash(preprocess))


def preprocess_hash(preprocess: Preprocess) -> str:
    """SHA-256 of a preprocess record, in hex; the order of its fields does not matter."""
    said = json.dumps(preprocess.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(said.encode()).hexdigest()


def stored_operating(threshold: Threshold | MatchThreshold) -> Operating:
    """A threshold that came with the weights, in the words of a calibration.

    Raises:
        ConfigurationError: it would accept everything.

    """
    if not 0 < threshold.value < float("inf"):
        raise ConfigurationError(
            f"The weights' threshold of {threshold.value} on {threshold.data} accepts everything, or is no "
            "number; run `ostiary calibrate` for them."
        )
    return Operating(
        value=threshold.value,
        target=threshold.target,
        rate=None,
        low=None,
        high=None,
        trials=threshold.n_attack if isinstance(threshold, Threshold) else threshold.n_non_mated,
        people=None,
        data=threshold.data,
        made=None,
        upper_limit=threshold.upper_limit,
        warning=threshold.warning,
    )
