"""The gate's question whether a face is alive: :class:`ostiary.liveness.Liveness` with thresholds of a record.

The threshold comes from the site's calibration, or else from the record in the weights. Where neither has one the
face is measured all the same, since a calibration needs that, and nothing is accepted.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from threading import Lock
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError
from ostiary.faces.detector import Face, FaceDetector
from ostiary.gate.calibration import Calibration, model_hashes
from ostiary.gate.outcomes import compared
from ostiary.liveness import Liveness

_CLOSED = 1.0
"""The threshold of a ``Liveness`` whose own verdict nobody asks for."""


class Measured(NamedTuple):
    """The liveness of one face and the threshold that it must reach; None where there is none."""

    value: float | None
    threshold: float | None


class JudgesLiveness(Protocol):
    """What the gate asks for a liveness."""

    @property
    def configuration(self) -> str:
        """The word that judges."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Sentences on what keeps every face from being accepted."""

    def measure(self, pixels: NDArray[np.uint8], faces: Sequence[Face]) -> list[Measured]:
        """Measure faces of an RGB picture (H, W, 3), in their order."""


class LivenessStage:
    """Measures the liveness of faces that were found already. Safe to share between threads.

    Args:
        weights: a weights file, the name of a packaged one, or None for the default.
        configuration: a word; None for the weights' default.
        budget_ms: instead of a word: the milliseconds that a face may take.
        cascade: instead of both: a cheap word, and a better one where that leaves a doubt.
        calibration: thresholds of this site; None for those in the weights.
        threads: CPU threads of the network.

    Raises:
        ConfigurationError: as :class:`ostiary.liveness.Liveness`; or the calibration is of another model, or has
            thresholds, and none for a configuration that may judge.
        WeightsError: the weights cannot be used.

    """

    def __init__(
        self,
        weights: Path | str | None = None,
        *,
        configuration: str | None = None,
        budget_ms: float | None = None,
        cascade: bool = False,
        calibration: Calibration | None = None,
        threads: int = 1,
    ) -> None:
        self._liveness = Liveness(
            weights,
            configuration=configuration,
            budget_ms=budget_ms,
            cascade=cascade,
            threshold=None if cascade else _CLOSED,
            threads=threads,
            smallest_face=0,
            quality=None,
        )
        model = self._liveness.model
        if configuration is not None and configuration not in model.words:
            known = ", ".join(model.words)
            raise ConfigurationError(
                f"there is no configuration {configuration!r} in {model.path.name}; it has: {known}."
            )
        self._cascade = cascade
        words = list(model.words) if budget_ms is not None else [self.configuration]
        self._calibrated = _calibrated(calibration, self._liveness, words)
        lacking = [] if cascade else [word for word in words if compared(1, self._threshold(word)) == "missing"]
        self.problems: tuple[str, ...] = (
            (
                f"{model.path.name} records no liveness threshold for {_listed(lacking)}, and no calibration "
                "gives one: every face will be refused; run `ostiary calibrate`.",
            )
            if lacking
            else ()
        )
        # A governor keeps count of what it sees, and is not made for several threads.
        self._turn: AbstractContextManager[object] = nullcontext() if budget_ms is None else Lock()

    def __repr__(self) -> str:
        return f"LivenessStage({self._liveness.model!r}, {self.configuration})"

    @property
    def configuration(self) -> str:
        """The word in use; with a budget, what the governor holds right now; with a cascade, ``LLL>HHH``."""
        return self._liveness.configuration

    def measure(self, pixels: NDArray[np.uint8], faces: Sequence[Face]) -> list[Measured]:
        """Measure faces.

        Args:
            pixels: RGB (H, W, 3), the whole frame: its surroundings tell as well.
            faces: of this picture.

        Raises:
            InputError: a box is none.

        """
        given = copy.copy(self._liveness)
        given.detector = _Found(faces)
        with self._turn:
            check = given.check(pixels)
        word = check.configuration
        if self._cascade and not self._calibrated:
            return [Measured(face.liveness, face.threshold) for face in check.faces]
        return [Measured(face.liveness, self._threshold(word)) for face in check.faces]

    def _threshold(self, word: str) -> float | None:
        if self._calibrated:
            return self._calibrated[word]
        stored = self._liveness.model.metadata.configurations[word].threshold
        return None if stored is None else stored.value


def _calibrated(calibration: Calibration | None, liveness: Liveness, words: Sequence[str]) -> dict[str, float]:
    """Thresholds by word, empty where there is no calibration of liveness."""
    if calibration is None or not calibration.liveness:
        return {}
    model = liveness.model
    fitting = calibration.for_models(liveness=model_hashes(model.path, model.metadata.preprocess))
    lacking = [word for word in words if word not in fitting.liveness]
    if lacking:
        raise ConfigurationError(
            f"The calibration has liveness thresholds for {_listed(fitting.liveness)}, and none for "
            f"{_listed(lacking)}, which may judge here: choose another configuration, or run "
            "`ostiary calibrate` for it."
        )
    return {word: operating.value for word, operating in fitting.liveness.items()}


def _listed(words: Iterable[str]) -> str:
    """Words for a message; the one configuration of a network that has no other may be called by no letter."""
    return ", ".join(words) or "its one configuration"


class _Found(FaceDetector):
    """A detector that finds what it was given."""

    def __init__(self, faces: Sequence[Face]) -> None:
        self._faces = list(faces)

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """The faces that are known."""
        return self._faces
