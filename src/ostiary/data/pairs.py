"""Which pictures are compared with which: the pairs that a face embedding is measured on.

Either a CSV ``path_a,path_b,same`` with ``fold`` and ``group`` where they are known, or the official lists of LFW
(Huang et al. 2007), whose header is ``folds<TAB>pairs`` or ``pairs`` alone::

    10<TAB>300
    Ann_Lee<TAB>1<TAB>4                    mated: Ann_Lee/Ann_Lee_0001 and _0004
    Ann_Lee<TAB>2<TAB>Ben_Moe<TAB>1        non-mated

each fold so many mated pairs and as many non-mated ones. (InsightFace's ``.bin``: ``verification_bin.py``.)
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from ostiary.data.table import Table, read_rows
from ostiary.errors import DataIndexError

COLUMNS = ("path_a", "path_b", "same")
OPTIONAL = ("fold", "group")

SAME: Mapping[str, bool] = {"1": True, "true": True, "0": False, "false": False}
"""How ``same`` may be written, in any case."""

LFW_SUFFIX = ".jpg"
"""LFW's lists leave the suffix out; :func:`locate` finds the picture under another one."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures, and whether they show the same person (a mated comparison) or two (a non-mated one).

    ``fold`` counts from 0, None where there are none; ``group`` is a name for the breakdown by group.
    """

    path_a: str
    path_b: str
    same: bool
    fold: int | None = None
    group: str = ""


class Pairs(Table[Pair]):
    """An immutable sequence of pairs."""

    def __repr__(self) -> str:
        return f"Pairs({len(self)} of {len(self.paths)} pictures in {len(self.folds)} folds)"

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Each picture once, in the order of first use."""
        return tuple(dict.fromkeys(path for pair in self for path in (pair.path_a, pair.path_b)))

    @property
    def folds(self) -> tuple[int, ...]:
        """The numbers of the folds, sorted; empty if the pairs have none."""
        return tuple(sorted({pair.fold for pair in self if pair.fold is not None}))


def read_pairs(path: str | Path) -> Pairs:
    """Read a CSV of pairs or a list of LFW, whichever the file is; the pictures need not be there.

    Raises:
        DataIndexError: names file and line, and what is wrong. A picture compared with itself is an error, and
            so are folds on some lines only.

    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise DataIndexError(f"{path}: the pairs cannot be read ({reason}); check the path.") from None
    lines = [line.split("\t") if "\t" in line else line.split() for line in text.splitlines()]
    if lines and lines[0] and all(field.strip().isdecimal() and len(field) < 20 for field in lines[0]):
        return Pairs(_lfw(path, lines))
    pairs = Pairs(read_rows(path, _pair, COLUMNS, what="pairs", optional=OPTIONAL))
    if pairs.folds and any(pair.fold is None for pair in pairs):
        raise DataIndexError(f"{path}: some pairs have a fold and some have none; give all of them one, or none.")
    return pairs


def locate(wanted: Iterable[str], present: Iterable[str]) -> dict[str, str]:
    """Where the pictures that a list names really lie: those found, as {name in the list: name in the store}.

    A picture of another suffix is taken (``Ann_0001.png`` for ``Ann_0001.jpg``) unless there are two. One folder
    may stand before all names of the list (``lfw/`` in a tar of LFW): that below which most of them are found.
    """
    wanted, present = tuple(wanted), tuple(present)
    front = _front({_without_suffix(name) for name in wanted}, present)
    exact = {name.removeprefix(front): name for name in present if name.startswith(front)}
    without_suffix: dict[str, str | None] = {}
    for short, name in exact.items():
        stem = _without_suffix(short)
        without_suffix[stem] = None if stem in without_suffix else name
    places = ((name, exact.get(name) or without_suffix.get(_without_suffix(name))) for name in wanted)
    return {name: place for name, place in places if place is not None}


def _front(wanted: Container[str], present: Iterable[str]) -> str:
    """The folders, with a slash at their end, below which most names are; the shortest of several."""
    found: Counter[str] = Counter()
    for name in present:
        stem, start = _without_suffix(name), 0
        while True:
            found[name[:start]] += stem[start:] in wanted
            start = stem.find("/", start) + 1
            if not start:
                break
    return max(found, key=lambda front: (found[front], -len(front)), default="")


def _without_suffix(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _pair(values: Mapping[str, str]) -> Pair:
    same = SAME.get(values["same"].lower())
    if same is None:
        raise ValueError(f"same is {values['same']!r}; write 1 for the same person and 0 for two")
    fold = values["fold"]
    if fold and not fold.isdecimal():
        raise ValueError(f"fold is {fold!r}; write a whole number from 0, or nothing")
    return _checked(Pair(values["path_a"], values["path_b"], same, int(fold) if fold else None, values["group"]))


def _checked(pair: Pair) -> Pair:
    if not pair.path_a or not pair.path_b:
        raise ValueError("needs two pictures")
    if pair.path_a == pair.path_b:
        raise ValueError(f"compares {pair.path_a} with itself, which measures nothing; remove the line")
    return pair


def _lfw(path: Path, lines: list[list[str]]) -> Iterable[Pair]:
    numbers = [int(number) for number in lines[0]]
    folds, pairs = numbers if len(numbers) == 2 else (None, numbers[0])
    listed = [(place, fields) for place, fields in enumerate(lines[1:], start=2) if any(map(str.strip, fields))]
    if len(numbers) > 2 or not pairs or len(listed) != (folds or 1) * 2 * pairs:
        raise DataIndexError(
            f"{path}: its header promises {' x '.join(map(str, numbers))} mated pairs and as many non-mated ones, "
            f"but {len(listed)} lines follow; it must be a whole list of pairs as LFW publishes it, not of people."
        )
    for number, (place, fields) in enumerate(listed):
        fold, within = divmod(number, 2 * pairs)
        try:
            pair = _checked(_lfw_pair([field.strip() for field in fields], None if folds is None else fold))
            if pair.same != (within < pairs):
                raise ValueError(f"of {2 * pairs} pairs of a fold the first {pairs} must be mated, the others not")
        except ValueError as error:
            raise DataIndexError(f"{path}, line {place}: {error}.") from None
        yield pair


def _lfw_pair(fields: list[str], fold: int | None) -> Pair:
    names, numbers = ([fields[0]] * 2, fields[1:]) if len(fields) == 3 else (fields[::2], fields[1::2])
    if len(fields) not in (3, 4) or not all(number.isdecimal() for number in numbers):
        raise ValueError("must be NAME N M for one person, or NAME N OTHER_NAME M for two")
    if len(fields) == 4 and names[0] == names[1]:
        raise ValueError(f"names {names[0]} twice; write NAME N M for a mated pair")
    path_a, path_b = (
        f"{name}/{name}_{int(number):04d}{LFW_SUFFIX}" for name, number in zip(names, numbers, strict=True)
    )
    return Pair(path_a, path_b, len(fields) == 3, fold)
