"""A pack of aligned faces: tars beside one list that says whom each picture shows.

::

    index.csv   path,shard,identity,split,source
    *.tar       the shards, read in place

``identity`` is -1 where it is not known, and otherwise one person over all sources. ``train`` and ``extra`` have
identities, ``unlabelled`` has none; the people of ``validation`` are in no other split and are what results are
measured on, so they are the split ``test`` here: nothing is learnt from them and nothing chosen by them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from sys import intern

from ostiary.data.identities import IdentityIndex, Portrait
from ostiary.data.index import Split
from ostiary.data.pictures import PictureStore, open_pictures
from ostiary.data.table import read_rows

LIST = "index.csv"
COLUMNS = ("path", "shard", "identity", "split", "source")
SPLITS = ("train", "extra", "unlabelled", "validation")
UNKNOWN = "-1"

_SPLITS: Mapping[str, Split] = {**dict.fromkeys(SPLITS, "train"), "validation": "test"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the list; ``identity`` is empty where it is not known."""

    path: str
    shard: str
    identity: str
    split: str
    source: str


def read_list(root: Path) -> tuple[Entry, ...]:
    """The list of the pack in this folder; DataIndexError names a bad line."""
    return read_rows(root / LIST, _entry, COLUMNS, what="photographs")


def read(root: Path, dataset: str) -> IdentityIndex:
    """All pictures of the pack.

    A picture of an unknown person is of a data set named after its source (``pack/source``), so that a
    training can weigh the sources; where a person is known, all sources are one data set.
    """
    return IdentityIndex(
        Portrait(
            entry.path,
            entry.identity,
            _SPLITS[entry.split],
            dataset if entry.identity else intern(f"{dataset}/{entry.source}"),
        )
        for entry in read_list(root)
    )


def open_pack(root: Path) -> PictureStore:
    """The pictures of all shards that the list names, read in place."""
    return open_pictures([root / shard for shard in sorted({entry.shard for entry in read_list(root)})])


def is_pack(root: Path) -> bool:
    """Whether this is a folder with a list of shards."""
    try:
        with (root / LIST).open(encoding="utf-8-sig") as stream:
            return set(COLUMNS) <= {name.strip() for name in stream.readline().split(",")}
    except (OSError, UnicodeDecodeError):
        return False


def _entry(values: Mapping[str, str]) -> Entry:
    if not all(values.values()) or values["split"] not in SPLITS:
        raise ValueError(
            "needs a path, an identity (-1 if not known), a shard, a source and a split, "
            f"one of {', '.join(SPLITS)}"
        )
    shard, identity, split, source = (intern(values[name]) for name in COLUMNS[1:])
    return Entry(values["path"], shard, "" if identity == UNKNOWN else identity, split, source)
