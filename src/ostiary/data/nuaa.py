"""NUAA Photograph Imposter (Tan et al., ECCV 2010), the raw pictures in their published layout.

::

    {ClientRaw,ImposterRaw}/<person>/<person>_<glasses>_<position>_<session>_<number>.jpg

The official lists ({client,imposter}_{train,test}_raw.txt) put the same people into train and test. This
reader therefore makes a split of its own by person: **its error rates do not compare with published ones**.
"""

import re
from pathlib import Path, PurePosixPath

from ostiary.data.index import Index, Label, Sample, Split
from ostiary.data.layout import carve, find_pictures, require_folder
from ostiary.errors import DataIndexError

FOLDERS: dict[str, tuple[Label, str]] = {
    "ClientRaw": ("bona_fide", ""),
    "ImposterRaw": ("attack", "print_flat"),
}

_NAME = re.compile(r"(?P<recording>(?P<person>\d{4})_\d{2}_\d{2}_\d{2})_\d+")


def read(root: Path, *, test: float = 0.25, development: float = 0.25) -> Index:
    """All raw pictures: ``test`` is the share of the people for test, ``development`` that of the others."""
    require_folder(root, *FOLDERS)
    found = [(folder, path, _match(root, path)) for folder in FOLDERS for path in find_pictures(root, folder)]
    if not found:
        raise DataIndexError(f"{root}: no pictures under {' and '.join(FOLDERS)}; unpack the set again.")
    people = {name["person"] for _, _, name in found}
    tested = carve(people, test, "nuaa test")
    developed = carve(people - tested, development, "nuaa development")
    samples = []
    for folder, path, name in found:
        label, species = FOLDERS[folder]
        person = name["person"]
        split: Split = "test" if person in tested else "development" if person in developed else "train"
        capture = f"{folder}/{name['recording']}"
        samples.append(Sample(path, label, species, person, split, "nuaa", capture))
    return Index(samples)


def _match(root: Path, path: str) -> re.Match[str]:
    match = _NAME.fullmatch(PurePosixPath(path).stem)
    if match is None:
        raise DataIndexError(
            f"{root / path}: its name is not PERSON_GLASSES_POSITION_SESSION_NUMBER; move it elsewhere."
        )
    return match
