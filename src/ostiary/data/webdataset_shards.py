"""WebDataset shards: tars of ``key.jpg`` beside ``key.cls`` or ``key.json``, for data beyond one disk.

::

    train-000000.tar   000000.jpg 000000.cls 000001.jpg 000001.cls ...
    train-000001.tar   000000.jpg 000000.json ...

The tars are read at offsets, never as a stream: every picture can be drawn at any moment, so an order drawn
from a seed is kept whatever the number of processes or disks. Keys may begin anew in each shard, so a picture's
name begins with its shard's: ``train-000001/000000.jpg``.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from ostiary.data.folder import SPLIT_FOLDERS
from ostiary.data.identities import IdentityIndex, Portrait
from ostiary.data.index import Split
from ostiary.data.layout import PICTURE_SUFFIXES
from ostiary.data.listing import ListedTar
from ostiary.data.pictures import PictureStore
from ostiary.errors import DataIndexError

IDENTITY_FIELDS = ("identity", "label", "cls")
"""Where a ``.json`` may say who it is, the first that is there; a string or a whole number, null if not known."""


class ShardPictures(PictureStore):
    """Many tars as one store; the table of contents of each is read when its first picture is."""

    def __init__(self, shards: Iterable[Path]) -> None:
        self._shards: dict[str, Path] = {}
        for shard in shards:
            if self._shards.setdefault(shard.stem, shard) != shard:
                raise DataIndexError(
                    f"{shard}: has the name of {self._shards[shard.stem]}, and a picture is known by its shard's "
                    "name and its own; rename one of the two."
                )
        self._opened: dict[str, ListedTar] = {}

    def __str__(self) -> str:
        return f"{len(self._shards)} shards"

    def __getstate__(self) -> list[Path]:
        return list(self._shards.values())

    def __setstate__(self, shards: list[Path]) -> None:
        ShardPictures.__init__(self, shards)

    @property
    def shards(self) -> tuple[str, ...]:
        """Names of the shards, in the order given."""
        return tuple(self._shards)

    def shard(self, name: str) -> ListedTar:
        """The tar of that name."""
        if name not in self._opened:
            self._opened[name] = ListedTar(self._shards[name])
        return self._opened[name]

    def _has(self, name: str) -> bool:
        shard, _, member = name.partition("/")
        return shard in self._shards and member in self.shard(shard)

    def _read(self, name: str) -> bytes:
        shard, _, member = name.partition("/")
        if shard not in self._shards:
            raise DataIndexError(f"{name}: no {shard}.tar is among the {self}; name its folder as well.")
        return self.shard(shard).read(member)


def read(root: Path, dataset: str) -> IdentityIndex:
    """All pictures of a shard, or of all shards in a folder, in the order of shards and members.

    A shard whose name begins with train, validation or test is of that split. A picture without a label is of
    unknown identity, as is one with the label -1. DataIndexError if a label names no picture, or nobody.
    """
    store = open_shards(root)
    portraits = [portrait for shard in store.shards for portrait in _portraits(store.shard(shard), shard, dataset)]
    if not portraits:
        raise DataIndexError(f"{root}: no pictures in its shards; name them KEY.jpg, KEY.png or KEY.webp.")
    return IdentityIndex(portraits)


def open_shards(root: Path) -> ShardPictures:
    """The shard, or all shards in this folder, as one store."""
    shards = sorted(root.glob("*.tar")) if root.is_dir() else [root]
    if not shards:
        raise DataIndexError(f"{root}: no shards in it; name a folder that holds *.tar.")
    return ShardPictures(shards)


def holds_shards(root: Path) -> bool:
    """Whether this is a folder of tars, without folders of pictures."""
    return root.is_dir() and any(root.glob("*.tar")) and not any(path.is_dir() for path in root.iterdir())


_SUFFIXES = tuple(suffix.removeprefix(".") for suffix in PICTURE_SUFFIXES)
_LABELS = ("cls", "json")


def _portraits(tar: ListedTar, shard: str, dataset: str) -> Iterable[Portrait]:
    split = _split(shard)
    identities: dict[str, str] = {}
    for key, files in _samples(tar.names).items():
        pictures = [name for kind, name in files.items() if kind.rpartition(".")[2] in _SUFFIXES]
        labels = [files[kind] for kind in _LABELS if kind in files]
        if len(pictures) > 1 or (labels and not pictures):
            raise DataIndexError(
                f"{tar}: {key} has {len(pictures) or 'a label but no'} pictures; each key needs exactly one "
                f"({', '.join(_SUFFIXES)})."
            )
        if pictures:
            identity = _identity(tar, labels[0]) if labels else ""
            identity = identities.setdefault(identity, identity)
            yield Portrait(f"{shard}/{pictures[0]}", identity, split, dataset)


def _samples(names: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
    """The files of each key by kind: the key ends at the first dot of the file's name (WebDataset's rule)."""
    samples: dict[str, dict[str, str]] = defaultdict(dict)
    for name in names:
        folder, slash, file = name.rpartition("/")
        key, _, kind = file.partition(".")
        if key:
            samples[f"{folder}{slash}{key}"][kind.lower()] = name
    return samples


def _split(shard: str) -> Split:
    word = re.match("[a-z]*", shard.lower())
    return SPLIT_FOLDERS.get(word.group(), "") if word else ""


def _identity(tar: ListedTar, name: str) -> str:
    try:
        text = tar.read(name).decode("utf-8").strip()
        value = _field(json.loads(text)) if name.lower().endswith(".json") else int(text)
    except (ValueError, RecursionError) as error:
        raise DataIndexError(
            f"{tar}: {name} does not say who it is ({error}); it must hold a whole number, or be JSON with one of "
            f"the fields {', '.join(IDENTITY_FIELDS)}."
        ) from None
    return "" if value in (None, -1, "-1") else str(value).strip()


def _field(record: object) -> int | str | None:
    if isinstance(record, dict):
        for field in IDENTITY_FIELDS:
            if field in record:
                value = record[field]
                if value is None or (isinstance(value, int | str) and not isinstance(value, bool)):
                    return value
                raise ValueError(f"{field} is neither text nor a whole number")
    raise ValueError("no such field")
