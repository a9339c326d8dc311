"""Crops judged by the verifiers of several people at once.

The graph comes without weights; a person's template brings them. In one kind of file they are an input of the
graph, so that one session serves everybody. In the other they take the place of zeros in the file's bytes before a
session is made: one a person, which costs some time once, and less at every call. The file decides.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import WeightsError
from ostiary.faces.preprocess import Preprocess
from ostiary.runtime.container import read_container
from ostiary.runtime.crops import check_crops
from ostiary.runtime.packaged import Shelf, resolve_weights
from ostiary.runtime.personal_record import PersonMetadata, VerifierMetadata
from ostiary.runtime.session import make_session
from ostiary.runtime.template import Template

if TYPE_CHECKING:
    import onnxruntime

VERIFIER = Shelf(
    "personal verifier",
    {"verifier_f112": "verifier_f112.onnx", "verifier_f112w": "verifier_f112w.onnx"},
    "verifier_f112",
    "OSTIARY_VERIFIER",
)
"""Files without weights; there is nothing trained in them."""


class PersonalVerifier:
    """Who of those enrolled is it? Safe to use from several threads at once.

    Args:
        weights: a verifier's file, the name of a packaged one, or None for the default.
        threads: intra-op threads of a session.
        keep: sessions kept, if the file is of the kind that has one a person; the least recently used go. Keep
            as many as people are judged in one call, or each call makes them anew.

    Raises:
        WeightsError: see :func:`ostiary.runtime.container.read_metadata`; or the file is none of a verifier.

    """

    def __init__(self, weights: Path | str | None = None, *, threads: int = 1, keep: int = 64) -> None:
        self.path = resolve_weights(weights, VERIFIER)
        self.metadata, content = read_container(self.path, VerifierMetadata)
        self._judge: _ByInput | _ByPlace
        if self.metadata.theta == "input":
            self._judge = _ByInput(content, threads)
        else:
            start = _place(content, self.metadata.parameters, self.path)
            self._judge = _ByPlace(content, start, threads, max(1, keep))

    def __repr__(self) -> str:
        return f"PersonalVerifier({self.metadata.architecture}, {self.metadata.parameters} parameters a person)"

    @property
    def preprocess(self) -> Preprocess:
        """How crops are cut and normalised."""
        return self.metadata.preprocess

    def similarity(self, crops: NDArray[np.uint8], templates: Sequence[Template]) -> NDArray[np.float64]:
        """How much each crop is each person: 1 / (1 + exp(-logit)).

        A crop is person t if ``similarity[t] >= templates[t].threshold``. The numbers are on the verifier's own
        scale: do not compare them with similarities of embeddings.

        Args:
            crops: uint8 (N, size, size, 3), cut as the file's preprocess record says; N may be 0.
            templates: of T people, which may be none.

        Returns:
            float64 (T, N) in [0, 1].

        Raises:
            InputError: the crops have another type or shape.
            WeightsError: a template is of another architecture, or gives no number.

        """
        check_crops(crops, self.preprocess, self.path.name)
        for template in templates:
            if template.architecture != self.metadata.architecture:
                raise WeightsError(
                    f"{self.path.name} runs the verifier {self.metadata.architecture}, and a template is of "
                    f"{template.architecture}: use its file, or enrol the person again."
                )
        if not templates or not len(crops):
            return np.zeros((len(templates), len(crops)))
        return _judged(self._judge(self.preprocess.normalise(crops), templates), self.path)


class PersonVerifier:
    """One person's verifier from a file that holds nothing else; any other ONNX runtime can read it as well.

    Raises:
        WeightsError: see :func:`ostiary.runtime.container.read_metadata`.

    """

    def __init__(self, weights: Path, *, threads: int = 1) -> None:
        self.path = weights
        self.metadata, content = read_container(weights, PersonMetadata)
        self._session = make_session(content, threads=threads)

    def __repr__(self) -> str:
        return f"PersonVerifier({self.metadata.architecture})"

    @property
    def threshold(self) -> float | None:
        """The person from that similarity on; None where nothing decides."""
        return self.metadata.threshold

    def similarity(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """As :meth:`PersonalVerifier.similarity`, of one person: float64 (N,)."""
        check_crops(crops, self.metadata.preprocess, self.path.name)
        if not len(crops):
            return np.zeros(0)
        logits = self._session.run(None, {"input": self.metadata.preprocess.normalise(crops)})[0]
        return _judged(logits, self.path)


def _judged(logits: NDArray[np.float32], path: Path) -> NDArray[np.float64]:
    if not np.isfinite(logits).all():
        raise WeightsError(f"{path.name} gives no number for a template: enrol the person again.")
    # exp of a number at most 0, on either side: it cannot overflow.
    small = np.exp(-np.abs(logits.astype(np.float64)))
    similarity: NDArray[np.float64] = np.where(logits >= 0, 1, small) / (1 + small)
    return similarity


class _ByInput:
    """One session; theta is an input."""

    def __init__(self, content: bytes, threads: int) -> None:
        self._session = make_session(content, threads=threads)

    def __call__(self, inputs: NDArray[np.float32], templates: Sequence[Template]) -> NDArray[np.float32]:
        thetas = np.stack([template.theta for template in templates])
        logits: NDArray[np.float32] = self._session.run(None, {"input": inputs, "theta": thetas})[0]
        return logits


class _ByPlace:
    """A session a template, whose theta is written over the zeros that begin at ``start``."""

    def __init__(self, content: bytes, start: int, threads: int, keep: int) -> None:
        self._content, self._start, self._threads, self._keep = content, start, threads, keep
        # By identity: as long as a template is in here, nothing else can have its id.
        self._sessions: OrderedDict[int, tuple[Template, onnxruntime.InferenceSession]] = OrderedDict()
        self._lock = Lock()

    def __call__(self, inputs: NDArray[np.float32], templates: Sequence[Template]) -> NDArray[np.float32]:
        sessions = [self._session(template) for template in templates]
        return np.stack([session.run(None, {"input": inputs})[0] for session in sessions])

    def _session(self, template: Template) -> onnxruntime.InferenceSession:
        with self._lock:
            known = self._sessions.pop(id(template), None)
            if known is None:
                theta = template.theta.astype("<f4").tobytes()
                content = self._content[: self._start] + theta + self._content[self._start + len(theta) :]
                known = template, make_session(content, threads=self._threads)
            self._sessions[id(template)] = known
            if len(self._sessions) > self._keep:
                self._sessions.popitem(last=False)
        return known[1]


def _place(content: bytes, parameters: int, path: Path) -> int:
    """Where in a file the numbers of the initialiser ``theta`` begin, which must all be zero."""
    size = length = 4 * parameters
    # Fields of a TensorProto in the order in which they are written: 8 the name, 9 the raw numbers.
    marker = b"\x42\x05theta\x4a"
    while length > 0x7F:
        marker += bytes([length & 0x7F | 0x80])
        length >>= 7
    marker += bytes([length])
    at = content.find(marker)
    start = at + len(marker)
    if at < 0 or content[start : start + size] != bytes(size):
        raise WeightsError(f"{path} has no place for the weights of a person; export it again.")
    return start
