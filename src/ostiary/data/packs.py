"""Packs: a folder of ``<name>.csv`` indexes, each beside a ``<name>.tar`` of its pictures, read in place."""

from collections.abc import Sequence
from pathlib import Path

from ostiary.data.index import Index
from ostiary.data.pictures import PictureStore, open_pictures
from ostiary.errors import DataIndexError


def read(root: Path, names: Sequence[str] | None = None) -> Index:
    """The packs of a folder as one index; ``names`` picks some of them (default: all, sorted)."""
    return Index.concatenate(Index.read_csv(root / f"{name}.csv") for name in _names(root, names))


def open_packs(root: Path, names: Sequence[str] | None = None) -> tuple[Index, PictureStore]:
    """The packs of a folder as one index and one store of pictures; nothing is unpacked."""
    chosen = _names(root, names)
    return read(root, chosen), open_pictures([root / f"{name}.tar" for name in chosen])


def _names(root: Path, names: Sequence[str] | None) -> list[str]:
    present = sorted(path.stem for path in root.glob("*.csv") if path.with_suffix(".tar").is_file())
    if not present:
        raise DataIndexError(f"{root}: no pack in it; a pack is NAME.csv beside NAME.tar.")
    absent = [name for name in names or () if name not in present]
    if absent:
        raise DataIndexError(f"{root}: no pack named {', '.join(absent)}; choose among {', '.join(present)}.")
    return present if names is None else list(names)
