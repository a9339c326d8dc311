"""A CSV of one row a thing: an immutable sequence in Python, read strictly, written whole or not at all.

Strictly: a missing column, a line with too few or too many values and ``nan`` are errors that name file and
line, since each of them once was a silent change of what was learnt or measured.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO, TypeVar, overload

from ostiary.errors import DataIndexError

RowT = TypeVar("RowT")
_Self = TypeVar("_Self", bound="Table[Any]")
_Word = TypeVar("_Word", bound=str)


class Table(Sequence[RowT]):
    """An immutable sequence of rows; a slice of it is one of its kind."""

    def __init__(self, rows: Iterable[RowT] = ()) -> None:
        self._rows = tuple(rows)

    @overload
    def __getitem__(self, item: int) -> RowT: ...
    @overload
    def __getitem__(self: _Self, item: slice) -> _Self: ...
    def __getitem__(self, item: int | slice) -> Any:
        return type(self)(self._rows[item]) if isinstance(item, slice) else self._rows[item]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[RowT]:
        return iter(self._rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self._rows == other._rows

    def __hash__(self) -> int:
        return hash(self._rows)


def read_rows(
    path: Path,
    parse: Callable[[Mapping[str, str]], RowT],
    columns: Sequence[str],
    *,
    what: str,
    optional: Sequence[str] = (),
) -> tuple[RowT, ...]:
    """Read a CSV in UTF-8, with or without a byte order mark.

    Args:
        path: the file.
        parse: makes a row of the stripped values of one line; its ValueError says what is wrong with them.
        columns: must be there, in any order; columns that neither these nor ``optional`` name are ignored.
        what: the name of the rows, for the error when there are none.
        optional: may be missing; their value is then the empty string.

    Raises:
        DataIndexError: names file and line, and what is wrong.

    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = tuple(_rows(stream, path, parse, columns, optional))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataIndexError(f"{path}: cannot be read as a UTF-8 CSV file: {reason}.") from None
    if not rows:
        raise DataIndexError(f"{path}: no {what} in it; write one line for each under the header.")
    return rows


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV that :func:`read_rows` reads; ``path`` is never seen half-written.

    Raises:
        DataIndexError: it cannot be written there.

    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(rows)
        partial.replace(path)
    except OSError as error:
        raise DataIndexError(f"{path}: cannot be written ({error.strerror}); name another file.") from None


def one_of(column: str, value: str, allowed: Sequence[_Word]) -> _Word:
    """The allowed word that ``value`` is; ValueError, naming them all, if it is none."""
    for word in allowed:
        if value == word:
            return word
    choice = ", ".join(word or "empty" for word in allowed)
    raise ValueError(f"unknown {column} {value!r}; it must be one of {choice}")


def _rows(
    stream: TextIO,
    path: Path,
    parse: Callable[[Mapping[str, str]], RowT],
    columns: Sequence[str],
    optional: Sequence[str],
) -> Iterator[RowT]:
    lines = csv.DictReader(stream, strict=True)
    header = [name.strip() for name in lines.fieldnames or ()]
    if not header:
        raise DataIndexError(f"{path}: the file is empty; its first line must be {','.join(columns)}.")
    missing = [name for name in columns if name not in header]
    if missing:
        raise DataIndexError(
            f"{path}: missing column{'s' * (len(missing) > 1)} {', '.join(missing)}; "
            f"the header must name {','.join(columns)}."
        )
    lines.fieldnames = header
    known = [name for name in (*columns, *optional) if name in header]
    absent = dict.fromkeys((name for name in optional if name not in header), "")
    for line in lines:
        try:
            yield parse(dict(_values(line, known)) | absent)
        except ValueError as error:
            raise DataIndexError(f"{path}, line {lines.line_num}: {error}.") from None


def _values(line: Mapping[str, str], known: Sequence[str]) -> Iterator[tuple[str, str]]:
    if None in line or None in line.values():
        raise ValueError("needs as many values as the header has columns; quote values that contain a comma")
    for name in known:
        value = line[name].strip()
        if value in ("nan", "NaN", "NAN"):
            raise ValueError(f"{name} is {value}; leave an unknown value empty")
        yield name, value
