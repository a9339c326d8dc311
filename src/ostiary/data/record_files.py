"""InsightFace's record files (MS1MV2, Glint360K, ...), read in place and without mxnet.

::

    train.rec   records: magic, length, header, picture
    train.idx   key<TAB>offset, one line a record
    property    number of people, height, width (optional)

Record and header are those of dmlc and mxnet: ``magic length`` (uint32 each), then ``flag label id id2`` (uint32,
float32, uint64, uint64), then ``flag`` further float32 labels, of which the first is the person, then the
picture. Beside pictures a file may hold records without one: the ranges of keys of the whole set and of each
person. They are told by being empty, and not used, since a float32 cannot count beyond 16.8 million.
"""

import logging
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from ostiary.data.folder import SPLIT_FOLDERS
from ostiary.data.identities import IdentityIndex, Portrait
from ostiary.data.pictures import PictureStore
from ostiary.errors import DataIndexError

_log = logging.getLogger(__name__)


class RecordPictures(PictureStore):
    """The pictures of one record file; a picture's name is ``FOLDER/STEM/KEY``, such as ``faces_emore/train/17``.

    The folder is part of the name because most sets call their file ``train.rec``. Keys and offsets take 16
    bytes a record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._prefix = f"{path.resolve().parent.name}/{path.stem}/"
        self._keys, self._offsets = _read_idx(path)
        try:
            with path.open("rb") as stream:
                _read_record(stream, self.path, int(self._keys[-1]), int(self._offsets[-1]))
        except OSError as error:
            raise DataIndexError(f"{path}: cannot be read ({error.strerror}); check the path.") from None
        by_key = np.argsort(self._keys, kind="stable")
        self._keys, self._offsets = self._keys[by_key], self._offsets[by_key]

    def __str__(self) -> str:
        return str(self.path)

    def __getstate__(self) -> Path:
        return self.path

    def __setstate__(self, path: Path) -> None:
        RecordPictures.__init__(self, path)

    def labels(self) -> Iterator[tuple[str, float]]:
        """Name and label of each record that holds a picture, by key; reads the head of every record once.

        DataIndexError names the first record that is damaged or cut off.
        """
        file = np.memmap(self.path, np.uint8, "r")
        for start in range(0, len(self._keys), _AT_ONCE):
            keys, offsets = self._keys[start : start + _AT_ONCE], self._offsets[start : start + _AT_ONCE]
            labels, sizes = self._heads(file, keys, offsets)
            for place in np.flatnonzero(sizes > 0):
                yield f"{self._prefix}{keys[place]}", float(labels[place])

    def _has(self, name: str) -> bool:
        return self._place(name) is not None

    def _read(self, name: str) -> bytes:
        place = self._place(name)
        if place is None:
            raise DataIndexError(
                f"{name}: not among the pictures of {self}; check that the index and the file belong together."
            )
        key, offset = int(self._keys[place]), int(self._offsets[place])
        try:
            with self.path.open("rb") as stream:
                record = _read_record(stream, self.path, key, offset)
        except OSError as error:
            raise DataIndexError(f"{self.path}: cannot be read ({error.strerror}); check the path.") from None
        return record[_picture_start(self.path, key, record) :]

    def _place(self, name: str) -> int | None:
        key = name.removeprefix(self._prefix)
        if key == name or not key.isdecimal() or len(key) > _LONGEST_KEY:
            return None
        place = int(np.searchsorted(self._keys, int(key)))
        return place if place < len(self._keys) and self._keys[place] == int(key) else None

    def _heads(
        self, file: NDArray[np.uint8], keys: NDArray[np.int64], offsets: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """First label (n,) and picture's size in bytes (n,) of some records."""
        size = _FRAME.size + _HEADER.size
        self._refuse_first(offsets + size > len(file), keys, "is cut off")
        heads = file[offsets[:, None] + np.arange(size)]
        magic, length, flag = (heads[:, start : start + 4].copy().view("<u4")[:, 0] for start in (0, 4, 8))
        labels = heads[:, 12:16].copy().view("<f4")[:, 0]
        parts, sizes = length >> _LENGTH_BITS, (length & _LENGTH).astype(np.int64)
        self._refuse_first((magic != _MAGIC) | (parts > 1), keys, "does not begin where the .idx says")
        self._refuse_first(offsets + _FRAME.size + sizes > len(file), keys, "is cut off")
        sizes -= _HEADER.size + 4 * flag.astype(np.int64)
        whole = parts == 0
        self._refuse_first(whole & (sizes < 0), keys, "has a header longer than itself")
        several = whole & (flag > 0)
        starts = offsets[several] + size
        labels[several] = file[starts[:, None] + np.arange(4)].view("<f4")[:, 0]
        for place in np.flatnonzero(~whole):  # rare: a picture that holds the magic number
            labels[place], sizes[place] = self._head_of_parts(int(keys[place]), int(offsets[place]))
        return labels, sizes

    def _head_of_parts(self, key: int, offset: int) -> tuple[float, int]:
        with self.path.open("rb") as stream:
            record = _read_record(stream, self.path, key, offset)
        start = _picture_start(self.path, key, record)
        flag, label, _, _ = _HEADER.unpack_from(record)
        return (struct.unpack_from("<f", record, _HEADER.size)[0] if flag else label), len(record) - start

    def _refuse_first(self, faulty: NDArray[np.bool_], keys: NDArray[np.int64], fault: str) -> None:
        if faulty.any():
            _damaged(self.path, int(keys[faulty.argmax()]), fault)


def read(root: Path, dataset: str) -> IdentityIndex:
    """All pictures of a record file, or of the one in a folder (``train.rec`` if there are several).

    A file called train, validation or test is that split. Labels below zero are unknown identities.
    DataIndexError names what is missing or damaged.
    """
    pictures = open_records(root)
    split = SPLIT_FOLDERS.get(pictures.path.stem, "")
    identities: dict[float, str] = {}
    portraits = []
    for name, label in pictures.labels():
        if label not in identities:
            identities[label] = _identity(pictures.path, name, label)
        portraits.append(Portrait(name, identities[label], split, dataset))
    if not portraits:
        raise DataIndexError(f"{pictures.path}: no record of it holds a picture; fetch it again.")
    stated = _stated_identities(pictures.path.with_name("property"))
    found = len({identity for identity in identities.values() if identity})
    if stated not in (None, found):
        _log.warning("%s: holds %d identities, but its file 'property' says %d", pictures.path, found, stated)
    return IdentityIndex(portraits)


def open_records(root: Path) -> RecordPictures:
    """The record file, or the one in this folder, as a store of pictures."""
    if not root.is_dir():
        return RecordPictures(root)
    found = sorted(root.glob("*.rec"))
    chosen = [path for path in found if path.name == "train.rec"] or found
    if len(chosen) != 1:
        names = ", ".join(path.name for path in found)
        raise DataIndexError(
            f"{root}: {f'several record files in it; name one of {names}' if found else 'no .rec file in it'}."
        )
    return RecordPictures(chosen[0])


def is_record_file(root: Path) -> bool:
    """Whether this is a record file or a folder with one."""
    return root.suffix == ".rec" or (root.is_dir() and any(root.glob("*.rec")))


_MAGIC = 0xCED7230A
_FRAME = struct.Struct("<II")
_HEADER = struct.Struct("<IfQQ")
_LENGTH_BITS = 29
_LENGTH = (1 << _LENGTH_BITS) - 1
_FIRST, _LAST = 1, 3
"""Parts of a record that holds the magic number: cut there, and joined by it again."""

_AT_ONCE = 1 << 16
_LONGEST_KEY = 18
"""Digits of a number that surely fits 64 bits."""


def _read_idx(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keys and offsets, by offset."""
    idx = path.with_suffix(".idx")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an empty file, which is an error below
            table = np.loadtxt(idx, np.int64, comments=None, ndmin=2)
    except OSError as error:
        raise DataIndexError(f"{idx}: cannot be read ({error.strerror}); put it beside {path.name}.") from None
    except (ValueError, OverflowError):
        table = np.empty((0, 2), np.int64)
    if table.shape[1:] != (2,) or not len(table) or table.min() < 0 or len(np.unique(table[:, 0])) < len(table):
        raise DataIndexError(
            f"{idx}: is no index of {path.name}: each line must be 'key<TAB>offset', each key once; "
            "fetch it again."
        )
    table = table[np.argsort(table[:, 1], kind="stable")]
    return table[:, 0], table[:, 1]


def _read_record(stream: BinaryIO, path: Path, key: int, offset: int) -> bytes:
    """One record, its parts joined."""
    stream.seek(offset)
    parts: list[bytes] = []
    while True:
        frame = stream.read(_FRAME.size)
        if len(frame) < _FRAME.size:
            _damaged(path, key, "is cut off")
        magic, length = _FRAME.unpack(frame)
        part, size = length >> _LENGTH_BITS, length & _LENGTH
        if magic != _MAGIC or (part in (0, _FIRST)) != (not parts):
            _damaged(path, key, "does not begin where the .idx says" if not parts else "is damaged")
        parts.append(stream.read(size))
        if len(parts[-1]) < size:
            _damaged(path, key, "is cut off")
        if part in (0, _LAST):
            return struct.pack("<I", _MAGIC).join(parts)
        stream.seek(-size % 4, 1)


def _picture_start(path: Path, key: int, record: bytes) -> int:
    if len(record) < _HEADER.size:
        _damaged(path, key, "is shorter than its header")
    start: int = _HEADER.size + 4 * _HEADER.unpack_from(record)[0]
    if start > len(record):
        _damaged(path, key, "has a header longer than itself")
    return start


def _damaged(path: Path, key: int, fault: str) -> NoReturn:
    raise DataIndexError(f"{path}: record {key} {fault}; .rec and .idx must belong together: fetch both again.")


def _identity(path: Path, name: str, label: float) -> str:
    if not label.is_integer():
        raise DataIndexError(f"{path}: {name} has the label {label}, which numbers nobody; fetch the file again.")
    return str(int(label)) if label >= 0 else ""


def _stated_identities(path: Path) -> int | None:
    """The number of people that the set states of itself, if it does."""
    try:
        return int(path.read_text(encoding="utf-8").split(",")[0])
    except (OSError, ValueError):
        return None
