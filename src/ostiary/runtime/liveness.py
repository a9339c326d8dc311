"""A liveness model whose configuration is chosen at run time, from one file.

Two modes of the same file. *Switched*: one session, the word is read from the shape of the input ``sel`` at
every call, any word at any time, a few per cent slower. *Specialised*: ``sel`` is fixed before the session is
created, so that the runtime drops the unused branches and folds everything that depends on the word; full
speed, and a session a word, of which the most recently used few are kept.

The layers before the first block, the *trunk*, are the same for all words. What they gave under one word is a
start for another, which then costs only the rest.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError, InputError
from ostiary.runtime.container import read_container, read_metadata
from ostiary.runtime.crops import check_crops
from ostiary.runtime.liveness_record import Metadata, Threshold, TrunkRecord
from ostiary.runtime.packaged import resolve_weights
from ostiary.runtime.session import make_session

if TYPE_CHECKING:
    import onnxruntime

#: Extent of ``sel`` along a block's axis, by letter.
LETTER_EXTENT = {"L": 1, "H": 2, "B": 3}
#: Added to the extent along the first axis where the trunk's activations are given, not computed.
GIVEN = len(LETTER_EXTENT)
BONA_FIDE = 1  # column of the logits; column 0 is attack


class LivenessModel:
    """Liveness of face crops under any configuration word of a weights file.

    Safe to use from several threads at once.

    Args:
        weights: a weights file, the name of a packaged model, or ``None`` for the default.
        threads: intra-op threads of each session.
        keep: how many specialised sessions stay in memory (each costs 14-19 MiB for MobileNetV2).

    Raises:
        WeightsError: see :func:`ostiary.runtime.container.read_metadata`.

    """

    def __init__(self, weights: Path | str | None = None, *, threads: int = 1, keep: int = 2) -> None:
        if keep < 1:
            raise ConfigurationError(f"keep is {keep}: at least one session must be kept.")
        self.path = resolve_weights(weights)
        self.metadata = read_metadata(self.path, Metadata)
        self._threads = threads
        self._keep = keep
        self._specialised: OrderedDict[_Start, onnxruntime.InferenceSession] = OrderedDict()
        self._switchable: onnxruntime.InferenceSession | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"LivenessModel({self.metadata.name!r} {self.metadata.version!r}, {len(self.words)} words)"

    @property
    def words(self) -> list[str]:
        """The configuration words of this file."""
        return list(self.metadata.configurations)

    @property
    def cached(self) -> list[str]:
        """Words whose specialised session is in memory, least recently used first.

        A word has one session from pictures and one from activations.
        """
        return [start.word for start in self._specialised]

    def logits(
        self, crops: NDArray[np.uint8], word: str | None = None, *, switched: bool = False
    ) -> NDArray[np.float32]:
        """Logits of RGB crops.

        Args:
            crops: uint8 (N, size, size, 3), cut as the file's preprocess record says;
                N may be 0.
            word: configuration, or ``None`` for the file's default.
            switched: use the session that serves every word instead of one made for this word.

        Returns:
            float32 (N, 2); column 0 = attack, column 1 = bona fide.

        Raises:
            ConfigurationError: the file has no such word.
            InputError: the crops have another type or shape.

        """
        word = self._checked_word(word)
        check_crops(crops, self.metadata.preprocess, self.path.name)
        if len(crops) == 0:
            return np.zeros((0, 2), np.float32)
        feed = {"input": self.metadata.preprocess.normalise(crops)}
        return self._run(["logits"], feed, _Start(word), switched)[0]

    def start(
        self, crops: NDArray[np.uint8], word: str | None = None, *, switched: bool = False
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As :meth:`logits`, and the trunk's activations, from which :meth:`resume` goes on.

        Returns:
            Logits (N, 2), and activations float32 (N, C, H, W), which do not depend on the word.

        Raises:
            ConfigurationError: as :meth:`logits`, or the file does not give its activations.
            InputError: as :meth:`logits`.

        """
        word, trunk = self._checked_word(word), self.trunk
        check_crops(crops, self.metadata.preprocess, self.path.name)
        if len(crops) == 0:
            return np.zeros((0, 2), np.float32), np.zeros((0, *trunk.shape), np.float32)
        feed = {"input": self.metadata.preprocess.normalise(crops)}
        logits, activations = self._run(["logits", "activations"], feed, _Start(word), switched)
        return logits, activations

    def resume(
        self, activations: NDArray[np.float32], word: str | None = None, *, switched: bool = False
    ) -> NDArray[np.float32]:
        """Logits of crops whose activations :meth:`start` gave, under any word, at the cost of the rest.

        Args:
            activations: float32 (N, C, H, W); N may be 0.
            word: as for :meth:`logits`.
            switched: as for :meth:`logits`.

        Returns:
            float32 (N, 2), what :meth:`logits` would give for the crops under this word.

        Raises:
            ConfigurationError: the file has no such word, or cannot go on from activations.
            InputError: the activations have another type or shape.

        """
        word, trunk = self._checked_word(word), self.trunk
        if activations.dtype != np.float32 or activations.shape[1:] != trunk.shape:
            raise InputError(
                f"activations of type {activations.dtype} and shape {activations.shape} do not fit "
                f"{self.path.name}: it goes on from float32 (N, {', '.join(map(str, trunk.shape))})."
            )
        if len(activations) == 0:
            return np.zeros((0, 2), np.float32)
        size = self.metadata.preprocess.size
        feed = {"input": np.zeros((0, 3, size, size), np.float32), "trunk": activations}
        return self._run(["logits"], feed, _Start(word, from_trunk=True), switched)[0]

    def liveness(
        self, crops: NDArray[np.uint8], word: str | None = None, *, switched: bool = False
    ) -> NDArray[np.float32]:
        """Probability that each crop is bona fide, float32 (N,), in [0, 1]. Arguments as :meth:`logits`."""
        return softmax(self.logits(crops, word, switched=switched))[:, BONA_FIDE]

    def threshold(self, word: str | None = None) -> Threshold:
        """The threshold recorded for a word: a crop is accepted if its liveness is at least its ``value``.

        Raises:
            ConfigurationError: the file has no such word, or no threshold for it.

        """
        word = self._checked_word(word)
        threshold = self.metadata.configurations[word].threshold
        if threshold is None:
            raise ConfigurationError(
                f"{self.path} records no threshold for {word}: evaluate it on development data, or give one."
            )
        return threshold

    @property
    def trunk(self) -> TrunkRecord:
        """What :meth:`start` hands over to :meth:`resume`.

        Raises:
            ConfigurationError: the file gives no activations (made before ostiary had cascades, a single
                word, or a network without a trunk).

        """
        if self.metadata.trunk is None:
            raise ConfigurationError(
                f"{self.path.name} cannot go on from one configuration to another, as a cascade does: it was "
                "exported without a trunk of its own; use one configuration, or export it again."
            )
        return self.metadata.trunk

    @property
    def _is_switchable(self) -> bool:
        return len(self.metadata.configurations) > 1

    def _checked_word(self, word: str | None) -> str:
        if word is None:
            return self.metadata.default_configuration
        if word not in self.metadata.configurations:
            raise ConfigurationError(
                f"there is no configuration {word!r} in {self.path.name}; it has: {', '.join(self.words)}."
            )
        return word

    def _run(
        self, outputs: list[str], feed: dict[str, NDArray[Any]], start: _Start, switched: bool
    ) -> list[NDArray[np.float32]]:
        session = self._switchable_session() if switched else self._specialised_session(start)
        if self._is_switchable:
            feed["sel"] = selector(start.word, from_trunk=start.from_trunk)
        found: list[NDArray[np.float32]] = session.run(outputs, feed)
        return found

    def _switchable_session(self) -> onnxruntime.InferenceSession:
        with self._lock:
            if self._switchable is None:
                self._switchable = self._open({})
            return self._switchable

    def _specialised_session(self, start: _Start) -> onnxruntime.InferenceSession:
        with self._lock:
            session = self._specialised.pop(start, None)
            if session is None:
                fixed = fixed_dimensions(start.word, from_trunk=start.from_trunk)
                session = self._open(fixed if self._is_switchable else {})
            self._specialised[start] = session
            while len(self._specialised) > self._keep:
                self._specialised.popitem(last=False)
            return session

    def _open(self, dimensions: Mapping[str, int]) -> onnxruntime.InferenceSession:
        # Read and checked again: the file may have changed since, and 11 MB need not stay in memory.
        content = read_container(self.path, Metadata)[1]
        return make_session(content, threads=self._threads, fixed_dimensions=dimensions)


def selector(word: str, *, from_trunk: bool = False) -> NDArray[np.uint8]:
    """The array to feed as ``sel``: its shape spells the word and the start, its values mean nothing."""
    return np.zeros(_extents(word, from_trunk), np.uint8)


def fixed_dimensions(word: str, *, from_trunk: bool = False) -> dict[str, int]:
    """Values of the symbolic dimensions of ``sel`` that specialise a session to the word and the start."""
    return {f"w{block}": extent for block, extent in enumerate(_extents(word, from_trunk))}


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Softmax over the last axis, computed in double precision; any finite logits are safe."""
    shifted = logits.astype(np.float64)
    if shifted.size:
        shifted -= shifted.max(axis=-1, keepdims=True)
    powers = np.exp(shifted)
    probabilities: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities.astype(np.float32)


class _Start(NamedTuple):
    """What a specialised session computes: a word, from pictures or from the trunk's activations."""

    word: str
    from_trunk: bool = False


def _extents(word: str, from_trunk: bool) -> list[int]:
    extents = [LETTER_EXTENT[letter] for letter in word]
    if from_trunk:
        extents[0] += GIVEN
    return extents
