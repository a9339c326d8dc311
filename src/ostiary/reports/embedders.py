"""Whatever turns a face into an embedding: our own weights, and deployed networks of others.

The others are opponents in the tables and teachers in a recipe; their files are never shipped. Conventions as in
each project's own code: SFace (OpenCV's model zoo) and foamliu/MobileFaceNet, both Apache-2.0. Both expect the
five points of a face on the ArcFace template, so that one crop serves all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError, WeightsError
from ostiary.faces.preprocess import Preprocess
from ostiary.runtime.crops import check_crops
from ostiary.runtime.embedding import EmbeddingModel
from ostiary.runtime.foreign import open_embedding
from ostiary.runtime.session import make_session


class EmbedsFaces(Protocol):
    """What evaluation asks of an embedder; ``ostiary.runtime.embedding.EmbeddingModel`` has it."""

    @property
    def name(self) -> str:
        """How reports call it."""

    @property
    def preprocess(self) -> Preprocess:
        """How crops are cut for it."""

    def embed(self, crops: NDArray[np.uint8], *, flip: bool = False) -> NDArray[np.float32]:
        """RGB crops (N, size, size, 3) -> embeddings (N, D) of unit length; ``flip``: means with the mirrored."""


@dataclass(frozen=True, slots=True)
class FacePeer:
    """A face network of others: its file, and how it wants its crop."""

    name: str
    file: str
    preprocess: Preprocess


FACE_PEERS = (
    FacePeer("sface", "face_recognition_sface_2021dec_dequant_fp32.onnx", Preprocess(crop="aligned", size=112)),
    FacePeer(
        "foamliu",
        "foamliu_MobileFaceNet.onnx",
        Preprocess(
            crop="aligned",
            size=112,
            mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
            std=(0.229 * 255, 0.224 * 255, 0.225 * 255),
        ),
    ),
)
"""SFace normalises inside its graph; foamliu has the mean and deviation of ImageNet."""


def choose_embedder(
    weights: Path | str | None = None, peers: Sequence[str] = (), folder: Path | None = None, *, threads: int = 1
) -> EmbedsFaces:
    """What the command line means: weights of ours, or a peer, or several peers as one.

    Args:
        weights: a weights file or a packaged name; None for the default.
        peers: names of ``FACE_PEERS``, in place of weights.
        folder: where the peers' files lie.
        threads: intra-op threads of each session.

    Raises:
        ConfigurationError: both weights and peers, peers without a folder or a folder without peers, no such
            peer, one peer twice, or a file that is not there.
        WeightsError: a file cannot be opened or used.

    """
    if not peers:
        if folder is not None:
            raise ConfigurationError(f"{folder} is a folder of peers, but no peer is named; name one with --peer.")
        return open_embedding(weights, threads=threads)
    if weights is not None:
        raise ConfigurationError("Name weights or peers, not both: one run measures one embedder.")
    if folder is None:
        raise ConfigurationError("Peers do not come with the package; name the folder of their files (--peers).")
    if len(set(peers)) < len(peers):
        raise ConfigurationError("A peer is named twice; several peers are joined, so name each once.")
    members = [open_embedder(name, folder, threads=threads) for name in peers]
    return members[0] if len(members) == 1 else JointEmbedder(members)


def describe(embedder: EmbedsFaces) -> dict[str, str]:
    """What a report says of its model: the name, and what else is known of the file that ran."""
    found = {"name": embedder.name}
    if isinstance(embedder, EmbeddingModel):
        record = embedder.metadata
        found |= {
            "version": record.version,
            "precision": record.precision,
            "training_commit": record.training_commit,
        }
    if isinstance(embedder, EmbeddingModel | PeerEmbedder):
        found["sha256"] = hashlib.sha256(embedder.path.read_bytes()).hexdigest()
    return found


def open_embedder(name: str, folder: Path, *, threads: int = 1) -> EmbedsFaces:
    """Open a peer by its name.

    Args:
        name: of one of ``FACE_PEERS``.
        folder: where its file lies.
        threads: intra-op threads of its session.

    Raises:
        ConfigurationError: no such peer, or its file is not in the folder.
        WeightsError: the file cannot be opened.

    """
    by_name = {peer.name: peer for peer in FACE_PEERS}
    if name not in by_name:
        raise ConfigurationError(f"There is no peer {name!r}; choose among {', '.join(by_name)}.")
    return PeerEmbedder(by_name[name], folder, threads=threads)


class PeerEmbedder:
    """A peer, opened."""

    def __init__(self, peer: FacePeer, folder: Path, *, threads: int = 1) -> None:
        self._peer = peer
        self.path = folder / peer.file
        if not self.path.is_file():
            raise ConfigurationError(
                f"{self.path} is not there; docs/verification.md says where the file of {peer.name} comes from."
            )
        self._session = make_session(self.path, threads=threads)
        entry = self._session.get_inputs()[0]
        self._input = entry.name
        self._one_at_a_time = entry.shape[0] == 1  # exported for a batch of one

    @property
    def name(self) -> str:
        """The peer's name."""
        return self._peer.name

    @property
    def preprocess(self) -> Preprocess:
        """How the peer wants its crop."""
        return self._peer.preprocess

    def embed(self, crops: NDArray[np.uint8], *, flip: bool = False) -> NDArray[np.float32]:
        """Embeddings (N, D) of RGB crops (N, size, size, 3), of unit length.

        Raises:
            InputError: the crops have another type or shape.
            WeightsError: the network gives something without a direction.

        """
        check_crops(crops, self.preprocess, self.path.name)
        embeddings = self._unit(self._run(crops))
        if flip:
            embeddings = self._unit(embeddings + self._unit(self._run(crops[:, :, ::-1])))
        return embeddings

    def _run(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        inputs = self.preprocess.normalise(crops)
        parts = np.split(inputs, len(inputs)) if self._one_at_a_time else [inputs]
        return np.concatenate([self._session.run(None, {self._input: part})[0] for part in parts])

    def _unit(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(lengths) & (lengths > 0)).all():
            raise WeightsError(f"{self.path} gives an embedding without a direction; fetch it again.")
        return np.asarray(vectors / lengths, np.float32)


class JointEmbedder:
    """Several embedders as one: their unit embeddings one after the other, over the root of their number.

    The cosine of two such embeddings is the mean of the members' cosines.
    """

    def __init__(self, members: Sequence[EmbedsFaces]) -> None:
        self._members = tuple(members)
        cuts = {(member.preprocess.crop, member.preprocess.size) for member in members}
        if len(cuts) != 1:
            raise ConfigurationError("Embedders that are joined must take the same crop, and these do not.")

    @property
    def name(self) -> str:
        """The members' names, joined by a plus."""
        return "+".join(member.name for member in self._members)

    @property
    def preprocess(self) -> Preprocess:
        """How crops are cut; each member normalises them in its own way."""
        return self._members[0].preprocess

    def embed(self, crops: NDArray[np.uint8], *, flip: bool = False) -> NDArray[np.float32]:
        """Embeddings (N, sum of the members' D) of RGB crops (N, size, size, 3), of unit length."""
        parts = [member.embed(crops, flip=flip) for member in self._members]
        return np.asarray(np.concatenate(parts, axis=1) / len(parts) ** 0.5, np.float32)
