"""Embedding many files into one: a bad file is one error, and the others go on.

Embeddings are personal data. The file that holds them can be read by its owner alone, and nothing else that is
made here shows them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostiary.embedder import Embedder, FaceEmbedding
from ostiary.errors import InputError


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedFile:
    """A file with what was found in it, or the sentence that says why it could not be read.

    ``row`` is the place of its embedding in the file of embeddings, None if it has none.
    """

    path: Path
    found: FaceEmbedding | None
    row: int | None = None
    error: str | None = None

    @property
    def exit_code(self) -> int:
        """0 embedded, 1 no face or one that is too bad, 2 not readable."""
        if self.found is None:
            return 2
        return 1 if self.row is None else 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the embedding."""
        if self.found is None:
            return {"image": str(self.path), "row": None, "reason": "unreadable", "error": self.error}
        return {"image": str(self.path), "row": self.row, **self.found.to_dict()}


def embed_files(embedder: Embedder, paths: Sequence[Path], out: Path) -> list[EmbeddedFile]:
    """Embed the largest face of each picture, and write all embeddings into ``out``, or nothing.

    ``out`` is a NumPy archive: ``embeddings`` float32 (N, D) of unit length, ``images`` (N,) the pictures' paths,
    ``model``, ``version`` and ``flip``. Pictures without an embedding have no row; if there is no row at all,
    no file is written.

    Raises:
        InputError: ``out`` does not end in ``.npz``, or cannot be written.

    """
    _check_target(out)
    results: list[EmbeddedFile] = []
    rows: list[NDArray[np.float32]] = []
    for path in paths:
        try:
            found = embedder.embed(path)
        except InputError as error:
            results.append(EmbeddedFile(path, None, error=str(error)))
        else:
            results.append(EmbeddedFile(path, found, None if found.embedding is None else len(rows)))
            rows += [] if found.embedding is None else [found.embedding]
    if rows:
        metadata = embedder.model.metadata
        arrays = {
            "embeddings": np.stack(rows),
            "images": np.array([str(result.path) for result in results if result.row is not None]),
            "model": metadata.name,
            "version": metadata.version,
            "flip": embedder.flip,
        }
        _write(arrays, out)
    return results


def _check_target(out: Path) -> None:
    if out.suffix != ".npz":
        raise InputError(f"{out} does not end in .npz; name a NumPy archive for the embeddings.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(out, error) from None


def _write(arrays: dict[str, Any], out: Path) -> None:
    """The whole archive or nothing: a temporary file, readable by its owner alone, takes the name at the end."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{out.name}-", suffix=".partial", dir=out.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, **arrays)
            Path(name).replace(out)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _refused(out, error) from None


def _refused(out: Path, error: OSError) -> InputError:
    return InputError(f"{out} cannot be written ({error.strerror}); name a file in a folder that can be written.")
