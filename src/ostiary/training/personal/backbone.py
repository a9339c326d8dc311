"""The frozen backbone, as a file: what an embedder made of each unchanged picture, asked for once.

``train face-teacher`` writes it, for a recipe without views, from any embedder. As the backbone does not learn,
this is all that training needs of it.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import InputError
from ostiary.training.embedding.portraits import Portraits

UNCHANGED = "unchanged"
"""What the file says of its pictures."""

_UNREADABLE = (OSError, LookupError, ValueError, EOFError, TypeError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What numpy and the zip reader raise for absent, truncated and foreign files."""


@dataclass(frozen=True, slots=True)
class Backbone:
    """Embeddings float32 (N, D) of unit length, by the path of the picture; ``sha256`` is that of the file."""

    name: str
    sha256: str
    _embeddings: NDArray[np.float32]
    _places: dict[str, int]

    def __repr__(self) -> str:
        return f"Backbone({self.name!r}, {len(self._places)} pictures)"

    @property
    def dimension(self) -> int:
        """Numbers of one embedding."""
        return int(self._embeddings.shape[1])

    def of(self, portraits: Portraits) -> NDArray[np.float32]:
        """The embeddings (N, D) of these portraits.

        Raises:
            InputError: the backbone was not asked about one of them.

        """
        names = [portrait.path for portrait in portraits.portraits]
        missing = [name for name in names if name not in self._places]
        if missing:
            raise InputError(
                f"The backbone's file {self.name!r} has no embedding of {missing[0]} and {len(missing) - 1} other "
                "pictures: make it anew with 'ostiary train face-teacher'."
            )
        return self._embeddings[[self._places[name] for name in names]]


def open_backbone(path: Path) -> Backbone:
    """Read a file of ``train face-teacher``; the backbone is called after it.

    Raises:
        InputError: it is missing, no such file, of changed pictures, or has an embedding without a direction.

    """
    try:
        with np.load(path) as file:
            views, paths, changes = file["embeddings"], file["paths"], str(file["changes"])
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    except _UNREADABLE:
        raise InputError(
            f"{path} is missing or not a teacher's file: make it with 'ostiary train face-teacher'."
        ) from None
    if views.ndim != 3 or not len(views) or views.shape[1] != len(paths) or views.dtype.kind != "f":
        raise InputError(f"{path} holds no embedding a picture: make it with 'ostiary train face-teacher'.")
    if changes != UNCHANGED:
        raise InputError(f"{path} is of changed pictures: ask the backbone again with a recipe that has no views.")
    embeddings = views[0].astype(np.float32)
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise InputError(f"{path} has an embedding without a direction: ask the backbone again.")
    places = {name: place for place, name in enumerate(paths.tolist())}
    return Backbone(path.stem, sha256, embeddings / lengths, places)
