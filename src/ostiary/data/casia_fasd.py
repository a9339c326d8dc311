"""CASIA-FASD (Zhang et al., ICB 2012) in its published layout, with frames extracted from its videos.

::

    {train,test}_release/<person>/{1,2,HR_1, 3,4,HR_2, 5,6,HR_3, 7,8,HR_4}.avi

The numbers of the people begin anew in test_release: they are other people. There is no development
split: it is carved from train by person.
"""

import re
from dataclasses import replace
from pathlib import Path

from ostiary.data.index import Index, Sample, Split
from ostiary.data.layout import carve, find_frames, require_folder

SPECIES = {
    **dict.fromkeys(("1", "2", "HR_1"), ""),
    **dict.fromkeys(("3", "4", "HR_2"), "print_warped"),
    **dict.fromkeys(("5", "6", "HR_3"), "print_cut"),
    **dict.fromkeys(("7", "8", "HR_4"), "replay_tablet"),
}
PARTS: dict[str, Split] = {"train": "train", "test": "test"}

_VIDEO = re.compile(r"(?P<person>\d+)/(?P<name>[1-8]|HR_[1-4])")


def read(root: Path, *, development: float = 0.25) -> Index:
    """All extracted frames; ``development`` is the share of the training people that leaves train for it."""
    require_folder(root, *(f"{part}_release" for part in PARTS))
    samples = [sample for part, split in PARTS.items() for sample in _samples(root, part, split)]
    train = {sample.subject for sample in samples if sample.split == "train"}
    held_out = carve(train, development, "casia_fasd development")
    return Index(replace(s, split="development") if s.subject in held_out else s for s in samples)


def _samples(root: Path, part: str, split: Split) -> list[Sample]:
    samples = []
    for frame in find_frames(root, f"{part}_release", _VIDEO):
        species = SPECIES[frame.name["name"]]
        samples.append(
            Sample(
                path=frame.path,
                label="attack" if species else "bona_fide",
                species=species,
                subject=f"{part}_{frame.name['person']}",
                split=split,
                dataset="casia_fasd",
                capture=frame.video,
            )
        )
    return samples
