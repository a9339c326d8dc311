"""The faces of an identity pack (``identity_pack.py``): so many more bona fide faces for liveness.

The pictures are 112x112 pixels on the five-point template of ArcFace (Deng et al. 2019), so one box fits all.
Every photograph is a bona fide presentation; generated faces were never before a camera and are left out. So are
sources whose faces were cut so closely before that their crops reach beyond the photograph: its black wedges
would tell the set, and with it the label.
"""

from collections.abc import Mapping
from pathlib import Path

from ostiary.data.identity_pack import read_list
from ostiary.data.index import Index, Sample, Split
from ostiary.errors import DataIndexError
from ostiary.faces.detector import Box

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
    left_out = GENERATED if cut else GENERATED | CUT
    entries = [entry for entry in read_list(root) if entry.source not in left_out]
    if not entries:
        raise DataIndexError(f"{root}: no photographs in its list; name the folder of index.csv and the shards.")
    return Index(
        Sample(entry.path, "bona_fide", "", entry.identity, SPLITS[entry.split], "identity", box=FACE)
        for entry in entries
    )
