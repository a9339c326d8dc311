"""The gate's question who a face is: by embeddings and their similarity, or by whatever answers as they do.

A matcher makes *probes* and templates of faces, and compares a probe with people. It never sees the vault; the
gate hands it templates that its own model made, and no others. One person has one similarity, however many
templates there are, because a threshold was measured for one comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ostiary.embedder import Embedder
from ostiary.errors import VaultError
from ostiary.faces.crops import aligned_crop
from ostiary.faces.detector import Face
from ostiary.gate.calibration import Calibration, model_hashes
from ostiary.gate.enrolments import TemplateKind
from ostiary.gate.outcomes import Outcome, compared
from ostiary.runtime.embedding import check_unit


class Shot(NamedTuple):
    """A face of an RGB picture (H, W, 3)."""

    pixels: NDArray[np.uint8]
    face: Face


class Likenesses(NamedTuple):
    """How much a probe is each of N people, float64 (N,), and from when on it is that person.

    NaN where a similarity was not measured, or where there is no threshold.
    """

    similarities: NDArray[np.float64]
    thresholds: NDArray[np.float64]


class Found(NamedTuple):
    """The person who is most alike, by index; None where nobody could be compared."""

    person: int | None
    similarity: float | None
    outcome: Outcome


class People(Protocol):
    """Templates of some people, ready to be compared."""

    def compare(self, probe: NDArray[np.generic]) -> Likenesses:
        """How much a probe is each of them, in the order in which they were given."""


class Matcher(Protocol):
    """What the gate asks for a person."""

    @property
    def kind(self) -> TemplateKind:
        """Of the templates that it makes and compares."""

    @property
    def model(self) -> str:
        """SHA-256 of the weights file."""

    @property
    def preprocess_hash(self) -> str:
        """SHA-256 of its preprocess record."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Sentences on what keeps everybody from being recognised."""

    @property
    def false_match_rate(self) -> float | None:
        """What the threshold in use was chosen for, or measured at; None where this is not known."""

    def probe(self, shot: Shot) -> NDArray[np.generic]:
        """What is compared of a face."""

    def template(self, shots: Sequence[Shot]) -> bytes:
        """One template of a person's shots, of which there is at least one."""

    def people(self, templates: Sequence[Sequence[bytes]]) -> People:
        """Make the templates of each person ready to be compared.

        Raises:
            OstiaryError: a template is none of this model.

        """


def most_alike(found: Likenesses) -> Found:
    """Who it is: of those who could be compared, the one furthest above the threshold, or least below it."""
    similarities, thresholds = found
    decides = (thresholds > 0) & (thresholds < np.inf)  # false for NaN, as below
    comparable = decides & (similarities >= 0) & (similarities <= 1)
    if not comparable.any():
        return Found(None, None, "not_measured" if decides.any() else "missing")
    best = int(np.argmax(np.where(comparable, similarities - thresholds, -np.inf)))
    alike = float(similarities[best])
    return Found(best, alike, compared(alike, float(thresholds[best])))


class EmbeddingMatcher:
    """Compares directions of faces. Safe to share between threads.

    Args:
        weights: a weights file, the name of a packaged one, or None for the default.
        calibration: the threshold of this site; None, or without one of matching, for that in the weights.
        threads: CPU threads of the network.

    Raises:
        ConfigurationError: the calibration is of another model.
        WeightsError: the weights cannot be used.

    """

    kind: TemplateKind = "embedding"

    def __init__(
        self,
        weights: Path | str | None = None,
        *,
        calibration: Calibration | None = None,
        threads: int = 1,
    ) -> None:
        matching = calibration.matching if calibration else None
        # The mirrored face is looked at if, and only if, it was when the threshold was measured.
        flip = calibration.matching_flip if calibration and matching else None
        embedder = Embedder(weights, threads=threads, flip=flip, quality=None)
        self._network, self._flip, self._dimension = (
            embedder.model,
            embedder.flip,
            embedder.model.metadata.dimension,
        )
        hashes = model_hashes(self._network.path, self._network.preprocess)
        self.model, self.preprocess_hash = hashes.model, hashes.preprocess
        if calibration and matching:
            calibration.for_models(matching=hashes, flip=self._flip)
        self._threshold = matching.value if matching else embedder.threshold
        recorded = self._network.metadata.threshold
        self.false_match_rate = (
            matching.false_match_rate if matching is not None else None if recorded is None else recorded.rate
        )
        self.problems: tuple[str, ...] = (
            (
                f"{self._network.path.name} records no threshold for matching, and no calibration gives one: "
                "nobody will be recognised; run `ostiary calibrate`.",
            )
            if compared(1, self._threshold) == "missing"
            else ()
        )

    def __repr__(self) -> str:
        return f"EmbeddingMatcher({self._network!r})"

    def probe(self, shot: Shot) -> NDArray[np.float32]:
        """The embedding, float32 (D,), of unit length.

        Raises:
            InputError: the face has no landmarks that could be aligned.
            WeightsError: the network gives no direction.

        """
        crop = aligned_crop(shot.pixels, shot.face.landmarks, self._network.preprocess)
        embedding: NDArray[np.float32] = self._network.embed(crop[None], flip=self._flip)[0]
        return embedding

    def template(self, shots: Sequence[Shot]) -> bytes:
        """The mean of the shots' embeddings, of unit length again, as little-endian float32."""
        return _mean([self.probe(shot) for shot in shots]).astype("<f4").tobytes()

    def people(self, templates: Sequence[Sequence[bytes]]) -> EmbeddedPeople:
        """The mean of each person's templates.

        Raises:
            VaultError: a template is no embedding of this model.

        """
        rows = [_mean([self._embedding(template) for template in own]) for own in templates]
        matrix = np.stack(rows) if rows else np.zeros((0, self._dimension))
        return EmbeddedPeople(matrix, np.nan if self._threshold is None else self._threshold)

    def _embedding(self, template: bytes) -> NDArray[np.float64]:
        numbers = np.frombuffer(template, "<f4") if len(template) == 4 * self._dimension else np.zeros(1)
        if not abs(np.linalg.norm(numbers) - 1) < _ROUNDING:  # nor is it where there is a NaN
            raise VaultError(
                f"An enrolled template is no embedding of {self._dimension} numbers and unit length: enrol this "
                "person again."
            )
        return numbers.astype(np.float64)


class EmbeddedPeople:
    """Embeddings of people, one a person.

    Args:
        matrix: (N, D), each row of unit length; kept as float32, exact to seven digits (docs/identify.md).
        threshold: the person from that similarity on; NaN where nothing decides.

    Raises:
        InputError: a row is not of unit length.

    """

    def __init__(self, matrix: NDArray[np.floating], threshold: float) -> None:
        check_unit(matrix)  # once, and not with each probe
        self._matrix, self._threshold = matrix.astype(np.float32), threshold

    def __repr__(self) -> str:
        return f"EmbeddedPeople({len(self._matrix)})"

    def compare(self, probe: NDArray[np.generic]) -> Likenesses:
        """Similarities of an embedding (D,)."""
        check_unit(probe)
        cosines = (self._matrix @ probe.astype(np.float32)).astype(np.float64)
        return Likenesses(np.clip((1 + cosines) / 2, 0, 1), np.full(len(cosines), self._threshold))


_ROUNDING = 1e-3


def _mean(embeddings: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
    """The direction between several. Those of one person are never opposites, whose mean has none."""
    total = np.sum(np.asarray(embeddings, np.float64), axis=0)
    length = np.linalg.norm(total)
    if not length > _ROUNDING:
        raise VaultError("The embeddings of one person point in opposite directions: enrol this person again.")
    mean: NDArray[np.float64] = total / length
    return mean
