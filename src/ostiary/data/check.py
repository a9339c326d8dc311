"""Is a data set what its index says, and is nothing of its test split in its training split?

Every picture is decoded once. An exact duplicate has the same decoded pixels. A near duplicate has a
difference hash at most :data:`NEAR` bits away and a thumbnail at most :data:`NEAR_LEVELS` grey levels away:
copies that were compressed or scaled anew, and frames of one recording. Across splits there should be none.
(The hash alone would also pair two people before the same wall.)
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ostiary.data.index import Index, Sample
from ostiary.data.pictures import PictureStore
from ostiary.errors import DataIndexError, ImageError
from ostiary.faces.detector import Box

NEAR = 2  # bits of 64
NEAR_LEVELS = 5.0  # mean difference of the thumbnails; measured: copies up to 2.4, other people from 9.7
EXAMPLES = 20  # how many near-duplicate pairs a report names

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Count:
    """How much of one data set, split, label and species there is."""

    dataset: str
    split: str
    label: str
    species: str
    samples: int
    boxes: int
    subjects: int
    captures: int


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What :func:`check` found. ``samples`` counts lines of the index, ``pictures`` files named by it.

    ``errors`` and ``warnings`` say it in sentences; the other fields name the pictures. A group of duplicates
    lists the paths of equal pictures.
    """

    samples: int
    pictures: int
    boxes: int
    subjects: int
    counts: tuple[Count, ...]
    missing: tuple[str, ...]
    broken: Mapping[str, str]
    boxes_outside: tuple[str, ...]
    repeated_paths: tuple[str, ...]
    subjects_in_several_splits: tuple[str, ...]
    captures_in_several_splits: tuple[str, ...]
    duplicates_across_splits: tuple[tuple[str, ...], ...]
    duplicates_across_labels: tuple[tuple[str, ...], ...]
    duplicates_within_splits: int
    near_duplicates_across_splits: int
    near_duplicate_examples: tuple[tuple[str, str], ...]
    errors: tuple[str, ...] = field(init=False)
    warnings: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "errors", tuple(_errors(self)))
        object.__setattr__(self, "warnings", tuple(_warnings(self)))

    @property
    def ok(self) -> bool:
        """No errors; there may be warnings."""
        return not self.errors

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values, ``ok`` first."""
        values = {name: getattr(self, name) for name in self.__slots__}
        counts = [{name: getattr(count, name) for name in count.__slots__} for count in self.counts]
        return {"ok": self.ok, **values, "broken": dict(self.broken), "counts": counts}


def check(
    index: Index, pictures: PictureStore, *, threads: int = 2, progress: Progress | None = None
) -> CheckReport:
    """Decode every picture of the index and look for what would spoil training or measuring.

    ``progress`` is called with (done, total) after each picture. Faults of the data are reported, not raised.
    """
    seen = _look_at_all(sorted({sample.path for sample in index}), pictures, threads, progress)
    good = {path: look for path, look in seen.items() if isinstance(look, _Look)}
    near, examples = _near_duplicates(index, good)
    groups = _groups(index, good)
    return CheckReport(
        samples=len(index),
        pictures=len(seen),
        boxes=sum(sample.box is not None for sample in index),
        subjects=len(index.subjects),
        counts=tuple(_counts(index)),
        missing=tuple(path for path, look in seen.items() if isinstance(look, DataIndexError)),
        broken={path: str(look) for path, look in seen.items() if isinstance(look, ImageError)},
        boxes_outside=tuple(s.path for s in index if s.path in good and _is_outside(s, good[s.path])),
        repeated_paths=tuple(path for (path, _), n in _occurrences(index).items() if n > 1),
        subjects_in_several_splits=tuple(_names(index.in_several_splits("subject"))),
        captures_in_several_splits=tuple(_names(index.in_several_splits("capture"))),
        duplicates_across_splits=_paths(group for group in groups if len(_values(group, "split")) > 1),
        duplicates_across_labels=_paths(group for group in groups if len(_values(group, "label")) > 1),
        duplicates_within_splits=sum(
            len({s.path for s in group}) - 1 for group in groups if len(_values(group, "split")) == 1
        ),
        near_duplicates_across_splits=near,
        near_duplicate_examples=examples,
    )


@dataclass(frozen=True, slots=True)
class _Look:
    width: int
    height: int
    digest: bytes
    hash: int
    thumbnail: bytes


def _look_at_all(
    paths: Sequence[str], pictures: PictureStore, threads: int, progress: Progress | None
) -> dict[str, "_Look | ImageError | DataIndexError"]:
    seen: dict[str, _Look | ImageError | DataIndexError] = {}
    with ThreadPoolExecutor(max_workers=threads) as pool:
        for path, look in zip(paths, pool.map(lambda path: _look(path, pictures), paths), strict=True):
            seen[path] = look
            if progress is not None:
                progress(len(seen), len(paths))
    return seen


def _look(path: str, pictures: PictureStore) -> "_Look | ImageError | DataIndexError":
    try:
        image = pictures.image(path)
    except (ImageError, DataIndexError) as error:
        return error
    height, width, _ = image.shape
    digest = hashlib.blake2b(image.tobytes(), digest_size=16, salt=f"{width}x{height}".encode()).digest()
    grey = Image.fromarray(image).convert("L")
    thumbnail = grey.resize((16, 16), Image.Resampling.BOX).tobytes()
    return _Look(width, height, digest, _difference_hash(grey), thumbnail)


def _difference_hash(grey: Image.Image) -> int:
    """64 bits: of a 9 by 8 thumbnail, whether each level is above that on its left."""
    levels = np.asarray(grey.resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    return int.from_bytes(np.packbits(np.diff(levels, axis=1) > 0).tobytes(), "big")


def _is_outside(sample: Sample, look: _Look) -> bool:
    """A detector's box may reach beyond the picture; its centre may not."""
    if sample.box is None:
        return False
    x, y = sample.box.x + sample.box.width / 2, sample.box.y + sample.box.height / 2
    return not (0 <= x <= look.width and 0 <= y <= look.height)


def _occurrences(index: Index) -> Counter[tuple[str, Box | None]]:
    """A picture may be listed once for each of its faces."""
    return Counter((sample.path, sample.box) for sample in index)


def _counts(index: Index) -> Iterator[Count]:
    groups: dict[tuple[str, str, str, str], list[Sample]] = defaultdict(list)
    for sample in index:
        groups[sample.dataset, sample.split, sample.label, sample.species].append(sample)
    for key, samples in sorted(groups.items()):
        yield Count(
            *key,
            samples=len(samples),
            boxes=sum(sample.box is not None for sample in samples),
            subjects=len({sample.subject for sample in samples} - {""}),
            captures=len({sample.capture for sample in samples} - {""}),
        )


def _groups(index: Index, good: Mapping[str, _Look]) -> list[list[Sample]]:
    """Samples whose pictures have the same pixels, where there is more than one of them."""
    groups: dict[bytes, list[Sample]] = defaultdict(list)
    for sample in index:
        if sample.path in good:
            groups[good[sample.path].digest].append(sample)
    return [group for group in groups.values() if len(group) > 1]


def _near_duplicates(index: Index, good: Mapping[str, _Look]) -> tuple[int, tuple[tuple[str, str], ...]]:
    """How many pictures have a near but not exact duplicate in another split, and examples of such pairs."""
    by_hash: dict[int, list[Sample]] = defaultdict(list)
    for sample in index:
        if sample.path in good and sample.split:
            by_hash[good[sample.path].hash].append(sample)
    involved: set[str] = set()
    examples: set[tuple[str, str]] = set()
    for first, second in _close_pairs(np.array(list(by_hash), dtype=np.uint64)):
        for a in by_hash[first]:
            for b in by_hash[second]:
                if a.split != b.split and _is_near(good[a.path], good[b.path]):
                    pair = (min(a.path, b.path), max(a.path, b.path))
                    involved.update(pair)
                    examples.add(pair)
    return len(involved), tuple(sorted(examples)[:EXAMPLES])


def _is_near(first: _Look, second: _Look) -> bool:
    if first.digest == second.digest:
        return False
    levels = [np.frombuffer(look.thumbnail, dtype=np.uint8).astype(np.int16) for look in (first, second)]
    return bool(np.abs(levels[0] - levels[1]).mean() <= NEAR_LEVELS)


def _close_pairs(hashes: NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    """Pairs of hashes at most NEAR bits apart, each with itself too, some more than once.

    Cut into NEAR + 1 pieces, two such hashes must agree in one piece: only those need comparing.
    """
    cuts = np.linspace(0, 64, NEAR + 2).astype(np.uint64)
    for low, high in pairwise(cuts):
        pieces = (hashes >> low) & np.uint64((1 << int(high - low)) - 1)
        order = np.argsort(pieces, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(pieces[order]) != 0])
        for bucket in np.split(hashes[order], starts[1:]):
            for position, value in enumerate(bucket):
                rest = bucket[position:]
                different = np.unpackbits((rest ^ value).view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1)
                for other in rest[different <= NEAR]:
                    yield int(value), int(other)


def _values(group: Iterable[Sample], name: str) -> set[str]:
    return {getattr(sample, name) for sample in group} - {""}


def _paths(groups: Iterable[Iterable[Sample]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(sorted({sample.path for sample in group})) for group in groups)


def _names(shared: Mapping[tuple[str, str], Sequence[str]]) -> Iterator[str]:
    for (dataset, name), splits in shared.items():
        yield f"{dataset}/{name}: {', '.join(splits)}"


def _errors(report: CheckReport) -> Iterator[str]:
    findings: tuple[tuple[str, Sequence[Any]], ...] = (
        ("pictures are missing", report.missing),
        ("pictures cannot be decoded", list(report.broken)),
        ("boxes lie outside their picture", report.boxes_outside),
        ("lines are in the index twice", report.repeated_paths),
        ("subjects are in several splits", report.subjects_in_several_splits),
        ("captures are in several splits", report.captures_in_several_splits),
        ("pictures are in several splits under other names", report.duplicates_across_splits),
        ("pictures are both bona fide and attack", report.duplicates_across_labels),
    )
    for what, found in findings:
        if found:
            first = found[0] if isinstance(found[0], str) else " = ".join(found[0])
            yield f"{len(found)} {what}, the first: {first}"


def _warnings(report: CheckReport) -> Iterator[str]:
    if report.boxes < report.samples:
        yield f"{report.samples - report.boxes} samples have no box: the face must be detected"
    if report.duplicates_within_splits:
        yield f"{report.duplicates_within_splits} pictures repeat another one of their split"
    if report.near_duplicates_across_splits:
        first = " ~ ".join(report.near_duplicate_examples[0])
        number = report.near_duplicates_across_splits
        yield f"{number} pictures are nearly equal to one of another split, such as {first}"
