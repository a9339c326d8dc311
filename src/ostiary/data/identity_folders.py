"""A folder, or a tar, with one folder for each person: the form in which most people have faces.

::

    [<split>/]<person>/<picture>

A folder around all of this (``lfw/`` in a tar of LFW) is looked through. Folders below a person's are refused:
nobody can tell ``friends/ann/1.jpg`` from ``ann/monday/1.jpg``, and the wrong guess makes one person of many.
"""

from pathlib import Path

from ostiary.data.folder import SPLIT_FOLDERS
from ostiary.data.identities import IdentityIndex, Portrait
from ostiary.data.listing import common_folders, list_pictures
from ostiary.errors import DataIndexError


def read(root: Path, dataset: str) -> IdentityIndex:
    """All pictures of the folder or tar; DataIndexError if there are none, or one lies elsewhere."""
    _, names = list_pictures(root)
    if not names:
        raise DataIndexError(f"{root}: no pictures in it; put them into one folder for each person.")
    around = _around(names)
    return IdentityIndex(_portrait(root, name, around, dataset) for name in names)


def _around(names: tuple[str, ...]) -> str:
    """The folder around everything, unless it says of which split all of this is."""
    folders = common_folders(names).split("/")[:-1]
    if folders and folders[-1] in SPLIT_FOLDERS:
        folders.pop()
    return "".join(f"{folder}/" for folder in folders)


def _portrait(root: Path, name: str, around: str, dataset: str) -> Portrait:
    folders = name.removeprefix(around).split("/")[:-1]
    split = SPLIT_FOLDERS[folders.pop(0)] if len(folders) == 2 and folders[0] in SPLIT_FOLDERS else ""
    if len(folders) != 1:
        raise DataIndexError(
            f"{name} in {root}: lies {'below' if folders else 'outside'} a person's folder; sort the pictures as "
            "[train|development|test]/PERSON/PICTURE, or write an index."
        )
    return Portrait(name, folders[0], split, dataset)
