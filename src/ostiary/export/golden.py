"""Golden vectors: what this package makes of a few pictures, step by step, for whoever writes the steps anew.

A browser, a phone and a board run the same files, but the code around them (search, crop, quality, decision) is
written once more in another language. These answers find the place where such code goes its own way: each picture
comes as raw pixels, so that no decoder has a say, with boxes, landmarks, crops, liveness under every word,
similarity and the decision; and the rules that decide are written out whole.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ostiary.embedder import Embedder
from ostiary.errors import InputError, MissingExtraError
from ostiary.export.golden_pictures import Case, Picture, bounded, filling, variations
from ostiary.export.golden_rules import TO_LIVE, packed, rules
from ostiary.faces.crops import aligned_crop, loose_crop
from ostiary.faces.detector import Box, Face, FaceDetector
from ostiary.faces.preprocess import Preprocess
from ostiary.faces.quality import QualityLimits, causes, measure, picture_causes
from ostiary.gate.examination import Examiner
from ostiary.gate.journal import Journal
from ostiary.gate.liveness_stage import Measured
from ostiary.gate.outcomes import decide
from ostiary.gate.policy import Policy
from ostiary.images import read_image
from ostiary.reports.folder import replace_file
from ostiary.runtime.embedding import similarity
from ostiary.runtime.liveness import LivenessModel
from ostiary.runtime.packaged import FOLDER

if TYPE_CHECKING:
    from ostiary.gate.gate import Gate
    from ostiary.gate.vault import Vault

FORMAT = "1"
DETECTOR = FOLDER / "face_detection_yunet.onnx"

POLICY = Policy(lockout=None)
"""The default one without a lock-out, which only a vault can keep."""


def golden_vectors(
    pictures: Sequence[Path],
    *,
    weights: Path | str | None = None,
    face_weights: Path | str | None = None,
    words: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Everything that other code must give, as plain values for JSON (docs/browser.md has the fields).

    Args:
        pictures: with a face each, and free to be passed on, since they stand in the file. The first one is
            enrolled, and changed in many ways too (golden_pictures.py).
        weights: for liveness; None for the packaged ones.
        face_weights: for the embedding; without them there are no similarities, and nobody is verified.
        words: configurations; None for all of the file.

    Raises:
        InputError: no picture, one that cannot be read, or a first one without a face that can be enrolled.
        ConfigurationError: the file has no such configuration.
        WeightsError: weights cannot be used.
        MissingExtraError: face weights are given, and the extra ``gate`` is not installed.

    """
    if not pictures:
        raise InputError("Golden vectors are made of pictures: give one or more that may be passed on.")
    model = LivenessModel(weights)
    embedder = None if face_weights is None else Embedder(face_weights, quality=None)
    detector = FaceDetector()
    given = [Case(path.stem, bounded(read_image(path))) for path in pictures]
    found = detector.detect(given[0].pixels)
    if len(found) != 1 or causes(measure(given[0].pixels, found[0].box, found[0].landmarks), _limits()):
        raise InputError(f"{pictures[0]} does not show one good face; give another picture first.")
    near = [filling(case, face.box) for case in given for face in detector.detect(case.pixels)[:1]]
    cases = [*given, *variations(given[0], found[0].box), *near]
    faces = [detector.detect(case.pixels) for case in cases]
    chosen = list(words) if words is not None else model.words
    return {
        "format": FORMAT,
        "detector": {"sha256": _sha256(DETECTOR)},
        "liveness": {"sha256": _sha256(model.path), "record": model.metadata.model_dump(mode="json")},
        "embedding": embedder
        and {"sha256": _sha256(embedder.model.path), "record": embedder.model.metadata.model_dump(mode="json")},
        "limits": asdict(_limits()),
        "smallest_face": POLICY.smallest_face,
        "rules": rules(),
        "enrolled": given[0].name,
        "crops": _crops(given[0].pixels, found[0].box),
        "cases": _cases(cases, faces, chosen, model, embedder),
    }


def write_golden(out: Path, vectors: dict[str, Any]) -> None:
    """Write the vectors as JSON; the file appears whole or not at all.

    Raises:
        ConfigurationError: the file cannot be written.

    """
    replace_file(out, json.dumps(vectors, allow_nan=False) + "\n")


def _cases(
    cases: Sequence[Case],
    faces: Sequence[list[Face]],
    words: Sequence[str],
    model: LivenessModel,
    embedder: Embedder | None,
) -> list[dict[str, Any]]:
    template = None if embedder is None else _embedding(cases[0].pixels, faces[0][0], embedder)[1]
    plain = [
        {
            "name": case.name,
            "width": case.pixels.shape[1],
            "height": case.pixels.shape[0],
            "rgb": packed(case.pixels.tobytes()),
            "picture_causes": [] if own else list(picture_causes(case.pixels, _limits())),
            "faces": [
                _face(case.pixels, face, words, model) | _match(case.pixels, face, embedder, template)
                for face in own
            ],
            "alive": {word: _alive(case.pixels, own, word, model) for word in words},
        }
        for case, own in zip(cases, faces, strict=True)
    ]
    if embedder is not None:
        with _vault() as vault:
            gates = {word: _gate(vault, _Known(cases, faces), _Switched(model, word), embedder) for word in words}
            next(iter(gates.values())).enrol("golden", cases[0].pixels, consent="a test", watched=True)
            for case, one in zip(cases, plain, strict=True):
                one["verified"] = {word: _verified(gate, case.pixels) for word, gate in gates.items()}
    return plain


def _face(pixels: Picture, face: Face, words: Sequence[str], model: LivenessModel) -> dict[str, Any]:
    crop = loose_crop(pixels, face.box, model.metadata.preprocess)
    quality = measure(pixels, face.box, face.landmarks)
    return {
        "box": [float(value) for value in face.box],
        "landmarks": face.landmarks.astype(float).tolist(),
        "confidence": face.confidence,
        "quality": asdict(quality) | {"pose": quality.pose and quality.pose._asdict()},
        "causes": list(causes(quality, _limits())),
        "loose": _crop(crop),
        "liveness": {word: float(model.liveness(crop[None], word, switched=True)[0]) for word in words},
    }


def _match(
    pixels: Picture, face: Face, embedder: Embedder | None, template: NDArray[np.float32] | None
) -> dict[str, Any]:
    if embedder is None or template is None:
        return {}
    crop, embedding = _embedding(pixels, face, embedder)
    return {"aligned": _crop(crop), "similarity": float(similarity(embedding, template))}


def _embedding(pixels: Picture, face: Face, embedder: Embedder) -> tuple[Picture, NDArray[np.float32]]:
    crop = aligned_crop(pixels, face.landmarks, embedder.model.preprocess)
    return crop, embedder.model.embed(crop[None], flip=embedder.flip)[0]


def _alive(pixels: Picture, faces: list[Face], word: str, model: LivenessModel) -> dict[str, Any]:
    journal = Journal()
    examiner = Examiner(_Found(faces), _Switched(model, word), POLICY)
    look = examiner.look(pixels, journal)
    if look is not None and look.hindrance is None:
        examiner.judge(look, journal)
    verdict = decide(journal.outcomes, TO_LIVE)
    reason = "accepted" if verdict.opens else journal.reason(verdict.stopped_by)
    return {"accepted": verdict.opens, "reason": reason, "outcomes": dict(journal.outcomes)}


def _verified(gate: Gate, pixels: Picture) -> dict[str, Any]:
    decision = gate.verify(pixels, "golden")
    return {"accepted": decision.accepted, "reason": decision.reason, "outcomes": dict(decision.outcomes)}


@contextmanager
def _vault() -> Iterator[Vault]:
    try:
        from ostiary.gate.vault import Vault
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "cryptography", "gate") from None
    with tempfile.TemporaryDirectory() as folder, Vault.create(Path(folder) / "vault.db", bytes(32)) as vault:
        yield vault


def _gate(vault: Vault, detector: _Known, liveness: _Switched, embedder: Embedder) -> Gate:
    from ostiary.gate.gate import Gate
    from ostiary.gate.matching import EmbeddingMatcher

    matcher = EmbeddingMatcher(embedder.model.path)
    return Gate(vault, detector=detector, liveness=liveness, matcher=matcher, policy=POLICY)


class _Switched:
    """Judges by one session that serves every word: a session for each would take longer to make than to use."""

    problems = ()

    def __init__(self, model: LivenessModel, word: str) -> None:
        self._model, self.configuration = model, word

    def measure(self, pixels: Picture, faces: Sequence[Face]) -> list[Measured]:
        preprocess = self._model.metadata.preprocess
        crops = np.stack([loose_crop(pixels, face.box, preprocess) for face in faces])
        stored = self._model.metadata.configurations[self.configuration].threshold
        answers = self._model.liveness(crops, self.configuration, switched=True)
        threshold = None if stored is None else stored.value
        return [Measured(float(value), threshold) for value in answers]


class _Found:
    """A detector that finds what it was given."""

    def __init__(self, faces: Sequence[Face]) -> None:
        self._faces = faces

    def detect(self, image: Picture, /) -> Sequence[Face]:
        return self._faces


class _Known:
    """A detector that was asked about these pictures before."""

    def __init__(self, cases: Sequence[Case], faces: Sequence[list[Face]]) -> None:
        self._faces = {case.pixels.tobytes(): own for case, own in zip(cases, faces, strict=True)}

    def detect(self, image: Picture, /) -> Sequence[Face]:
        return self._faces[image.tobytes()]


def _limits() -> QualityLimits:
    assert POLICY.quality is not None
    return POLICY.quality


def _crop(pixels: Picture) -> dict[str, str]:
    content = pixels.tobytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "rgb": packed(content)}


def _crops(pixels: Picture, box: Box) -> list[dict[str, Any]]:
    """The loose crop of a face in every interpolation: a site's own weights may ask for any."""
    return [
        {"preprocess": preprocess.model_dump(mode="json"), **_crop(loose_crop(pixels, box, preprocess))}
        for interpolation, size in itertools.product(("box", "bilinear", "bicubic"), (24, 160))
        for preprocess in [
            Preprocess.model_validate({"crop": "loose", "size": size, "scale": 2, "interpolation": interpolation})
        ]
    ]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
