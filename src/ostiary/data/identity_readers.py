"""The table of layouts of face recognition sets: a new one is one new file and one line here."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from ostiary.data import identity_folders, identity_pack, record_files, webdataset_shards
from ostiary.data.identities import IdentityIndex
from ostiary.data.pictures import CombinedPictures, PictureStore, open_pictures
from ostiary.errors import DataIndexError


class Layout(NamedTuple):
    """How one layout is read, how its pictures are opened, and how it is told from the others."""

    read: Callable[[Path, str], IdentityIndex]
    open: Callable[[Path], PictureStore]
    is_here: Callable[[Path], bool]


LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        "identity_pack": Layout(identity_pack.read, identity_pack.open_pack, identity_pack.is_pack),
        "record_files": Layout(record_files.read, record_files.open_records, record_files.is_record_file),
        "webdataset_shards": Layout(
            webdataset_shards.read, webdataset_shards.open_shards, webdataset_shards.holds_shards
        ),
        "identity_folders": Layout(identity_folders.read, open_pictures, Path.exists),
    }
)
"""In the order in which :func:`open_faces` asks them."""


def read_faces(layout: str, roots: Sequence[Path], dataset: str | None = None) -> IdentityIndex:
    """Read one data set by the reader of that name; several roots are parts of it, on several disks perhaps.

    Args:
        layout: a name of :data:`LAYOUTS`.
        roots: folders or files, as the layout has them. An identity is the same person in all of them.
        dataset: the name of the data set; by default that of the first root.

    Raises:
        DataIndexError: there is no such layout, its reader finds a fault, or two roots name a picture alike.

    """
    if layout not in LAYOUTS:
        raise DataIndexError(f"unknown layout {layout!r}; there are {', '.join(sorted(LAYOUTS))}.")
    if not roots:
        raise DataIndexError("no data given; name a folder or a file.")
    name = dataset if dataset is not None else _name(roots[0])
    parts = [LAYOUTS[layout].read(root, name) for root in roots]
    if len(parts) == 1:
        return parts[0]
    owner: dict[str, Path] = {}
    for root, part in zip(roots, parts, strict=True):
        for portrait in part:
            if owner.setdefault(portrait.path, root) != root:
                raise DataIndexError(
                    f"{portrait.path} is in {owner[portrait.path]} and in {root}: no index can tell the two "
                    "apart; rename a folder or a shard, or index them separately."
                )
    return IdentityIndex.concatenate(parts)


def open_faces(source: Path | Sequence[Path]) -> PictureStore:
    """Open the pictures of any layout, by what lies there; of several sources the first that has one gives it.

    Whatever was named to :func:`read_faces` is named here: a pack's folder, a record file, a folder of shards; and
    otherwise a folder or a tar of pictures.
    """
    if isinstance(source, Path):
        layout = next((one for one in LAYOUTS.values() if one.is_here(source)), LAYOUTS["identity_folders"])
        return layout.open(source)
    if not source:
        raise DataIndexError("no pictures given; name a folder, a tar, a record file or a folder of shards.")
    stores = [open_faces(one) for one in source]
    return stores[0] if len(stores) == 1 else CombinedPictures(stores)


def _name(root: Path) -> str:
    """The folder's name, or the file's without what it ends in; ``train.rec`` is named after its folder."""
    place = root.resolve()
    if place.suffix == ".rec":
        return place.parent.name
    return place.name if place.is_dir() else place.name.partition(".")[0]
