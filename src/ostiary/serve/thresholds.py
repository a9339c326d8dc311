"""The thresholds that a door decides by, each with the error rate that it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ostiary.errors import ConfigurationError
from ostiary.gate.calibration import Calibration, Operating, stored_operating
from ostiary.runtime.embedding_record import MatchThreshold
from ostiary.runtime.foreign import open_embedding, open_liveness
from ostiary.runtime.generator import Generator
from ostiary.runtime.liveness_record import Threshold

Origin = Literal["calibration", "weights", "none"]
"""Where a threshold comes from: the site's calibration, or the record in the weights."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What is known of liveness, by configuration word, and of matching; None where nothing is."""

    liveness: Mapping[str, Operating] = field(default_factory=dict)
    liveness_origin: Origin = "none"
    matching: Operating | None = None
    matching_origin: Origin = "none"

    @classmethod
    def load(
        cls,
        calibration: Calibration | None,
        *,
        weights: str | None = None,
        personal: bool = False,
        liveness_weights: str | None = None,
    ) -> Thresholds:
        """Those in use. Arguments as of :meth:`ostiary.gate.setup.Stages.load`.

        Raises:
            WeightsError: weights cannot be used.

        """
        stored: dict[str, Operating] = {}
        if calibration is None or not calibration.liveness:
            words = open_liveness(liveness_weights).metadata.configurations.items()
            found = ((word, _stored(record.threshold)) for word, record in words)
            stored = {word: one for word, one in found if one is not None}
        own = None
        if calibration is None or calibration.matching is None:
            matching = Generator().metadata if personal else open_embedding(weights).metadata
            own = _stored(matching.threshold)
        of_site = calibration or Calibration()
        return cls(
            of_site.liveness or stored,
            _origin(bool(of_site.liveness), bool(stored)),
            of_site.matching or own,
            _origin(of_site.matching is not None, own is not None),
        )


def calibration_of(path: Path | None) -> Calibration | None:
    """The site's calibration, None where there is no file of one."""
    return None if path is None else Calibration.load(path)


def _stored(threshold: Threshold | MatchThreshold | None) -> Operating | None:
    if threshold is None:
        return None
    try:
        return stored_operating(threshold)
    except ConfigurationError:  # it would accept everything, and the gate takes it for none
        return None


def _origin(of_site: bool, stored: bool) -> Origin:
    if of_site:
        return "calibration"
    return "weights" if stored else "none"
