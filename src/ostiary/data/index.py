"""The index of a liveness data set: one row a face, whatever the data set was published as.

A CSV with the columns of :data:`COLUMNS`; everything that learns or measures reads this and nothing else.
Data that was published in another form has a reader that yields an :class:`Index`.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ostiary.data.table import Table, one_of, read_rows, write_rows
from ostiary.errors import DataIndexError
from ostiary.faces.detector import Box

Label = Literal["bona_fide", "attack"]
Split = Literal["train", "development", "test", ""]

COLUMNS = ("path", "label", "species", "subject", "split", "dataset", "capture", "box")
LABELS: tuple[Label, ...] = ("bona_fide", "attack")
SPLITS: tuple[Split, ...] = ("train", "development", "test", "")
UNSPECIFIED = "unspecified"


@dataclass(frozen=True, slots=True)
class Sample:
    """One face in one picture.

    ``path`` is the picture's name in its store (folder or tar), with forward slashes. ``species`` is the
    kind of attack instrument (ISO/IEC 30107-3), empty for bona fide. ``subject`` and ``capture`` (all frames
    of one recording) are unique within ``dataset``; each may be empty where it is not known. ``box`` is the
    face in pixels of the stored picture, or None.
    """

    path: str
    label: Label
    species: str = ""
    subject: str = ""
    split: Split = ""
    dataset: str = ""
    capture: str = ""
    box: Box | None = None


class Index(Table[Sample]):
    """An immutable sequence of samples, with the questions that training and evaluation ask of it."""

    def __repr__(self) -> str:
        return f"Index({len(self)} samples of {', '.join(self.datasets) or 'no data set'})"

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the data sets, sorted."""
        return tuple(sorted({sample.dataset for sample in self}))

    @property
    def species(self) -> tuple[str, ...]:
        """Attack species, sorted."""
        return tuple(sorted({sample.species for sample in self if sample.label == "attack"}))

    @property
    def subjects(self) -> tuple[tuple[str, str], ...]:
        """Known people as (dataset, subject), sorted: the same name in two data sets is two people."""
        return tuple(sorted({(sample.dataset, sample.subject) for sample in self if sample.subject}))

    def select(self, *, split: str | None = None, dataset: str | None = None, label: str | None = None) -> "Index":
        """The samples that match everything given; None matches all, the empty string matches empty."""
        wanted = {"split": split, "dataset": dataset, "label": label}
        given = [(name, value) for name, value in wanted.items() if value is not None]
        return Index(s for s in self if all(getattr(s, name) == value for name, value in given))

    @staticmethod
    def concatenate(parts: "Iterable[Index]") -> "Index":
        """One index after the other."""
        return Index(sample for part in parts for sample in part)

    def in_several_splits(self, field: Literal["subject", "capture"]) -> dict[tuple[str, str], tuple[str, ...]]:
        """(dataset, name) of each subject or capture that more than one split contains, with these splits."""
        seen: dict[tuple[str, str], set[str]] = defaultdict(set)
        for sample in self:
            name = getattr(sample, field)
            if name and sample.split:
                seen[sample.dataset, name].add(sample.split)
        return {key: tuple(sorted(splits)) for key, splits in sorted(seen.items()) if len(splits) > 1}

    def check_disjoint(self) -> None:
        """Raise DataIndexError if a subject or a capture of a data set is in two splits."""
        for field in ("subject", "capture"):
            shared = self.in_several_splits(field)
            if shared:
                (dataset, name), splits = next(iter(shared.items()))
                more = f" (and {len(shared) - 1} more)" if len(shared) > 1 else ""
                raise DataIndexError(
                    f"{field} {name!r} of data set {dataset!r} is in the splits {', '.join(splits)}{more}: "
                    f"an error rate measured so would be too good; keep each {field} in one split."
                )

    @classmethod
    def read_csv(cls, path: str | Path) -> "Index":
        """Read an index file; DataIndexError names the line and what is wrong with it.

        All of :data:`COLUMNS` must be there, in any order; further columns are ignored. ``path`` and
        ``label`` must be filled in, the others may be empty; an attack without species is ``unspecified``.
        """
        return cls(read_rows(Path(path), _sample, COLUMNS, what="samples"))

    def write_csv(self, path: str | Path) -> None:
        """Write the index in the form that :meth:`read_csv` reads."""
        write_rows(Path(path), COLUMNS, map(_values, self))


def _values(sample: Sample) -> tuple[str, ...]:
    s = sample
    box = "" if s.box is None else " ".join(f"{value:.10g}" for value in s.box)
    return (s.path, s.label, s.species, s.subject, s.split, s.dataset, s.capture, box)


def _sample(values: Mapping[str, str]) -> Sample:
    if not values["path"]:
        raise ValueError("path is empty; every line must name a picture")
    label = one_of("label", values["label"], LABELS)
    species = values["species"]
    if species and label == "bona_fide":
        raise ValueError(f"species {species!r} given for a bona fide sample; leave it empty or say attack")
    return Sample(
        path=values["path"],
        label=label,
        species=species or (UNSPECIFIED if label == "attack" else ""),
        subject=values["subject"],
        split=one_of("split", values["split"], SPLITS),
        dataset=values["dataset"],
        capture=values["capture"],
        box=parse_box(values["box"]),
    )


def parse_box(text: str) -> Box | None:
    """``x y w h`` in pixels -> Box, empty -> None; ValueError unless four finite numbers, size > 0."""
    if not text.strip():
        return None
    try:
        x, y, width, height = (float(part) for part in text.split())
    except ValueError:
        raise ValueError(f"bad box {text!r}; write four numbers 'x y w h' in pixels, or nothing") from None
    if not all(map(math.isfinite, (x, y, width, height))) or width <= 0 or height <= 0:
        raise ValueError(f"bad box {text!r}; its numbers must be finite and its size above zero")
    return Box(x, y, width, height)
