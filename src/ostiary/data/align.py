"""A folder or a tar of photos in, aligned crops of their faces out, under the same relative names.

The crop is the one that matching cuts (``faces/crops.py``), so a network that learns from these crops sees at run
time what it has seen in training. The work can be stopped at any moment, by ``kill -9`` too: a crop is there whole
or not at all, and the next run makes those that are missing.
"""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from PIL import Image

from ostiary.data.listing import list_pictures
from ostiary.data.pictures import open_pictures
from ostiary.data.table import write_rows
from ostiary.data.workers import workers
from ostiary.errors import ConfigurationError, DataIndexError, InputError
from ostiary.faces.crops import aligned_crop
from ostiary.faces.detector import Face, FaceDetector
from ostiary.faces.preprocess import Preprocess
from ostiary.images import read_image

SKIPPED = "skipped.csv"
"""In the folder of crops: ``path,reason`` of each photo without a crop."""

SETTINGS = "align.json"
"""In the folder of crops: how they were made, so that no other run adds crops made otherwise."""

CHOICES = ("largest", "central", "only")
"""Which face of several: the largest, the one nearest the middle, or none unless it is the only one."""

FORMATS: Mapping[str, Mapping[str, int]] = {"png": {}, "webp": {"lossless": True}, "jpg": {"quality": 95}}
"""How crops may be written; png and webp lose nothing."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A photo without a crop, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Alignment:
    """What :func:`align_photos` did: crops made now, crops of an earlier run, and the photos without one."""

    made: int
    kept: int
    skipped: tuple[Skipped, ...]


def align_photos(
    source: Path,
    out: Path,
    *,
    choice: str = "largest",
    picture_format: str = "png",
    size: int = 112,
    processes: int = 1,
    progress: Progress | None = None,
) -> Alignment:
    """Cut the aligned face out of every photo; photos that have a crop already are left alone.

    Args:
        source: a folder or a tar of photos.
        out: the folder of crops: new, empty, or of an earlier run with the same settings. ``ann/1.jpg`` becomes
            ``ann/1.png`` in it, :data:`SKIPPED` lists what has no face or cannot be read.
        choice: one of :data:`CHOICES`.
        picture_format: one of :data:`FORMATS`.
        size: side of a crop in pixels.
        processes: how many to work with. With more than one, a script needs the usual
            ``if __name__ == "__main__"``.
        progress: called with (done, total), crops of an earlier run among the done.

    Raises:
        ConfigurationError: a setting is impossible, or ``out`` holds something else or cannot be written.
        DataIndexError: ``source`` is neither a folder nor a tar, or holds no pictures.
        InputError: a process died; what is done is kept.

    """
    settings = _Settings(source.resolve().name, choice, picture_format, size)
    _check(source, out, settings, processes)
    _, names = list_pictures(source)
    if not names:
        raise DataIndexError(f"{source}: no pictures in it; name a folder or a tar of photos.")
    _begin(out, settings)
    try:
        return _align(source, out, names, settings, processes, progress or (lambda done, total: None))
    except OSError as error:
        raise ConfigurationError(
            f"{out}: crops cannot be written there ({error.strerror}); make room or name another folder, and run "
            "again: what is done is kept."
        ) from None


@dataclass(frozen=True, slots=True)
class _Settings:
    source: str
    choice: str
    picture_format: str
    size: int


class _Aligner:
    """Makes one crop at a time; each process has its own, with its own detector."""

    def __init__(self, source: Path, out: Path, settings: _Settings) -> None:
        self._store = open_pictures(source)
        self._out = out
        self._settings = settings
        self._detector = FaceDetector()
        self._preprocess = Preprocess(crop="aligned", size=settings.size)

    def __call__(self, name: str) -> str:
        """Write the crop of a photo; the reason if there is none, or the empty string."""
        try:
            image = read_image(self._store.read(name))
            faces = self._detector.detect(image)
            if not faces:
                return "no face found"
            if self._settings.choice == "only" and len(faces) > 1:
                return f"{len(faces)} faces found"
            chosen = faces[0] if self._settings.choice != "central" else _most_central(faces, image.shape)
            crop = aligned_crop(image, chosen.landmarks, self._preprocess)
        except InputError as error:  # of this photo: the others go on
            return str(error)
        self._write(Image.fromarray(crop), self._out / _target(name, self._settings))
        return ""

    def _write(self, crop: Image.Image, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f"{target.name}.partial")
        picture_format = self._settings.picture_format
        with unfinished.open("wb") as stream:
            crop.save(stream, {"jpg": "JPEG"}.get(picture_format, picture_format), **FORMATS[picture_format])
        unfinished.replace(target)


def _most_central(faces: Sequence[Face], shape: tuple[int, ...]) -> Face:
    height, width = shape[:2]

    def distance(face: Face) -> float:
        x, y = face.box.x + face.box.width / 2, face.box.y + face.box.height / 2
        return (x - width / 2) ** 2 + (y - height / 2) ** 2

    return min(faces, key=distance)


def _target(name: str, settings: _Settings) -> str:
    return str(PurePosixPath(name).with_suffix(f".{settings.picture_format}"))


def _align(
    source: Path, out: Path, names: Sequence[str], settings: _Settings, processes: int, progress: Progress
) -> Alignment:
    skipped, todo, kept = _sort_out(out, names, settings)
    done = kept + len(skipped)
    made = 0
    progress(done, len(names))
    with _journal(out, skipped) as note, workers(partial(_Aligner, source, out, settings), processes) as work:
        for name, reason in work(todo):
            if reason:
                skipped[name] = reason
                note(name, reason)
            made += not reason
            done += 1
            progress(done, len(names))
    listed = tuple(Skipped(name, skipped[name]) for name in names if name in skipped)
    write_rows(out / SKIPPED, ("path", "reason"), ((one.path, one.reason) for one in listed))
    _unfinished(out).unlink()
    return Alignment(made, kept, listed)


def _sort_out(out: Path, names: Sequence[str], settings: _Settings) -> tuple[dict[str, str], list[str], int]:
    """Photos known to have no crop with the reason, photos still to do, and how many are done."""
    noted = dict(_noted(out))
    owners: dict[str, str] = {}
    skipped, todo, kept = {}, [], 0
    for name in names:
        target = _target(name, settings)
        owner = owners.setdefault(target, name)
        if owner != name:
            skipped[name] = f"its crop would have the name of that of {owner}"
        elif (out / target).exists():
            kept += 1
        elif name in noted:
            skipped[name] = noted[name]
        else:
            todo.append(name)
    return skipped, todo, kept


def _unfinished(out: Path) -> Path:
    return out / f"{SKIPPED}.unfinished"


def _noted(out: Path) -> Iterator[tuple[str, str]]:
    """What a run that was stopped had skipped; its last line may be torn."""
    try:
        lines = _unfinished(out).read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
    except FileNotFoundError:
        return
    for row in csv.reader(lines):
        if len(row) == 2:
            yield row[0], row[1]


@contextmanager
def _journal(out: Path, skipped: dict[str, str]) -> Iterator[Callable[[str, str], None]]:
    """Keeps what is skipped on disk while the run lasts."""
    with _unfinished(out).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerows(skipped.items())

        def note(name: str, reason: str) -> None:
            writer.writerow((name, reason))
            stream.flush()

        yield note


def _check(source: Path, out: Path, settings: _Settings, processes: int) -> None:
    """Refuse settings that cannot be."""
    for what, value, allowed in (
        ("choice of a face", settings.choice, CHOICES),
        ("format", settings.picture_format, tuple(FORMATS)),
    ):
        if value not in allowed:
            raise ConfigurationError(f"{value} is no {what}; use one of {', '.join(allowed)}.")
    if processes < 1 or not 16 <= settings.size <= 1024:
        raise ConfigurationError("Aligning needs one process or more, and crops of 16 to 1024 pixels.")
    if out.resolve().is_relative_to(source.resolve()):
        raise ConfigurationError(f"{out}: lies inside {source}, and its crops would be taken for photos; move it.")


def _begin(out: Path, settings: _Settings) -> None:
    """Write the settings into a new folder; refuse one that holds anything but crops made with them."""
    record = out / SETTINGS
    try:
        if record.exists():
            if json.loads(record.read_text(encoding="utf-8")) != asdict(settings):
                raise ConfigurationError(
                    f"{out}: holds crops of other photos or settings ({SETTINGS} says which); name another folder."
                )
            return
        unfinished = record.with_name(f"{SETTINGS}.partial")
        if out.exists() and any(path != unfinished for path in out.iterdir()):
            raise ConfigurationError(f"{out}: is not empty, and not begun by this command; name another folder.")
        out.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps(asdict(settings), indent=1) + "\n", encoding="utf-8")
        unfinished.replace(record)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(
            f"{out}: crops cannot be written there ({reason}); name another folder."
        ) from None
