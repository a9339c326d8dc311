"""Where an index's pictures lie: a folder, a tar, or several of them, all read by the same two methods.

A plain tar is read at recorded offsets and never unpacked. Every read opens the file anew: tens of
microseconds beside a decode of milliseconds, and in return a store may be shared by threads, forked,
and pickled to worker processes.
"""

import lzma
import tarfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import DataIndexError, ImageError
from ostiary.images import read_image

MAX_COMPRESSED_BYTES = 2 * 1024**3  # a compressed tar has no random access and is held in memory


def open_pictures(source: str | Path | Sequence[str | Path]) -> "PictureStore":
    """Open a folder, a tar (plain, or compressed by gzip, bzip2 or xz), or a list of them as one store.

    In a list the first that has a picture gives it. DataIndexError if a source is neither.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        return FolderPictures(path) if path.is_dir() else TarPictures(path)
    if not source:
        raise DataIndexError("no pictures given; name a folder or a tar.")
    stores = [open_pictures(one) for one in source]
    return stores[0] if len(stores) == 1 else CombinedPictures(stores)


class PictureStore(ABC):
    """Pictures by name. Names use forward slashes and are relative; ``..`` is refused."""

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self._has(normalise(path))

    def read(self, path: str) -> bytes:
        """The stored bytes of a picture; DataIndexError if it is not there."""
        return self._read(normalise(path))

    def image(self, path: str) -> NDArray[np.uint8]:
        """The decoded picture, RGB uint8 (H, W, 3); ImageError, naming it, if it cannot be decoded."""
        encoded = self.read(path)
        try:
            return read_image(encoded)
        except ImageError as error:
            raise ImageError(f"{path} in {self}: {error}") from None

    @abstractmethod
    def _has(self, name: str) -> bool: ...

    @abstractmethod
    def _read(self, name: str) -> bytes: ...


class FolderPictures(PictureStore):
    """A folder; names are relative to it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __str__(self) -> str:
        return str(self._root)

    def _has(self, name: str) -> bool:
        return (self._root / name).is_file()

    def _read(self, name: str) -> bytes:
        try:
            return (self._root / name).read_bytes()
        except OSError as error:
            raise _missing(name, self, error.strerror or "cannot be read") from None


class TarPictures(PictureStore):
    """A tar; names are those of its members. Hard links inside the tar are followed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[str, tuple[int, int]] = {}
        self._contents: dict[str, bytes] | None = None
        try:
            if _is_plain_tar(path):
                self._places = dict(_offsets(path))
            else:
                self._contents = dict(_unpacked(path))
        except (OSError, EOFError, KeyError, zlib.error, lzma.LZMAError, tarfile.TarError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise DataIndexError(
                f"{path}: neither a folder nor a complete tar of pictures ({reason}); check the path."
            ) from None

    def __str__(self) -> str:
        return str(self._path)

    def __getstate__(self) -> Path:
        return self._path

    def __setstate__(self, path: Path) -> None:
        TarPictures.__init__(self, path)

    def _has(self, name: str) -> bool:
        return name in (self._places if self._contents is None else self._contents)

    def _read(self, name: str) -> bytes:
        if not self._has(name):
            raise _missing(name, self, "no such member")
        if self._contents is not None:
            return self._contents[name]
        offset, size = self._places[name]
        try:
            with self._path.open("rb") as stream:
                stream.seek(offset)
                return stream.read(size)
        except OSError as error:
            raise _missing(name, self, error.strerror or "cannot be read") from None


class CombinedPictures(PictureStore):
    """Several stores as one; the first that has a picture gives it."""

    def __init__(self, stores: Sequence[PictureStore]) -> None:
        self._stores = tuple(stores)

    def __str__(self) -> str:
        return ", ".join(map(str, self._stores))

    def _has(self, name: str) -> bool:
        return any(name in store for store in self._stores)

    def _read(self, name: str) -> bytes:
        for store in self._stores:
            if name in store:
                return store.read(name)
        raise _missing(name, self, "in none of them")


def normalise(name: str) -> str:
    """``./a//b.png`` -> ``a/b.png``; DataIndexError for absolute names and for ``..``."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts or path.parts[0].endswith(":"):
        raise DataIndexError(
            f"picture name {name!r} is refused: names must be relative to the folder or tar, without '..'."
        )
    return str(path)


def _missing(name: str, store: PictureStore, reason: str) -> DataIndexError:
    return DataIndexError(
        f"{name}: not among the pictures of {store} ({reason}); "
        "check that the index and the pictures belong together."
    )


def _is_plain_tar(path: Path) -> bool:
    try:
        with tarfile.open(path, "r:"):
            return True
    except tarfile.ReadError:
        return False


def _offsets(path: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    found: dict[str, tuple[int, int]] = {}
    length = path.stat().st_size
    with tarfile.open(path, "r:") as archive:
        for name, member in _members(archive):
            place = found.get(member.linkname) if member.islnk() else (member.offset_data, member.size)
            if place is None:
                continue
            if sum(place) > length:
                raise tarfile.ReadError(f"cut off inside {name}")
            found[member.name] = place
            yield name, place


def _unpacked(path: Path) -> Iterator[tuple[str, bytes]]:
    total = 0
    with tarfile.open(path, "r:*") as archive:
        for name, member in _members(archive):
            total += member.size
            if total > MAX_COMPRESSED_BYTES:
                raise DataIndexError(
                    f"{path}: holds more than {MAX_COMPRESSED_BYTES // 1024**3} GiB compressed, and is read "
                    "into memory; make it a plain tar, or unpack it to a folder."
                )
            stream = archive.extractfile(member)
            if stream is not None:
                yield name, stream.read()


def _members(archive: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    for member in archive:
        if (member.isreg() and not member.issparse()) or member.islnk():
            try:
                yield normalise(member.name), member
            except DataIndexError:
                continue  # nothing is unpacked, so a hostile name does no harm: it cannot be asked for
