"""What the readers of published layouts share: finding frames of videos, and carving splits by person.

Several sets are published as videos. Their readers take pictures extracted beforehand, either beside the
video or in a folder named after it::

    real/client001.mov  ->  real/client001_00000.png, ...   or   real/client001/00000.png, ...
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ostiary.errors import DataIndexError

PICTURE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
VIDEO_SUFFIXES = (".avi", ".mov", ".mp4")

_NUMBERED = re.compile(r"(?P<video>.+)_(?P<number>\d+)")


@dataclass(frozen=True, slots=True)
class Frame:
    """One extracted picture.

    ``path`` is the picture's and ``video`` its video's without suffix, both relative to the root. ``name`` is
    the match of the video's path with the layout's pattern; ``number`` is the picture's, or None.
    """

    path: str
    video: str
    name: re.Match[str]
    number: int | None


def require_folder(root: Path, *names: str) -> None:
    """Raise DataIndexError unless ``root`` has all these sub-folders."""
    for name in names:
        if not (root / name).is_dir():
            raise DataIndexError(f"{root}: no folder {name} in it; name the folder that holds {', '.join(names)}.")


def find_pictures(root: Path, folder: str) -> Iterator[str]:
    """Paths, relative to ``root``, of all pictures under ``root/folder``, sorted."""
    for path in sorted((root / folder).rglob("*")):
        if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file():
            yield path.relative_to(root).as_posix()


def find_frames(root: Path, folder: str, video_path: re.Pattern[str]) -> list[Frame]:
    """All frames under ``root/folder``, each with the video that it comes from.

    ``video_path`` must match a video's path below ``folder``, without suffix, in full. DataIndexError if
    there are no frames, or if a picture belongs to no such video.
    """
    frames = [_frame(root, folder, path, video_path) for path in find_pictures(root, folder)]
    if not frames:
        videos = sum(path.suffix.lower() in VIDEO_SUFFIXES for path in (root / folder).rglob("*"))
        raise DataIndexError(
            f"{root / folder}: {videos} videos and no pictures; extract frames first, named VIDEO_00000.png "
            "beside VIDEO or 00000.png in a folder VIDEO (docs/data.md has the command)."
        )
    return frames


def carve(subjects: Iterable[str], fraction: float, purpose: str) -> frozenset[str]:
    """A share of the people, drawn by a hash of their name: the same on every machine and in every run.

    At least one person, unless there are none; ``purpose`` makes independent draws.
    """
    ranked = sorted(set(subjects), key=lambda name: hashlib.sha256(f"{purpose}:{name}".encode()).digest())
    return frozenset(ranked[: max(1, round(fraction * len(ranked)))])


def _frame(root: Path, folder: str, path: str, video_path: re.Pattern[str]) -> Frame:
    picture = PurePosixPath(path)
    parent = picture.parent.relative_to(folder)
    numbered = _NUMBERED.fullmatch(picture.stem)
    beside = video_path.fullmatch(str(parent / numbered["video"])) if numbered else None
    if numbered and beside:
        return Frame(path, str(picture.with_name(numbered["video"])), beside, int(numbered["number"]))
    inside = video_path.fullmatch(str(parent))
    if inside:
        digits = re.search(r"\d+$", picture.stem)
        return Frame(path, str(picture.parent), inside, int(digits.group()) if digits else None)
    raise DataIndexError(
        f"{root / path}: neither its name nor its folder's is a video of this layout followed by a frame "
        "number; move it elsewhere or extract the frames again (docs/data.md has the command)."
    )
