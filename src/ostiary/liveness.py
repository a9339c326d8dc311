"""The main job: a picture in, each face with its liveness and a decision out.

detect -> quality -> loose crop -> network in the chosen configuration -> threshold stored with the weights.
Whatever could not be measured is not accepted; a face that is too bad to be judged gets a reason of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError
from ostiary.faces.crops import loose_crop
from ostiary.faces.detector import Face, FaceDetector
from ostiary.faces.quality import Cause, Quality, QualityLimits, causes, measure, picture_causes
from ostiary.images import read_image
from ostiary.runtime.cascade import Cascade, Judgement
from ostiary.runtime.foreign import open_liveness
from ostiary.runtime.governor import Governor

Reason = Literal["bona_fide", "presentation_attack"] | Cause

_DEFAULT_LIMITS = QualityLimits()


@dataclass(frozen=True, slots=True)
class CheckedFace:
    """One face and what was decided about it.

    ``liveness`` is in [0, 1], higher is more bona fide, or None if it was not measured; ``accepted`` is
    true only if it was measured and reached ``threshold``. ``causes`` says what kept it from being measured,
    the most helpful first, which is also the ``reason``; ``quality`` is None if no quality was asked for.
    """

    face: Face
    liveness: float | None
    threshold: float
    accepted: bool
    reason: Reason
    causes: tuple[Cause, ...] = ()
    quality: Quality | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; box as x, y, width, height and landmarks as x, y pairs, in pixels."""
        return {
            "box": [round(float(value), 1) for value in self.face.box],
            "landmarks": [[round(float(x), 1), round(float(y), 1)] for x, y in self.face.landmarks],
            "confidence": round(float(self.face.confidence), 4),
            "liveness": None if self.liveness is None else round(self.liveness, 6),
            "threshold": round(self.threshold, 6),
            "accepted": self.accepted,
            "reason": self.reason,
            "causes": list(self.causes),
            "quality": None if self.quality is None else self.quality.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class ImageCheck:
    """All faces of one picture, largest first, and the configuration that judged them.

    ``causes`` says why there may be no face: a picture in the dark shows none.
    """

    faces: tuple[CheckedFace, ...]
    configuration: str
    causes: tuple[Cause, ...] = ()

    @property
    def accepted(self) -> bool:
        """True if there is a face and every face is accepted: no attack hides beside a friend."""
        return bool(self.faces) and all(face.accepted for face in self.faces)

    @property
    def reason(self) -> str:
        """Why the picture as a whole is accepted or not."""
        if not self.faces:
            return self.causes[0] if self.causes else "no_face"
        return next((face.reason for face in self.faces if not face.accepted), "bona_fide")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "accepted": self.accepted,
            "reason": self.reason,
            "configuration": self.configuration,
            "faces": [face.to_dict() for face in self.faces],
        }


class Liveness:
    """Is the face in this picture alive?

    Args:
        weights: a weights file, the name of a packaged one, the record of a network of others
            (docs/models.md), or None for the default.
        configuration: a word such as ``"HLH"``; None for the weights' default.
        budget_ms: instead of a word: the milliseconds that the network may take for a face. This device is
            measured once, and the best configuration that fits is used.
        threshold: accept at or above this liveness; None for the threshold stored with the configuration.
        threads: CPU threads of the network and the detector.
        smallest_face: faces whose box is narrower, in pixels, are not judged and not accepted.
        quality: what else a face must have to be judged; None judges every face that is large enough.
        cascade: a cheap word judges, and where it leaves a doubt a better one, as the weights' record says
            (docs/cascade.md); instead of a configuration, a budget or a threshold.

    Raises:
        ConfigurationError: an unknown word, both a word and a budget, an impossible limit, or a cascade with
            weights that have none.
        WeightsError: the weights cannot be used.

    """

    def __init__(
        self,
        weights: Path | str | None = None,
        *,
        configuration: str | None = None,
        budget_ms: float | None = None,
        threshold: float | None = None,
        threads: int = 1,
        smallest_face: float = 32,
        quality: QualityLimits | None = _DEFAULT_LIMITS,
        cascade: bool = False,
    ) -> None:
        if configuration is not None and budget_ms is not None:
            raise ConfigurationError(
                "Give a configuration or a budget, not both: a budget chooses the configuration."
            )
        if cascade and any(choice is not None for choice in (configuration, budget_ms, threshold)):
            raise ConfigurationError("A cascade has its own words and thresholds: give no other choice beside it.")
        if threshold is not None and not 0 <= threshold <= 1:
            raise ConfigurationError(f"The threshold {threshold} is not between 0 and 1.")
        self.model = open_liveness(weights, threads=threads)
        self.detector = FaceDetector()
        self._smallest_face = smallest_face
        self._limits = quality and replace(quality, face_width=max(quality.face_width, smallest_face))
        self._governor = None if budget_ms is None else Governor(self.model, budget_ms)
        default = self.model.metadata.default_configuration
        self._configuration = default if configuration is None else configuration
        self._cascade = Cascade(self.model) if cascade else None
        self._threshold = threshold
        if threshold is None and self._governor is None:
            self.model.threshold(self._configuration)  # an unknown word is refused now, not at the first face

    @property
    def configuration(self) -> str:
        """The word in use; with a budget, what the governor holds right now; with a cascade, ``LLL>HHH``."""
        if self._cascade is not None:
            return f"{self._cascade.band.first}>{self._cascade.band.second}"
        return self._configuration if self._governor is None else self._governor.word

    def check(self, image: Path | str | bytes | NDArray[np.uint8]) -> ImageCheck:
        """Find and judge every face.

        Args:
            image: a file, its bytes, or RGB uint8 (H, W, 3). OpenCV users: convert from BGR first.

        Raises:
            ImageError: the picture cannot be read.

        """
        pixels = image if isinstance(image, np.ndarray) else read_image(image)
        faces = self.detector.detect(pixels)
        qualities = [self._quality(pixels, face) for face in faces]
        hindered = [self._causes(face, quality) for face, quality in zip(faces, qualities, strict=True)]
        fit = [face for face, found in zip(faces, hindered, strict=True) if not found]
        word = self.configuration  # before the faces are judged: a governor may then change its mind
        judgements = iter(self._judgements(pixels, fit, word))
        checked = tuple(
            _hindered(face, self._threshold_of(word), found, quality)
            if found
            else _judged(face, next(judgements), quality)
            for face, found, quality in zip(faces, hindered, qualities, strict=True)
        )
        of_picture = picture_causes(pixels, self._limits) if self._limits and not faces else ()
        return ImageCheck(checked, word, of_picture)

    def _threshold_of(self, word: str) -> float:
        if self._threshold is not None:
            return self._threshold
        return self.model.threshold(word.split(">")[0]).value

    def _quality(self, pixels: NDArray[np.uint8], face: Face) -> Quality | None:
        return measure(pixels, face.box, face.landmarks) if self._limits else None

    def _causes(self, face: Face, quality: Quality | None) -> tuple[Cause, ...]:
        if self._limits and quality:
            return causes(quality, self._limits)
        return ("too_small",) if face.box.width < self._smallest_face else ()

    def _judgements(self, pixels: NDArray[np.uint8], faces: list[Face], word: str) -> list[Judgement]:
        if not faces:
            return []
        preprocess = self.model.metadata.preprocess
        crops = np.stack([loose_crop(pixels, face.box, preprocess) for face in faces])
        if self._cascade is not None:
            return self._cascade.judge(crops)
        answers = self.model.liveness(crops, word) if self._governor is None else self._governor.liveness(crops)
        return [Judgement(float(score), self._threshold_of(word), word) for score in answers]


def _hindered(face: Face, threshold: float, found: tuple[Cause, ...], quality: Quality | None) -> CheckedFace:
    """A face that is not judged, and why."""
    return CheckedFace(face, None, threshold, False, found[0], found, quality)


def _judged(face: Face, judgement: Judgement, quality: Quality | None) -> CheckedFace:
    reason: Reason = "bona_fide" if judgement.accepted else "presentation_attack"
    return CheckedFace(face, judgement.liveness, judgement.threshold, judgement.accepted, reason, quality=quality)
