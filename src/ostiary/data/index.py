"""The index of a liveness data set: one row a face, whatever the data set was published as.

A CSV with the columns of :data:`COLUMNS`; everything that learns or measures reads this and nothing else.
Data that was published in another form has a reader that yields an :class:`Index`.
"""

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO, TypeVar, cast, overload

from ostiary.errors import DataIndexError
from ostiary.faces.detector import Box

Label = Literal["bona_fide", "attack"]
Split = Literal["train", "development", "test", ""]

COLUMNS = ("path", "label", "species", "subject", "split", "dataset", "capture", "box")
LABELS: tuple[Label, ...] = ("bona_fide", "attack")
SPLITS: tuple[Split, ...] = ("train", "development", "test", "")
UNSPECIFIED = "unspecified"

_Word = TypeVar("_Word", bound=str)


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


class Index(Sequence[Sample]):
    """An immutable sequence of samples, with the questions that training and evaluation ask of it."""

    def __init__(self, samples: Iterable[Sample] = ()) -> None:
        self._samples = tuple(samples)

    @overload
    def __getitem__(self, item: int) -> Sample: ...
    @overload
    def __getitem__(self, item: slice) -> "Index": ...
    def __getitem__(self, item: int | slice) -> "Sample | Index":
        return Index(self._samples[item]) if isinstance(item, slice) else self._samples[item]

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._samples)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Index) and self._samples == other._samples

    def __hash__(self) -> int:
        return hash(self._samples)

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
        path = Path(path)
        try:
            with path.open(encoding="utf-8-sig", newline="") as stream:
                samples = tuple(_parse(stream, path))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise DataIndexError(f"{path}: cannot be read as a UTF-8 CSV file: {reason}.") from None
        if not samples:
            raise DataIndexError(f"{path}: no samples in it; write one line a face under the header.")
        return cls(samples)

    def write_csv(self, path: str | Path) -> None:
        """Write the index in the form that :meth:`read_csv` reads."""
        with Path(path).open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(COLUMNS)
            for s in self:
                box = "" if s.box is None else " ".join(f"{value:.10g}" for value in s.box)
                writer.writerow((s.path, s.label, s.species, s.subject, s.split, s.dataset, s.capture, box))


def _parse(stream: TextIO, path: Path) -> Iterator[Sample]:
    rows = csv.DictReader(stream, strict=True)
    header = [name.strip() for name in rows.fieldnames or ()]
    if not header:
        raise DataIndexError(f"{path}: the file is empty; its first line must be {','.join(COLUMNS)}.")
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise DataIndexError(
            f"{path}: missing column{'s' * (len(missing) > 1)} {', '.join(missing)}; "
            f"the header must name {','.join(COLUMNS)} (values other than path and label may be empty)."
        )
    rows.fieldnames = header
    for row in rows:
        try:
            yield _sample(row)
        except ValueError as error:
            raise DataIndexError(f"{path}, line {rows.line_num}: {error}.") from None


def _sample(row: Mapping[str | None, str | list[str] | None]) -> Sample:
    if None in row or None in row.values():
        raise ValueError("not as many values as the header has columns; quote values that contain a comma")
    values = {name: cast(str, row[name]).strip() for name in COLUMNS}
    for name, value in values.items():
        if value in ("nan", "NaN", "NAN"):
            raise ValueError(f"{name} is {value}; leave an unknown value empty")
    if not values["path"]:
        raise ValueError("path is empty; every line must name a picture")
    label = _one_of("label", values["label"], LABELS)
    species = values["species"]
    if species and label == "bona_fide":
        raise ValueError(f"species {species!r} given for a bona fide sample; leave it empty or say attack")
    return Sample(
        path=values["path"],
        label=label,
        species=species or (UNSPECIFIED if label == "attack" else ""),
        subject=values["subject"],
        split=_one_of("split", values["split"], SPLITS),
        dataset=values["dataset"],
        capture=values["capture"],
        box=parse_box(values["box"]),
    )


def _one_of(column: str, value: str, allowed: tuple[_Word, ...]) -> _Word:
    for candidate in allowed:
        if value == candidate:
            return candidate
    choice = ", ".join(word or "empty" for word in allowed)
    raise ValueError(f"unknown {column} {value!r}; it must be one of {choice}")


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
