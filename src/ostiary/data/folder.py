"""Pictures of one's own, sorted into folders.

::

    [<split>/]bona_fide/[<subject>/[<capture>/]]<picture>
    [<split>/]attack/[<species>/[<subject>/[<capture>/]]]<picture>

What the folders do not say stays unknown: a picture straight in ``attack`` is of species ``unspecified``.
"""

from pathlib import Path, PurePosixPath

from ostiary.data.index import UNSPECIFIED, Index, Label, Sample, Split
from ostiary.data.layout import find_pictures
from ostiary.errors import DataIndexError

SPLIT_FOLDERS: dict[str, Split] = {
    "train": "train",
    **dict.fromkeys(("development", "dev", "devel", "validation", "valid", "val"), "development"),
    "test": "test",
}
LABEL_FOLDERS: dict[str, Label] = {
    **dict.fromkeys(("bona_fide", "live", "real", "genuine"), "bona_fide"),
    **dict.fromkeys(("attack", "spoof", "fake"), "attack"),
}


def read(root: Path, *, dataset: str | None = None) -> Index:
    """All pictures under ``root``; the data set is named after the folder unless ``dataset`` is given.

    DataIndexError if there are none or one lies where its label cannot be told.
    """
    if not root.is_dir():
        raise DataIndexError(f"{root}: not a folder; name one that holds bona_fide and attack.")
    name = root.resolve().name if dataset is None else dataset
    samples = [_sample(root, path, name) for path in find_pictures(root, ".")]
    if not samples:
        raise DataIndexError(f"{root}: no pictures in it; put them under bona_fide and attack.")
    return Index(samples)


def _sample(root: Path, path: str, dataset: str) -> Sample:
    folders = list(PurePosixPath(path).parts[:-1])
    split: Split = SPLIT_FOLDERS[folders.pop(0)] if folders and folders[0] in SPLIT_FOLDERS else ""
    if not folders or folders[0] not in LABEL_FOLDERS:
        raise DataIndexError(
            f"{root / path}: lies neither under bona_fide nor under attack; "
            f"sort the pictures as [train|development|test]/bona_fide|attack/..., or write an index."
        )
    label = LABEL_FOLDERS[folders.pop(0)]
    species = "" if label == "bona_fide" else folders.pop(0) if folders else UNSPECIFIED
    subject = folders.pop(0) if folders else ""
    # Captures must be unique within the data set, and a folder's path is.
    capture = str(PurePosixPath(path).parent) if folders else ""
    return Sample(path, label, species, subject, split, dataset, capture)
