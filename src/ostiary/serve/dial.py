"""The dial: one liveness stage of several words, of which a request may choose another than the door's own.

A request is judged in one thread, so that the choice is a context variable: the gate, its lock-out and its gallery
stay one and the same for all words. A word brings its own threshold; one that has none refuses every face.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError
from ostiary.faces.crops import loose_crop
from ostiary.faces.detector import Face
from ostiary.gate.calibration import Calibration
from ostiary.gate.liveness_stage import JudgesLiveness, LivenessStage, Measured
from ostiary.gate.self_test import EXPECTED_BOX, drawn_face
from ostiary.runtime.foreign import open_liveness
from ostiary.runtime.timing import interleave

_KEPT = 2
"""Stages of chosen words that stay in memory beside the door's own."""

_turned: ContextVar[JudgesLiveness | None] = ContextVar("turned", default=None)


@dataclass(frozen=True, slots=True)
class Notch:
    """What a word costs, and how often it erred on development data; None where nobody has measured it."""

    word: str
    macs: int
    parameters: int
    development_error: float | None


class Dial:
    """Measures liveness by the door's own stage, or by the one that the present request has turned to.

    Safe to share between threads.

    Args:
        stage: the door's own.
        notches: the words that can be chosen.
        make: a stage of one of them.
        time_all: milliseconds of each word for one face.

    """

    def __init__(
        self,
        stage: JudgesLiveness,
        notches: Sequence[Notch],
        make: Callable[[str], JudgesLiveness],
        time_all: Callable[[], dict[str, float]],
    ) -> None:
        self._own, self.notches, self._make, self._time_all = stage, tuple(notches), make, time_all
        self._kept: OrderedDict[str, JudgesLiveness] = OrderedDict()
        self._times: dict[str, float] | None = None
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"Dial({self._own!r}, {len(self.notches)} words)"

    @classmethod
    def of(
        cls, stage: LivenessStage, weights: Path | str | None = None, calibration: Calibration | None = None
    ) -> Dial:
        """The dial of a liveness model. Arguments as of the stage that it was made with."""
        model = open_liveness(weights)
        known = model.metadata.configurations.items()
        notches = [Notch(word, one.macs, one.parameters, one.development_error) for word, one in known]

        def time_all() -> dict[str, float]:
            crop = loose_crop(drawn_face(), EXPECTED_BOX, model.metadata.preprocess)[None]

            def call(word: str) -> Callable[[], object]:
                return lambda: model.liveness(crop, word, switched=len(model.words) > 1)

            timed = interleave({word: call(word) for word in model.words}, rounds=5, warmup=1)
            return {word: samples.median for word, samples in timed.items()}

        return cls(
            stage,
            notches,
            lambda word: LivenessStage(weights, configuration=word, calibration=calibration),
            time_all,
        )

    @property
    def own_configuration(self) -> str:
        """The word of the door, whatever a request has chosen."""
        return self._own.configuration

    @property
    def configuration(self) -> str:
        """The word that judges now, in this thread."""
        return self._stage.configuration

    @property
    def problems(self) -> tuple[str, ...]:
        """Sentences on what keeps every face from being accepted."""
        return self._own.problems

    def measure(self, pixels: NDArray[np.uint8], faces: Sequence[Face]) -> list[Measured]:
        """Measure faces of an RGB picture (H, W, 3), in their order."""
        return self._stage.measure(pixels, faces)

    @contextmanager
    def turned_to(self, word: str | None) -> Iterator[None]:
        """Judge by this word within the block, in this thread; None for the door's own.

        Raises:
            ConfigurationError: there is no such word, or the site has no threshold for it.

        """
        token = _turned.set(None if word is None else self._stage_of(word))
        try:
            yield
        finally:
            _turned.reset(token)

    def milliseconds(self) -> dict[str, float]:
        """How long each word takes for one face on this machine; measured once, which takes some seconds."""
        with self._lock:
            if self._times is None:
                self._times = self._time_all()
            return self._times

    @property
    def _stage(self) -> JudgesLiveness:
        return _turned.get() or self._own

    def _stage_of(self, word: str) -> JudgesLiveness:
        known = [notch.word for notch in self.notches]
        if word not in known:
            raise ConfigurationError(f"There is no configuration {word[:40]!r}: choose one of {', '.join(known)}.")
        with self._lock:
            stage = self._kept.pop(word, None) or self._make(word)
            self._kept[word] = stage
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return stage
