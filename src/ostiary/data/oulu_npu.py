"""OULU-NPU (Boulkenafet et al., FG 2017) in its published layout, with frames extracted from its videos.

::

    {Train,Dev,Test}_files/<phone>_<session>_<user>_<file>.avi
    Protocols/Protocol_1/{Train,Dev,Test}.txt, Protocols/Protocol_3/{Train,Dev,Test}_1.txt, ...

``file`` is 1 for bona fide, 2 and 3 for prints by two printers, 4 and 5 for replays on two displays.
"""

import re
from pathlib import Path

from ostiary.data.index import Index, Sample, Split
from ostiary.data.layout import find_frames, require_folder
from ostiary.errors import DataIndexError

PARTS: dict[str, Split] = {"Train": "train", "Dev": "development", "Test": "test"}
SPECIES = {
    "1": "",
    "2": "print_printer_1",
    "3": "print_printer_2",
    "4": "replay_display_1",
    "5": "replay_display_2",
}

_VIDEO = re.compile(r"(?P<phone>[1-6])_(?P<session>[1-3])_(?P<user>\d{2})_(?P<file>[1-5])")
_PROTOCOL = re.compile(r"(?P<protocol>[12])|(?P<folded>[34])_(?P<fold>[1-6])")


def read(root: Path, *, protocol: str | None = None) -> Index:
    """All extracted frames, or those of one official protocol: ``"1"``, ``"2"``, ``"3_1"`` ... ``"4_6"``.

    Each printer and each display is a species of its own, since protocols 2 and 4 test on the unseen one.
    """
    require_folder(root, *(f"{part}_files" for part in PARTS))
    samples = []
    for part, split in PARTS.items():
        listed = None if protocol is None else _listed(root, part, protocol)
        for frame in find_frames(root, f"{part}_files", _VIDEO):
            video = frame.name.group()
            if listed is not None and video not in listed:
                continue
            species = SPECIES[frame.name["file"]]
            samples.append(
                Sample(
                    path=frame.path,
                    label="attack" if species else "bona_fide",
                    species=species,
                    subject=frame.name["user"],
                    split=split,
                    dataset="oulu_npu",
                    capture=video,
                )
            )
    return Index(samples)


def _listed(root: Path, part: str, protocol: str) -> frozenset[str]:
    match = _PROTOCOL.fullmatch(protocol)
    if match is None:
        raise DataIndexError(f"protocol {protocol!r} is unknown; there are 1, 2, 3_1 ... 3_6, 4_1 ... 4_6.")
    fold = f"_{match['fold']}" if match["fold"] else ""
    path = root / "Protocols" / f"Protocol_{match['protocol'] or match['folded']}" / f"{part}{fold}.txt"
    try:
        lines = path.read_text(encoding="utf-8").split()
    except OSError as error:
        raise DataIndexError(f"{path}: cannot be read ({error.strerror}); unpack the protocols.") from None
    return frozenset(line.partition(",")[2] for line in lines)
