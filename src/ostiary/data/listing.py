"""Which pictures a folder or a tar holds: readers of layouts without a list of their own begin here."""

from collections.abc import Sequence
from pathlib import Path

from ostiary.data.layout import PICTURE_SUFFIXES, find_pictures
from ostiary.data.pictures import FolderPictures, PictureStore, TarPictures


class ListedTar(TarPictures):
    """A tar that also tells its members, in the order in which they lie."""

    @property
    def names(self) -> tuple[str, ...]:
        """Normalised names of all files in it."""
        return tuple(self._places if self._contents is None else self._contents)


def list_pictures(source: Path) -> tuple[PictureStore, tuple[str, ...]]:
    """Open a folder or a tar, with the names of all its pictures, sorted folder by folder.

    Hidden files (``._a.jpg`` of a tar from a Mac is no picture) and hidden folders are left out.
    DataIndexError if ``source`` is neither.
    """
    if source.is_dir():
        store: PictureStore = FolderPictures(source)
        names: Sequence[str] = list(find_pictures(source, "."))
    else:
        store = tar = ListedTar(source)
        names = [name for name in tar.names if name.lower().endswith(PICTURE_SUFFIXES)]
    shown = (parts for parts in (name.split("/") for name in names) if not any(p.startswith(".") for p in parts))
    return store, tuple("/".join(parts) for parts in sorted(shown))


def common_folders(names: Sequence[str]) -> str:
    """``lfw/`` if all names begin with this folder and go on with another one; the empty string if not.

    An archive of people's folders often has one folder around them all.
    """
    top = ""
    while True:
        rest = [name.removeprefix(top).split("/") for name in names]
        if not rest or min(map(len, rest)) < 3 or len({parts[0] for parts in rest}) > 1:
            return top
        top += f"{rest[0][0]}/"
