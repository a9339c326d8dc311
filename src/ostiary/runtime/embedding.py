"""Face crops to embeddings, and the similarity of two of them.

An embedding is a direction: float32 of unit length, whose angle to another tells how alike two faces are. The
angle is given as a similarity in [0, 1], so that every decision in this package reads the same way: at or above
a threshold.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import InputError, WeightsError
from ostiary.faces.preprocess import Preprocess
from ostiary.runtime.container import read_container
from ostiary.runtime.crops import check_crops
from ostiary.runtime.embedding_record import EmbeddingMetadata
from ostiary.runtime.packaged import EMBEDDING, resolve_weights
from ostiary.runtime.session import make_session

if TYPE_CHECKING:
    import onnxruntime


class EmbeddingModel:
    """Embeddings of aligned face crops by a weights file.

    The file's graph has one input, float32 (N, 3, size, size) with N free, and its first output is (N, dimension).
    Safe to use from several threads at once.

    Args:
        weights: a weights file, the name of a packaged model, or ``None`` for the default.
        threads: intra-op threads of the session.

    Raises:
        WeightsError: see :func:`ostiary.runtime.container.read_metadata`; or the graph takes another input
            than its record says.

    """

    def __init__(self, weights: Path | str | None = None, *, threads: int = 1) -> None:
        self.path = resolve_weights(weights, EMBEDDING)
        self.metadata, content = read_container(self.path, EmbeddingMetadata)
        self._session = make_session(content, threads=threads)
        self._input = _only_input(self._session, self.metadata.preprocess.size, self.path)

    def __repr__(self) -> str:
        metadata = self.metadata
        return f"EmbeddingModel({metadata.name!r} {metadata.version!r}, {metadata.dimension} numbers)"

    @property
    def name(self) -> str:
        """The name in the file's record."""
        return self.metadata.name

    @property
    def preprocess(self) -> Preprocess:
        """How crops are cut and normalised for this model."""
        return self.metadata.preprocess

    def embed(self, crops: NDArray[np.uint8], *, flip: bool = False) -> NDArray[np.float32]:
        """Embeddings of RGB crops.

        Args:
            crops: uint8 (N, size, size, 3), cut as the file's preprocess record says; N may be 0.
            flip: take the mean with the embedding of the mirrored crop, at twice the cost. Compare such
                embeddings with their like only.

        Returns:
            float32 (N, dimension), each of unit length.

        Raises:
            InputError: the crops have another type or shape.
            WeightsError: the network gives something else than (N, dimension) numbers with a direction.

        """
        check_crops(crops, self.preprocess, self.path.name)
        if len(crops) == 0:
            return np.zeros((0, self.metadata.dimension), np.float32)
        embeddings = self._directions(crops)
        if flip:
            embeddings = _unit(embeddings + self._directions(crops[:, :, ::-1]), self.path)
        return embeddings.astype(np.float32)

    def _directions(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        found = self._session.run(None, {self._input: self.preprocess.normalise(crops)})[0]
        expected = (len(crops), self.metadata.dimension)
        if found.shape != expected:
            raise WeightsError(
                f"{self.path} gives an output of shape {found.shape} where its record says {expected}; "
                "export it again."
            )
        return _unit(found.astype(np.float64), self.path)


def similarity(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """How alike faces are: (1 + cosine) / 2, 1 for one direction, 0.5 for a right angle, 0 for opposites.

    Args:
        first: embeddings (N, D) of unit length, or one (D,).
        second: as many, compared row by row, or one (D,) that is compared with each.

    Returns:
        float64 (N,), or of no dimension for two single embeddings; in [0, 1].

    Raises:
        InputError: the shapes do not fit, or an embedding is not of unit length (as one with NaN is not).

    """
    pair = [np.asarray(embeddings, np.float64) for embeddings in (first, second)]
    shapes = [embeddings.shape for embeddings in pair]
    rows = {shape[0] for shape in shapes if len(shape) == 2}
    if any(len(shape) not in (1, 2) for shape in shapes) or shapes[0][-1] != shapes[1][-1] or len(rows) > 1:
        raise InputError(
            f"embeddings of shapes {shapes[0]} and {shapes[1]} cannot be compared; give (N, D) and (N, D), "
            "or (N, D) and (D,), of the same model."
        )
    for embeddings in pair:
        check_unit(embeddings)
    cosines = np.einsum("...d,...d->...", *pair)
    return np.asarray(np.clip((1 + cosines) / 2, 0, 1))


def check_unit(embeddings: NDArray[np.generic]) -> None:
    """Refuse embeddings (..., D) that are not of unit length, as one with NaN is not.

    Raises:
        InputError: one is not.

    """
    if not (np.abs(np.linalg.norm(embeddings, axis=-1) - 1) <= _ROUNDING).all():
        raise InputError("an embedding is not of unit length; divide each by its length before comparing.")


_ROUNDING = 1e-3
"""A length may differ so far from 1: float16 keeps three digits, and a forgotten normalisation is far off."""

_SHORTEST = 1e-6
"""Below this length, what is left of an embedding is rounding, and its direction means nothing."""


def _unit(embeddings: NDArray[np.float64], path: Path) -> NDArray[np.float64]:
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > _SHORTEST)).all():
        raise WeightsError(
            f"{path} gives an embedding without a direction (NaN, infinite or zero); fetch or export it again."
        )
    unit: NDArray[np.float64] = embeddings / lengths
    return unit


def _only_input(session: onnxruntime.InferenceSession, size: int, path: Path) -> str:
    """The name of the graph's one input, which must take any number of crops of this size."""
    inputs = session.get_inputs()
    shapes = [entry.shape for entry in inputs]
    if len(shapes) != 1 or shapes[0][1:] != [3, size, size] or isinstance(shapes[0][0], int):
        raise WeightsError(
            f"{path} takes inputs of shape {shapes} where its record says (N, 3, {size}, {size}); export it again."
        )
    return str(inputs[0].name)
