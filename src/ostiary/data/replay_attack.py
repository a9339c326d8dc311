"""Replay-Attack (Chingovska et al., BIOSIG 2012) in Idiap's layout, with frames extracted from its videos.

::

    {train,devel,test}/real/client001_session01_webcam_authenticate_adverse_1.mov
    {train,devel,test}/attack/{fixed,hand}/attack_highdef_client001_session01_highdef_photo_adverse.mov
    face-locations/... the same tree with .face files: frame x y w h, optional
"""

import re
from functools import cache
from pathlib import Path

from ostiary.data.index import Index, Sample, Split
from ostiary.data.layout import Frame, find_frames, require_folder
from ostiary.errors import DataIndexError
from ostiary.faces.detector import Box

SPLITS: dict[str, Split] = {"train": "train", "devel": "development", "test": "test"}
SPECIES = {"print": "print_flat", "mobile": "replay_phone", "highdef": "replay_tablet"}

_REAL = re.compile(r"(?P<client>client\d+)_session\d+_webcam_\w+")
_ATTACK = re.compile(r"(fixed|hand)/attack_(?P<device>print|mobile|highdef)_(?P<client>client\d+)_session\d+_\w+?")


def read(root: Path) -> Index:
    """All extracted frames, with the official splits; boxes where the set's face locations have the frame.

    An attack's species is the instrument that was held to the camera: printed paper, phone or tablet.
    """
    require_folder(root, *(f"{part}/{label}" for part in SPLITS for label in ("real", "attack")))
    locations = cache(lambda video: _face_locations(root / "face-locations" / f"{video}.face"))
    samples = []
    for part, split in SPLITS.items():
        for frame in find_frames(root, f"{part}/real", _REAL):
            samples.append(_sample(frame, split, "", locations(frame.video)))
        for frame in find_frames(root, f"{part}/attack", _ATTACK):
            samples.append(_sample(frame, split, SPECIES[frame.name["device"]], locations(frame.video)))
    return Index(samples)


def _sample(frame: Frame, split: Split, species: str, locations: dict[int, Box]) -> Sample:
    return Sample(
        path=frame.path,
        label="attack" if species else "bona_fide",
        species=species,
        subject=frame.name["client"],
        split=split,
        dataset="replay_attack",
        capture=frame.video,
        box=None if frame.number is None else locations.get(frame.number),
    )


def _face_locations(path: Path) -> dict[int, Box]:
    """Frame -> box; frames without a face are listed with a box of size zero."""
    if not path.is_file():
        return {}
    boxes = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            frame, x, y, width, height = (int(value) for value in line.split())
        except ValueError:
            raise DataIndexError(f"{path}, line {number}: must be 'frame x y w h', five integers.") from None
        if width > 0 and height > 0:
            boxes[frame] = Box(x, y, width, height)
    return boxes
