"""Two configurations in a row: a cheap one for every face, a better one for those that it leaves in doubt.

The second word goes on from the trunk's activations that the first one computed, so that it costs only the
layers behind. Which answers are in doubt is a band around the first word's threshold, chosen on development
data (metrics/cascade.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError
from ostiary.runtime.liveness import BONA_FIDE, LivenessModel, softmax
from ostiary.runtime.liveness_record import Band


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of one crop: the liveness in [0, 1] that counts, the word that gave it, and its threshold."""

    liveness: float
    threshold: float
    word: str

    @property
    def accepted(self) -> bool:
        """True only if liveness is a number and reaches the threshold."""
        return math.isfinite(self.liveness) and self.liveness >= self.threshold


class Cascade:
    """Judges crops by one word, and those in its band by another.

    Safe to use from several threads at once, as the model is.

    Args:
        model: a model whose file gives the trunk's activations.
        band: the two words and the limits; ``None`` for the band stored in the weights. Made by hand:
            ``Band(first="LLL", second="BBB", low=0.3, high=0.8)``.
        switched: use the one session that serves every word instead of two that are made for these.

    Raises:
        ConfigurationError: the file has no trunk of its own, no band, no such word or no threshold for it, or
            the first word's threshold is outside the band.

    """

    def __init__(self, model: LivenessModel, band: Band | None = None, *, switched: bool = False) -> None:
        model.trunk  # noqa: B018  a file without one is refused now, not at the first face
        name = model.path.name
        band = band or model.metadata.cascade
        if band is None:
            raise ConfigurationError(f"{name} records no band for a cascade: choose one on development data.")
        self.model = model
        self.band = band
        self.thresholds = {word: model.threshold(word).value for word in (band.first, band.second)}
        if not band.low <= self.thresholds[band.first] <= band.high:
            raise ConfigurationError(
                f"the band from {band.low:g} to {band.high:g} does not hold the threshold of {band.first} in "
                f"{name}, {self.thresholds[band.first]:g}: choose a band around it."
            )
        self._switched = switched

    def judge(self, crops: NDArray[np.uint8]) -> list[Judgement]:
        """One judgement a crop, in order; only the doubtful crops of a batch go on.

        Args:
            crops: uint8 (N, size, size, 3), cut as the file's preprocess record says; N may be 0.

        Raises:
            InputError: the crops have another type or shape.

        """
        band = self.band
        logits, activations = self.model.start(crops, band.first, switched=self._switched)
        judgements = self._judgements(logits, band.first)
        # Written so that an answer that is no number goes on; if it stays none, it is not accepted.
        on = [i for i, one in enumerate(judgements) if not (one.liveness < band.low or one.liveness >= band.high)]
        logits = self.model.resume(activations[on], band.second, switched=self._switched)
        for place, judgement in zip(on, self._judgements(logits, band.second), strict=True):
            judgements[place] = judgement
        return judgements

    def _judgements(self, logits: NDArray[np.float32], word: str) -> list[Judgement]:
        threshold = self.thresholds[word]
        return [Judgement(float(liveness), threshold, word) for liveness in softmax(logits)[:, BONA_FIDE]]
