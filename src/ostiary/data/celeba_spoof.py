"""CelebA-Spoof (Zhang et al., ECCV 2020) in its official layout.

::

    Data/{train,test}/<subject>/{live,spoof}/<picture>.{jpg,png} and <picture>_BB.txt
    metas/intra_test/{train,test}_label.json     picture -> 44 labels

Label 40 is the spoof type, 43 says live (0) or spoof (1). A box file holds ``x y w h score`` on a grid of
224 by 224 laid over the picture. The set has no development split: it is carved from train by person.
"""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, UnidentifiedImageError

from ostiary.data.index import UNSPECIFIED, Index, Sample
from ostiary.data.layout import carve, require_folder
from ostiary.errors import DataIndexError
from ostiary.faces.detector import Box

SPECIES = (
    UNSPECIFIED,  # 0 means live: a spoof of this type has lost its annotation
    "print_photo",
    "print_poster",
    "print_a4",
    "mask_face_paper",
    "mask_upper_body",
    "mask_region",
    "replay_screen",
    "replay_tablet",
    "replay_phone",
    "mask_3d",
)
LABELS_PER_PICTURE = 44
SPOOF_TYPE, IS_SPOOF = 40, 43
BOX_GRID = 224

_EXIF_ORIENTATION = 0x0112
_log = logging.getLogger(__name__)


def read(root: Path, *, development: float = 0.1) -> Index:
    """The whole set; ``development`` is the share of the training people that becomes the development split.

    Pictures whose box file is absent or empty (the set has such) get no box; their number is logged.
    DataIndexError if the layout, a label or a picture is missing or contradicts itself.
    """
    require_folder(root, "Data", "metas")
    train = list(_samples(root, "train"))
    held_out = carve({sample.subject for sample in train}, development, "celeba_spoof development")
    test = _samples(root, "test")
    index = Index([*(replace(s, split="development") if s.subject in held_out else s for s in train), *test])
    boxless = sum(sample.box is None for sample in index)
    if boxless:
        _log.warning("%s: %d of %d pictures have no usable box file", root, boxless, len(index))
    return index


class _Entry(NamedTuple):
    subject: str
    is_spoof: bool
    spoof_type: int


def _samples(root: Path, part: str) -> Iterator[Sample]:
    source = root / "metas" / "intra_test" / f"{part}_label.json"
    try:
        entries = json.loads(source.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataIndexError(f"{source}: cannot be read as JSON ({error}); unpack it again.") from None
    if not isinstance(entries, dict) or not entries:
        raise DataIndexError(f"{source}: must map pictures to labels, and names none; unpack it again.")
    for path, labels in entries.items():
        entry = _entry(source, path, labels)
        yield Sample(
            path=path,
            label="attack" if entry.is_spoof else "bona_fide",
            species=SPECIES[entry.spoof_type] if entry.is_spoof else "",
            subject=entry.subject,
            split="train" if part == "train" else "test",
            dataset="celeba_spoof",
            box=_box(root / path),
        )


def _entry(source: Path, path: str, labels: Any) -> _Entry:
    parts = path.split("/")
    if len(parts) != 5 or parts[3] not in ("live", "spoof"):
        raise DataIndexError(f"{source}: {path!r} is not of the form Data/PART/SUBJECT/live|spoof/PICTURE.")
    if not isinstance(labels, list) or len(labels) != LABELS_PER_PICTURE:
        raise DataIndexError(f"{source}: {path!r} must have a list of {LABELS_PER_PICTURE} labels.")
    spoof_type, is_spoof = labels[SPOOF_TYPE], labels[IS_SPOOF]
    consistent = is_spoof in (0, 1) and (parts[3] == "spoof") == bool(is_spoof)
    if not consistent or spoof_type not in range(len(SPECIES)) or (spoof_type and not is_spoof):
        raise DataIndexError(
            f"{source}: {path!r} has spoof type {spoof_type!r} and spoof label {is_spoof!r}, "
            "which contradict each other or its folder."
        )
    return _Entry(parts[2], bool(is_spoof), spoof_type)


def _box(picture: Path) -> Box | None:
    box = picture.with_name(f"{picture.stem}_BB.txt")
    try:
        numbers = box.read_text(encoding="utf-8").split()
    except FileNotFoundError:
        numbers = []
    except (OSError, UnicodeDecodeError) as error:
        raise DataIndexError(f"{box} cannot be read ({error}); fetch it again, or take it away.") from None
    width, height = _size(picture)
    try:
        x, y, w, h = (float(number) for number in numbers[:4])
    except ValueError:
        return None
    if w <= 0 or h <= 0:
        return None
    horizontal, vertical = width / BOX_GRID, height / BOX_GRID
    return Box(x * horizontal, y * vertical, w * horizontal, h * vertical)


def _size(picture: Path) -> tuple[int, int]:
    """Width and height after the EXIF rotation, from the header alone."""
    try:
        with Image.open(picture) as image:
            turned = image.getexif().get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
            return (image.height, image.width) if turned else image.size
    except FileNotFoundError:
        raise DataIndexError(f"{picture}: named by the labels, but missing; unpack the set again.") from None
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataIndexError(f"{picture}: not a picture ({error}); unpack the set again.") from None
