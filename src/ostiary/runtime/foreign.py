"""Bring your own model: an ONNX network of others, described by a record, in the place of one of ours.

``ForeignEmbedding`` and ``ForeignLiveness`` are what their parents are, so that everything works with them: a
check, a comparison, a gate, an evaluation and a calibration. They come without thresholds, because a threshold
is a measurement; until one is made, they tell how alike or how alive, and decide nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import WeightsError
from ostiary.runtime.crops import check_crops
from ostiary.runtime.embedding import EmbeddingModel, _unit
from ostiary.runtime.embedding_record import EmbeddingMetadata
from ostiary.runtime.foreign_record import (
    SUFFIX,
    Answer,
    ForeignEmbeddingRecord,
    ForeignLivenessRecord,
    ForeignRecord,
    read_foreign,
)
from ostiary.runtime.liveness import LivenessModel
from ostiary.runtime.liveness_record import ConfigurationRecord, Metadata
from ostiary.runtime.packaged import EMBEDDING, resolve_weights
from ostiary.runtime.session import make_session

if TYPE_CHECKING:
    import onnxruntime

WORD = ""
"""The one configuration of a network without any: it is named by no letter."""


def open_embedding(weights: Path | str | None = None, *, threads: int = 1) -> EmbeddingModel:
    """A face embedding: of ours, or of others where ``weights`` is a record (``.json``).

    Args:
        weights: a weights file, the name of a packaged one, a record, or None for the default.
        threads: intra-op threads of the session.

    Raises:
        WeightsError: it cannot be used.

    """
    path = resolve_weights(weights, EMBEDDING)
    kind = ForeignEmbedding if path.suffix.lower() == SUFFIX else EmbeddingModel
    return kind(path, threads=threads)


def open_liveness(weights: Path | str | None = None, *, threads: int = 1) -> LivenessModel:
    """A liveness network: of ours, or of others. Arguments and errors as :func:`open_embedding`."""
    path = resolve_weights(weights)
    kind = ForeignLiveness if path.suffix.lower() == SUFFIX else LivenessModel
    return kind(path, threads=threads)


class ForeignEmbedding(EmbeddingModel):
    """A face embedding of others, with the interface of ours; safe to use from several threads at once.

    Parameters and multiply-adds in its ``metadata`` are 0, which means that nobody counted them.

    Args:
        record: a JSON file as :class:`ostiary.runtime.foreign_record.ForeignEmbeddingRecord`.
        threads: intra-op threads of the session.

    Raises:
        WeightsError: the record or the network cannot be used, or they do not fit together.

    """

    def __init__(self, record: Path | str, *, threads: int = 1) -> None:
        self.path = Path(record)
        said, content = read_foreign(self.path, ForeignEmbeddingRecord)
        self._network = _Network(said, content, self.path, threads)
        self.metadata = EmbeddingMetadata(
            **_shared(said), network="foreign", dimension=self._network.width, parameters=0, macs=0
        )

    def _directions(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        return _unit(self._network.run(crops).astype(np.float64), self.path)


class ForeignLiveness(LivenessModel):
    """A liveness network of others, with the interface of ours; safe to use from several threads at once.

    It has one configuration, called ``""``, and no trunk, hence no cascade. Arguments and errors as
    :class:`ForeignEmbedding`; the record is a :class:`ostiary.runtime.foreign_record.ForeignLivenessRecord`.
    """

    def __init__(self, record: Path | str, *, threads: int = 1) -> None:
        self.path = Path(record)
        said, content = read_foreign(self.path, ForeignLivenessRecord)
        self._answer = said.answer
        self._network = _Network(said, content, self.path, threads)
        self._specialised = OrderedDict()
        self.metadata = Metadata(
            **_shared(said),
            configurations={WORD: ConfigurationRecord(parameters=0, macs=0)},
            default_configuration=WORD,
        )
        self._check_answer()

    def logits(
        self, crops: NDArray[np.uint8], word: str | None = None, *, switched: bool = False
    ) -> NDArray[np.float32]:
        """Logits of RGB crops: 0 for an attack, and the log-odds of bona fide. As :meth:`LivenessModel.logits`.

        Raises:
            ConfigurationError: any word but ``""``.
            InputError: the crops have another type or shape.
            WeightsError: the network gives probabilities outside [0, 1].

        """
        self._checked_word(word)
        check_crops(crops, self.metadata.preprocess, self.path.name)
        logits = np.zeros((len(crops), 2), np.float32)
        if len(crops):
            logits[:, 1] = _log_odds(self._network.run(crops), self._answer, self.path)
        return logits

    def _check_answer(self) -> None:
        """Refuse what the network cannot mean, as far as it shows: other classes, or a softmax of its own."""
        if self._network.width != self._answer.classes:
            raise WeightsError(
                f"{self.path} speaks of {self._answer.classes} classes, and the network gives "
                f"{self._network.width}; correct the record."
            )
        answers = self._network.first.astype(np.float64)
        shares = (answers >= 0).all() and abs(answers.sum() - 1) < _SUM_ROUNDING
        if self._answer.values == "logits" and self._answer.classes > 1 and shares:
            raise WeightsError(
                f"{self.path} speaks of logits, and the network gives numbers from 0 on with the sum 1: they are "
                "probabilities; correct the record."
            )


class _Network:
    """A session with the conventions of its record: crops in, one row of numbers a crop out.

    ``width`` numbers make a row, and ``first`` is the row of a grey crop, with which it is tried at once.
    """

    def __init__(self, record: ForeignRecord, content: bytes, path: Path, threads: int) -> None:
        self._record, self._path = record, path
        self._session = make_session(content, threads=threads)
        self._input, self._one_at_a_time, self._rest = _inputs(self._session, record, path)
        outputs = [output.name for output in self._session.get_outputs()]
        self._output = outputs[0] if record.output is None else record.output
        if self._output not in outputs:
            raise WeightsError(
                f"{path} names the output {self._output!r}, and the network has: {', '.join(outputs)}; correct it."
            )
        size = record.preprocess.size
        self.width = 0
        self.first = self.run(np.full((1, size, size, 3), 128, np.uint8))[0]
        self.width = len(self.first)

    def run(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """RGB crops (N, size, size, 3), N >= 1 -> float32 (N, width)."""
        inputs = self._record.preprocess.normalise(crops)
        if self._record.layout == "NHWC":
            inputs = np.ascontiguousarray(inputs.transpose(0, 2, 3, 1))
        parts = np.split(inputs, len(inputs)) if self._one_at_a_time else [inputs]
        found = np.concatenate([self._answers(part) for part in parts])
        if self.width and found.shape[1] != self.width:
            raise WeightsError(f"{self._path}: the network gave {found.shape[1]} numbers after {self.width}.")
        return found

    def _answers(self, part: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            found = self._session.run([self._output], {self._input: part, **self._rest})[0]
        except Exception as error:  # onnxruntime raises many private types
            raise WeightsError(
                f"The network of {self._path} does not run on a crop ({type(error).__name__}); correct the record."
            ) from None
        rows = np.asarray(found, np.float32)
        if not rows.size or rows.ndim < 2 or rows.shape[0] != len(part):
            raise WeightsError(
                f"The network of {self._path} gives an output of shape {rows.shape} for {len(part)} crops, not a "
                "row for each; name another output in the record."
            )
        return rows.reshape(len(part), -1)


_SUM_ROUNDING = 1e-4
"""Probabilities have the sum 1 to so much; logits hardly ever do."""

_SMALLEST = 1e-12
"""A probability nearer than this to 0 or 1 counts as this near, so that log-odds stay finite."""


def _shared(record: ForeignRecord) -> dict[str, Any]:
    """The part of a record that all weights have, ours and others'."""
    fields = record.model_dump(include={"name", "version", "licence", "data", "notes"})
    return {**fields, "preprocess": record.preprocess, "training_commit": "unknown"}


def _inputs(
    session: onnxruntime.InferenceSession, record: ForeignRecord, path: Path
) -> tuple[str, bool, dict[str, NDArray[np.float32]]]:
    """The picture's input, whether it takes one picture at a time, and zeros for the other inputs."""
    size = record.preprocess.size
    wanted = (3, size, size) if record.layout == "NCHW" else (size, size, 3)
    entries = session.get_inputs()
    fitting = [entry for entry in entries if _fits(entry, wanted)]
    rest = [entry for entry in entries if entry not in fitting[:1]]
    if not fitting or (rest and not record.zero_inputs):
        shapes = ", ".join(f"{entry.name} {entry.type} {entry.shape}" for entry in entries[:4])
        raise WeightsError(
            f"{path} speaks of one input, float (N, {', '.join(map(str, wanted))}), and the network takes "
            f"{shapes}; correct the record."
        )
    if any(entry.type != "tensor(float)" or not _is_fixed(entry.shape) for entry in rest):
        raise WeightsError(
            f"The network of {path} has inputs that zeros cannot be fed to; export it without them."
        )
    zeros = {entry.name: np.zeros(entry.shape, np.float32) for entry in rest}
    return str(fitting[0].name), fitting[0].shape[0] == 1, zeros


def _fits(entry: Any, wanted: tuple[int, int, int]) -> bool:
    """Whether a picture of these extents can be fed; a name or nothing stands for any extent."""
    shape = entry.shape
    return (
        entry.type == "tensor(float)"
        and len(shape) == 4
        and (not isinstance(shape[0], int) or shape[0] == 1)
        and all(not isinstance(there, int) or there == here for there, here in zip(shape[1:], wanted, strict=True))
    )


def _is_fixed(shape: list[Any]) -> bool:
    return all(isinstance(extent, int) for extent in shape)


def _log_odds(answers: NDArray[np.float32], answer: Answer, path: Path) -> NDArray[np.float64]:
    """Log-odds of bona fide (N,) from a network's rows (N, classes), in double precision."""
    rows = answers.astype(np.float64)
    column = rows[:, answer.column]
    if answer.values == "probabilities":
        if ((column < -_SUM_ROUNDING) | (column > 1 + _SUM_ROUNDING)).any():
            raise WeightsError(f"{path} speaks of probabilities, and the network gives others than 0 to 1.")
        share = np.clip(column, _SMALLEST, 1 - _SMALLEST)
        odds = np.log(share) - np.log1p(-share)
    elif answer.classes == 1:
        odds = column
    else:
        others = np.delete(rows, answer.column, axis=1)
        top = others.max(axis=1)
        odds = column - (top + np.log(np.exp(others - top[:, None]).sum(axis=1)))
    return odds if answer.of == "bona_fide" else -odds
