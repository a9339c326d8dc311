"""The pictures of a list under the names that the list has for them.

Published lists and published archives do not name pictures alike: LFW's ``pairs.txt`` leaves the suffix out, its
archive has a folder around everything, and aligned crops of it may be PNG. So names are matched once, before
anything is read (``data/pairs.py: locate``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ostiary.data.listing import list_pictures
from ostiary.data.pairs import locate
from ostiary.data.pictures import CombinedPictures, PictureStore, normalise


def pictures_of_list(paths: Sequence[str], sources: Sequence[Path]) -> PictureStore:
    """Open folders and tars so that they answer to the names of a list; what is not there stays absent.

    Args:
        paths: names that the list uses.
        sources: folders or tars; the first that has a picture gives it.

    Raises:
        DataIndexError: a source is neither a folder nor a tar, or a name is absolute or has ``..``.

    """
    wanted = [normalise(path) for path in paths]
    stores = []
    for source in sources:
        store, present = list_pictures(source)
        stores.append(_Renamed(store, locate(wanted, present)))
    return stores[0] if len(stores) == 1 else CombinedPictures(stores)


class _Renamed(PictureStore):
    """A store that answers to other names beside its own."""

    def __init__(self, store: PictureStore, places: Mapping[str, str]) -> None:
        self._store = store
        self._places = places

    def __str__(self) -> str:
        return str(self._store)

    def _has(self, name: str) -> bool:
        return name in self._places or name in self._store

    def _read(self, name: str) -> bytes:
        return self._store.read(self._places.get(name, name))
