"""The face embedding: a picture in, the direction of its largest face out; two pictures in, one person or not.

detect -> quality -> aligned crop -> network -> similarity -> threshold stored with the weights. Whatever could
not be measured is never the same person; a face that is too bad to be compared gets a reason of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError
from ostiary.faces.crops import aligned_crop
from ostiary.faces.detector import Face, FaceDetector
from ostiary.faces.quality import CAUSES, Cause, Quality, QualityLimits, causes, measure, picture_causes
from ostiary.images import read_image
from ostiary.runtime.embedding import similarity
from ostiary.runtime.embedding_record import MatchThreshold
from ostiary.runtime.foreign import open_embedding

Picture = Path | str | bytes | NDArray[np.uint8]
"""A file, its bytes, or RGB uint8 (H, W, 3)."""

Reason = Literal["same_person", "different_persons", "no_threshold", "no_face"] | Cause

_DEFAULT_LIMITS = QualityLimits()


@dataclass(frozen=True, slots=True, eq=False)
class FaceEmbedding:
    """The largest face of a picture and its embedding, or what kept it from having one.

    ``embedding`` is float32 (D,) of unit length, or None if it was not measured; it is personal data, and no
    ``repr`` shows it. ``causes`` says what was in the way, the most helpful first; ``faces`` counts those that
    were found. ``quality`` is None where there is no face, or no quality was asked for.
    """

    face: Face | None
    embedding: NDArray[np.float32] | None = field(repr=False)
    faces: int
    causes: tuple[Cause, ...] = ()
    quality: Quality | None = None

    @property
    def reason(self) -> Literal["no_face"] | Cause | None:
        """Why there is no embedding; None if there is one."""
        if self.embedding is not None:
            return None
        return self.causes[0] if self.causes else "no_face"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the embedding; box as x, y, width and height in pixels."""
        return {
            "embedded": self.embedding is not None,
            "reason": self.reason,
            "causes": list(self.causes),
            "faces": self.faces,
            "box": None if self.face is None else [round(float(value), 1) for value in self.face.box],
            "quality": None if self.quality is None else self.quality.to_dict(),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two pictures, and whether their largest faces are of one person.

    ``similarity`` is in [0, 1], higher is more the same person, or None if it was not measured. ``same`` is true
    only if it was measured and reached ``threshold``, false if it was measured and did not, and None where
    nothing was decided: a face is missing or too bad, or there is no threshold. ``calibration`` is the record
    that the threshold comes from, None if the caller chose it.
    """

    similarity: float | None
    threshold: float | None
    same: bool | None
    reason: Reason
    first: FaceEmbedding
    second: FaceEmbedding
    calibration: MatchThreshold | None = None

    @property
    def causes(self) -> tuple[Cause, ...]:
        """What kept either face from being compared, each once, the most helpful first."""
        found = {*self.first.causes, *self.second.causes}
        return tuple(cause for cause in CAUSES if cause in found)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the embeddings."""
        return {
            "same": self.same,
            "reason": self.reason,
            "similarity": None if self.similarity is None else round(self.similarity, 6),
            "threshold": None if self.threshold is None else round(self.threshold, 6),
            "calibration": self.calibration and self.calibration.model_dump(exclude={"value"}),
            "causes": list(self.causes),
            "faces": [self.first.to_dict(), self.second.to_dict()],
        }


class Embedder:
    """Who is in this picture, as a direction; and are these two pictures of one person?

    Args:
        weights: a weights file, the name of a packaged one, the record of a network of others
            (docs/models.md), or None for the default.
        threads: CPU threads of the network.
        flip: take the mean with the mirrored face, at twice the cost; None for what the stored threshold was
            chosen with. Another choice than that leaves the stored threshold out: it holds for its like only.
        threshold: the same person from this similarity on; None for the threshold stored with the weights.
        quality: what a face must have to be embedded; None embeds every face.

    Raises:
        ConfigurationError: an impossible threshold.
        WeightsError: the weights cannot be used.

    """

    def __init__(
        self,
        weights: Path | str | None = None,
        *,
        threads: int = 1,
        flip: bool | None = None,
        threshold: float | None = None,
        quality: QualityLimits | None = _DEFAULT_LIMITS,
    ) -> None:
        if threshold is not None and not 0 <= threshold <= 1:
            raise ConfigurationError(f"The threshold {threshold} is not between 0 and 1.")
        self.model = open_embedding(weights, threads=threads)
        self.detector = FaceDetector()
        stored = self.model.metadata.threshold
        self.flip = flip if flip is not None else stored is not None and stored.flip
        self.calibration = stored if stored and threshold is None and stored.flip == self.flip else None
        self.threshold = self.calibration.value if self.calibration else threshold
        self._limits = quality

    def embed(self, image: Picture) -> FaceEmbedding:
        """Embed the largest face.

        Args:
            image: a file, its bytes, or RGB uint8 (H, W, 3). OpenCV users: convert from BGR first.

        Raises:
            ImageError: the picture cannot be read.

        """
        pixels = image if isinstance(image, np.ndarray) else read_image(image)
        faces = self.detector.detect(pixels)
        if not faces:
            of_picture = picture_causes(pixels, self._limits) if self._limits else ()
            return FaceEmbedding(None, None, 0, of_picture)
        face = faces[0]
        quality = measure(pixels, face.box, face.landmarks) if self._limits else None
        found = causes(quality, self._limits) if self._limits and quality else ()
        if found:
            return FaceEmbedding(face, None, len(faces), found, quality)
        crop = aligned_crop(pixels, face.landmarks, self.model.preprocess)
        embedding = self.model.embed(crop[None], flip=self.flip)[0]
        return FaceEmbedding(face, embedding, len(faces), quality=quality)

    def compare(self, first: Picture, second: Picture) -> Comparison:
        """Say whether the largest faces of two pictures are of one person. Arguments as :meth:`embed`.

        Raises:
            ImageError: a picture cannot be read.

        """
        one, other = self.embed(first), self.embed(second)
        alike, same, reason = self._judged(one, other)
        return Comparison(alike, self.threshold, same, reason, one, other, self.calibration)

    def _judged(self, one: FaceEmbedding, other: FaceEmbedding) -> tuple[float | None, bool | None, Reason]:
        if one.embedding is None or other.embedding is None:
            return None, None, one.reason or other.reason or "no_face"
        alike = float(similarity(one.embedding, other.embedding))
        if self.threshold is None:
            return alike, None, "no_threshold"
        same = alike >= self.threshold
        return alike, same, "same_person" if same else "different_persons"
