"""What a network's numbers mean, whichever runtime gave them, and how far two runtimes are apart.

Runtimes are compared in what decides: liveness, or the similarity of two faces. Logits that differ where the
answer is certain anyway would say little.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import InputError
from ostiary.export.devices.plain import Source
from ostiary.export.devices.runtime import Run
from ostiary.faces.preprocess import Preprocess
from ostiary.runtime.embedding import similarity
from ostiary.runtime.embedding_record import EmbeddingMetadata
from ostiary.runtime.liveness import BONA_FIDE, softmax
from ostiary.runtime.session import make_session


@dataclass(frozen=True, slots=True)
class Reference:
    """Crops, uint8 (N, S, S, 3), and what ONNX Runtime answers: float64 (N,) for each word."""

    crops: NDArray[np.uint8]
    expected: dict[str, NDArray[np.float64]]


def answers(run: Run, source: Source, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Crop by crop: liveness, a person's match, or (embeddings) the similarity to the first crop; float64 (N,)."""
    preprocess = source.record.preprocess
    if isinstance(source.record, EmbeddingMetadata):
        flip = source.record.threshold is not None and source.record.threshold.flip
        embeddings = _embeddings(run, preprocess, crops)
        if flip:
            embeddings = _unit(embeddings + _embeddings(run, preprocess, crops[:, :, ::-1]))
        return similarity(embeddings, embeddings[0])
    logits = np.concatenate([run(picture[None]) for picture in preprocess.normalise(crops)])
    if logits.shape[1] == 1:  # a sigmoid of one number is the softmax of it and 0
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    return softmax(logits)[:, BONA_FIDE].astype(np.float64)


def reference(source: Source, words: list[str], crops: NDArray[np.uint8]) -> Reference:
    """What ONNX Runtime answers for these crops."""
    return Reference(crops, {word: answers(_in_onnxruntime(source, word), source, crops) for word in words})


def golden_reference(source: Source, words: list[str], golden: Path) -> Reference:
    """What golden vectors (``ostiary export golden``) say of the faces in their pictures.

    Raises:
        InputError: the file is not one of golden vectors, was made with other weights, or lacks a word.

    """
    is_embedding = isinstance(source.record, EmbeddingMetadata)
    try:
        vectors = json.loads(golden.read_text(encoding="utf-8"))
        made_with = vectors["embedding" if is_embedding else "liveness"]
        if made_with is None or made_with["sha256"] != hashlib.sha256(source.content).hexdigest():
            raise InputError(
                f"{golden} was not made with {source.path.name}: make it anew with 'ostiary export golden'."
            )
        faces = [face for case in vectors["cases"] for face in case["faces"]]
        crops = np.stack([_crop(face["aligned" if is_embedding else "loose"], source) for face in faces])
        expected = {
            word: np.array([face["similarity"] if is_embedding else face["liveness"][word] for face in faces])
            for word in words
        }
    except OSError as error:
        raise InputError(f"{golden} cannot be read ({error.strerror}).") from None
    except KeyError as error:
        raise InputError(f"{golden} has no golden vectors for {error}: make it anew.") from None
    except (ValueError, TypeError, zlib.error):
        raise InputError(f"{golden} is not a file of 'ostiary export golden'.") from None
    return Reference(crops, expected)


def _crop(entry: dict[str, Any], source: Source) -> NDArray[np.uint8]:
    size = source.record.preprocess.size
    return np.frombuffer(zlib.decompress(base64.b64decode(entry["rgb"])), np.uint8).reshape(size, size, 3)


def _embeddings(run: Run, preprocess: Preprocess, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    found = [run(picture[None]) for picture in preprocess.normalise(crops)]
    return _unit(np.concatenate(found).astype(np.float64))


def _unit(embeddings: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return unit


def _in_onnxruntime(source: Source, word: str) -> Run:
    session = make_session(source.plain(word).SerializeToString())

    def run(picture: NDArray[np.float32]) -> NDArray[np.float32]:
        answer: NDArray[np.float32] = session.run(None, {"input": picture})[0]
        return answer.reshape(len(picture), -1)

    return run
