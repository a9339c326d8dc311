"""A folder of results, or a file, appears whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ostiary.errors import ConfigurationError

LAST = "report.json"
"""Moved in after all others: who sees it sees results that belong together."""


@contextmanager
def replacing(out: Path, stale: tuple[str, ...] = ()) -> Iterator[Path]:
    """A temporary folder beside ``out``, whose files replace those of ``out`` when the block ends well.

    If it ends with an error, ``out`` stays as it was. Files of an earlier run that match a pattern of
    ``stale`` and were not made anew are removed, so that no old plot stands beside a new table.

    Raises:
        ConfigurationError: the folder cannot be written.

    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise _refused(out, error) from None
    try:
        yield work
        _move(work, out, stale)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def replace_file(path: Path, content: bytes | str) -> None:
    """Write a file; what stood there before stays if it cannot be written.

    Raises:
        ConfigurationError: it cannot be written.

    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content if isinstance(content, bytes) else content.encode())
        partial.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written ({error.strerror}); name another file.") from None
    finally:
        partial.unlink(missing_ok=True)


def _move(work: Path, out: Path, stale: tuple[str, ...]) -> None:
    made = sorted(work.iterdir(), key=lambda path: (path.name == LAST, path.name))
    try:
        out.mkdir(exist_ok=True)
        for path in made:
            os.replace(path, out / path.name)  # noqa: PTH105 - one atomic call, also across an open file
        names = {path.name for path in made}
        for pattern in stale:
            for old in out.glob(pattern):
                if old.name not in names:
                    old.unlink()
    except OSError as error:
        raise _refused(out, error) from None


def _refused(out: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{out}: results cannot be written there ({error.strerror}); name a folder that can be written."
    )
