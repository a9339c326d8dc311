"""The index of a face recognition set: one row a picture, and whom it shows.

A CSV with the columns of :data:`COLUMNS`. Data that was published in another form has a reader that yields an
:class:`IdentityIndex` (``identity_readers.py``).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from sys import intern

import numpy as np
from numpy.typing import NDArray

from ostiary.data.index import SPLITS, Split
from ostiary.data.table import Table, one_of, read_rows, write_rows
from ostiary.errors import DataIndexError

COLUMNS = ("path", "identity", "split", "dataset")

Identity = tuple[str, str]
"""(data set, identity): the same name in two data sets is two people."""


@dataclass(frozen=True, slots=True)
class Portrait:
    """One picture of one person.

    ``path`` is the picture's name in its store, with forward slashes. ``identity`` is unique within
    ``dataset``, and empty where it is not known: such a picture can be learnt from, but is never a class.
    """

    path: str
    identity: str = ""
    split: Split = ""
    dataset: str = ""

    @property
    def person(self) -> Identity | None:
        """(data set, identity), or None where it is not known."""
        return (self.dataset, self.identity) if self.identity else None


class IdentityIndex(Table[Portrait]):
    """An immutable sequence of portraits, with the questions that training and evaluation ask of it."""

    def __repr__(self) -> str:
        return f"IdentityIndex({len(self)} portraits of {len(self.identities)} identities)"

    @cached_property
    def identities(self) -> Mapping[Identity, int]:
        """How many pictures of each known identity there are, by (data set, identity), sorted."""
        counts = Counter(portrait.person for portrait in self)
        return {person: counts[person] for person in sorted(filter(None, counts))}

    @property
    def single(self) -> int:
        """How many identities have one picture only: of them there can be no mated comparison."""
        return sum(count == 1 for count in self.identities.values())

    @property
    def unknown(self) -> int:
        """How many pictures have no known identity."""
        return len(self) - sum(self.identities.values())

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the data sets, sorted."""
        return tuple(sorted({portrait.dataset for portrait in self}))

    def classes(self) -> NDArray[np.int64]:
        """(N,): for each portrait the place of its identity in :attr:`identities`, or -1 if it is not known."""
        places: dict[Identity | None, int] = {person: place for place, person in enumerate(self.identities)}
        return np.fromiter((places.get(portrait.person, -1) for portrait in self), np.int64, len(self))

    def select(
        self, *, split: str | None = None, dataset: str | None = None, identity: str | None = None
    ) -> "IdentityIndex":
        """The portraits that match everything given; None matches all, the empty string matches empty."""
        wanted = {"split": split, "dataset": dataset, "identity": identity}
        given = [(name, value) for name, value in wanted.items() if value is not None]
        return IdentityIndex(p for p in self if all(getattr(p, name) == value for name, value in given))

    def with_at_least(self, pictures: int) -> "IdentityIndex":
        """The portraits of identities that have so many pictures or more; none of unknown identity."""
        enough = {person for person, count in self.identities.items() if count >= pictures}
        return IdentityIndex(portrait for portrait in self if portrait.person in enough)

    @staticmethod
    def concatenate(parts: "Iterable[IdentityIndex]") -> "IdentityIndex":
        """One index after the other."""
        return IdentityIndex(portrait for part in parts for portrait in part)

    def in_several_splits(self) -> dict[Identity, tuple[str, ...]]:
        """Each identity that more than one split contains, with these splits."""
        seen: dict[Identity, set[str]] = defaultdict(set)
        for portrait in self:
            if portrait.person and portrait.split:
                seen[portrait.person].add(portrait.split)
        return {person: tuple(sorted(splits)) for person, splits in sorted(seen.items()) if len(splits) > 1}

    def check_disjoint(self) -> None:
        """Raise DataIndexError if an identity, or one and the same picture, is in two splits."""
        shared = self.in_several_splits()
        if shared:
            (dataset, name), splits = next(iter(shared.items()))
            raise _shared(f"identity {name!r} of data set {dataset!r}", splits, len(shared))
        places: dict[str, str] = {}
        for portrait in self:
            if portrait.split and places.setdefault(portrait.path, portrait.split) != portrait.split:
                splits = tuple(sorted((places[portrait.path], portrait.split)))
                raise _shared(f"picture {portrait.path!r}", splits, 1)

    @classmethod
    def read_csv(cls, path: str | Path) -> "IdentityIndex":
        """Read an index file; DataIndexError names the line and what is wrong with it.

        All of :data:`COLUMNS` must be there, in any order; further columns are ignored. ``path`` must be
        filled in, the others may be empty.
        """
        return cls(read_rows(Path(path), _portrait, COLUMNS, what="portraits"))

    def write_csv(self, path: str | Path) -> None:
        """Write the index in the form that :meth:`read_csv` reads."""
        write_rows(Path(path), COLUMNS, ((p.path, p.identity, p.split, p.dataset) for p in self))


def _portrait(values: Mapping[str, str]) -> Portrait:
    if not values["path"]:
        raise ValueError("path is empty; every line must name a picture")
    split = one_of("split", values["split"], SPLITS)
    # A set of millions of pictures has few people: one string for each of them, not for each picture.
    return Portrait(values["path"], intern(values["identity"]), split, intern(values["dataset"]))


def _shared(what: str, splits: Iterable[str], number: int) -> DataIndexError:
    more = f" (and {number - 1} more)" if number > 1 else ""
    return DataIndexError(
        f"{what} is in the splits {', '.join(splits)}{more}: "
        "an error rate measured so would be too good; keep each person in one split."
    )
