"""Aligned faces for recognition, in tars beside one list: so many more bona fide faces.

::

    index.csv   path,shard,identity,split,source
    *.tar       the shards, read in place

The pictures are 112x112 pixels on the five-point template of ArcFace (Deng et al. 2019), so one box fits all.
``identity`` is -1 where it is not known. Every photograph is a bona fide presentation; generated faces were
never before a camera and are left out. So are sources whose faces were cut so closely before that their
crops reach beyond the photograph: its black wedges would tell the set, and with it the label.
"""

import csv
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

from ostiary.data.index import Index, Sample, Split
from ostiary.errors import DataIndexError
from ostiary.faces.detector import Box

COLUMNS = ("path", "shard", "identity", "split", "source")

SPLITS: Mapping[str, Split] = {
    "train": "train",
    "extra": "train",
    "unlabelled": "train",
    "validation": "development",
}
"""The people of ``validation`` are in no other split: made for choices, so development here too."""

GENERATED = frozenset({"fakefaces-gan", "faker-diffusion", "generated-faces", "stylegan2-samples"})
"""Sources whose faces a network made."""

CUT = frozenset({"cfp", "imfdb-sample", "kz-celeb", "utkface-adult"})
"""Sources with black wedges at the edges of most crops."""

FACE = Box(18, 12, 78, 103)
"""Where the face lies: the median of what the detector finds, so that crops are as tight as elsewhere."""


def read(root: Path, *, cut: bool = False) -> Index:
    """The photographs of the list, with ``cut`` those with black wedges too; DataIndexError names a bad line."""
    path = root / "index.csv"
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            samples = tuple(
                _samples(csv.DictReader(stream, strict=True), path, GENERATED if cut else GENERATED | CUT)
            )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataIndexError(f"{path}: cannot be read as a UTF-8 CSV file: {reason}.") from None
    if not samples:
        raise DataIndexError(f"{path}: no photographs in it; name the folder that holds index.csv and the shards.")
    return Index(samples)


def _samples(rows: "csv.DictReader[str]", path: Path, left_out: Set[str]) -> Iterator[Sample]:
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise DataIndexError(
            f"{path}: missing column {', '.join(missing)}; the header must name {','.join(COLUMNS)}."
        )
    for row in rows:
        if not row["path"] or row["split"] not in SPLITS or not row["identity"]:
            raise DataIndexError(
                f"{path}, line {rows.line_num}: needs a path, an identity (-1 if not known) and a split, "
                f"one of {', '.join(SPLITS)}."
            )
        if row["source"] not in left_out:
            subject = "" if row["identity"] == "-1" else row["identity"]
            yield Sample(row["path"], "bona_fide", "", subject, SPLITS[row["split"]], "identity", box=FACE)
