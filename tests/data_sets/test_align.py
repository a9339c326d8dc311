"""From photos to aligned crops: the right face, nothing lost, and no torn file whatever happens."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ostiary.data import align
from ostiary.data.align import SKIPPED, Alignment, Skipped, align_photos
from ostiary.data.identity_readers import read_faces
from ostiary.errors import ConfigurationError, DataIndexError
from ostiary.faces.crops import TEMPLATE, aligned_crop
from ostiary.faces.detector import FaceDetector
from ostiary.faces.preprocess import Preprocess
from ostiary.images import read_image

PREPROCESS = Preprocess(crop="aligned", size=112)


@pytest.fixture(scope="module")
def portraits(pictures: Path) -> dict[str, Image.Image]:
    """Two people, small enough to be found in milliseconds."""
    opened = {name: Image.open(pictures / name).convert("RGB") for name in ("astronaut.png", "grace_hopper.jpg")}
    return {name: image.resize((160, 160 * image.height // image.width)) for name, image in opened.items()}


@pytest.fixture
def photos(tmp_path: Path, portraits: dict[str, Image.Image]) -> Path:
    folder = tmp_path / "photos"
    for name in ("ann", "ben"):
        (folder / name).mkdir(parents=True)
    ann, ben = portraits.values()
    ann.save(folder / "ann" / "1.jpg")
    ann.rotate(20).save(folder / "ann" / "2.PNG")
    ben.save(folder / "ben" / "1.webp")
    Image.new("RGB", (160, 160), "grey").save(folder / "ben" / "wall.png")
    (folder / "ben" / "torn.jpg").write_bytes((folder / "ann" / "1.jpg").read_bytes()[:900])
    (folder / "ben" / "notes.txt").write_text("no picture")
    return folder


WITHOUT_CROP = (
    Skipped("ben/torn.jpg", "The picture is damaged or cut short; copy or fetch it again."),
    Skipped("ben/wall.png", "no face found"),
)


def crops(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.suffix in (".png", ".webp", ".jpg")
    }


def test_crops_keep_their_places_and_meet_the_template(photos: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    done = align_photos(photos, tmp_path / "crops", progress=lambda count, total: seen.append((count, total)))
    assert done == Alignment(3, 0, WITHOUT_CROP)
    assert sorted(crops(tmp_path / "crops")) == ["ann/1.png", "ann/2.png", "ben/1.png"]
    assert seen == [(count, 5) for count in range(6)]
    image = read_image(photos / "ann" / "1.jpg")
    face = FaceDetector().detect(image)[0]
    crop = read_image(tmp_path / "crops" / "ann" / "1.png")
    assert np.array_equal(crop, aligned_crop(image, face.landmarks, PREPROCESS))
    again = FaceDetector().detect(read_image(tmp_path / "crops" / "ann" / "2.png"))[0]
    assert np.abs(again.landmarks - TEMPLATE).mean() < 5, "though the photo was turned by 20 degrees"
    index = read_faces("identity_folders", [tmp_path / "crops"])
    assert index.identities == {("crops", "ann"): 2, ("crops", "ben"): 1}


def test_what_was_skipped_is_listed(photos: Path, tmp_path: Path) -> None:
    align_photos(photos, tmp_path / "crops")
    with (tmp_path / "crops" / SKIPPED).open(newline="") as stream:
        assert [Skipped(**row) for row in csv.DictReader(stream)] == list(WITHOUT_CROP)
    assert sorted(path.name for path in (tmp_path / "crops").iterdir()) == ["align.json", "ann", "ben", SKIPPED]


def test_a_tar_gives_the_same_crops(photos: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "photos.tar", "w") as archive:
        archive.add(photos, "set")
    align_photos(photos, tmp_path / "a")
    align_photos(tmp_path / "photos.tar", tmp_path / "b")
    assert crops(tmp_path / "b" / "set") == crops(tmp_path / "a")


def test_a_second_run_keeps_crops_and_tries_the_skipped_ones_again(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "crops"
    align_photos(photos, out)
    before = (out / "ann" / "1.png").stat().st_mtime_ns
    (photos / "ann" / "1.jpg").rename(photos / "ben" / "torn.jpg")
    Image.new("RGB", (9, 9)).save(photos / "ann" / "1.jpg")
    assert align_photos(photos, out) == Alignment(1, 3, WITHOUT_CROP[1:])
    assert (out / "ann" / "1.png").stat().st_mtime_ns == before


def test_formats(photos: Path, tmp_path: Path) -> None:
    align_photos(photos, tmp_path / "png")
    align_photos(photos, tmp_path / "webp", picture_format="webp")
    align_photos(photos, tmp_path / "jpg", picture_format="jpg", size=128)
    png, webp = (read_image(tmp_path / kind / "ben" / f"1.{kind}") for kind in ("png", "webp"))
    assert np.array_equal(png, webp)
    assert read_image(tmp_path / "jpg" / "ben" / "1.jpg").shape == (128, 128, 3)


def test_which_face_of_several(portraits: dict[str, Image.Image], tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    ann, ben = portraits.values()
    both = Image.new("RGB", (500, 400))
    both.paste(ann.resize((240, 240)), (144, 144))
    both.paste(ben, (0, 0))
    both.save(tmp_path / "photos" / "both.png")
    image = np.asarray(both)
    large, small = FaceDetector().detect(image)
    assert large.box.x < small.box.x
    for choice, face in (("largest", large), ("central", small)):
        align_photos(tmp_path / "photos", tmp_path / choice, choice=choice)
        crop = read_image(tmp_path / choice / "both.png")
        assert np.array_equal(crop, aligned_crop(image, face.landmarks, PREPROCESS))
    only = align_photos(tmp_path / "photos", tmp_path / "only", choice="only")
    assert only == Alignment(0, 0, (Skipped("both.png", "2 faces found"),))


def test_photos_that_would_overwrite_each_other(photos: Path, tmp_path: Path) -> None:
    (photos / "ann" / "1.png").write_bytes((photos / "ben" / "1.webp").read_bytes())
    done = align_photos(photos, tmp_path / "crops")
    assert done.made == 3
    assert done.skipped[0] == Skipped("ann/1.png", "its crop would have the name of that of ann/1.jpg")


def test_what_cannot_be_done_is_said_before_anything_is_written(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="smallest is no choice of a face; use one of largest"):
        align_photos(photos, tmp_path / "crops", choice="smallest")
    with pytest.raises(ConfigurationError, match="gif is no format; use one of png, webp, jpg"):
        align_photos(photos, tmp_path / "crops", picture_format="gif")
    for setting in ({"processes": 0}, {"size": 8}):
        with pytest.raises(ConfigurationError, match="one process or more, and crops of 16 to 1024"):
            align_photos(photos, tmp_path / "crops", **setting)
    with pytest.raises(ConfigurationError, match="lies inside"):
        align_photos(photos, photos / "crops")
    with pytest.raises(DataIndexError, match="neither a folder nor a complete tar"):
        align_photos(tmp_path / "absent", tmp_path / "crops")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataIndexError, match="no pictures in it"):
        align_photos(tmp_path / "empty", tmp_path / "crops")
    assert not (tmp_path / "crops").exists()


def test_a_folder_of_something_else_is_left_alone(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(ConfigurationError, match="is not empty, and not begun by this command"):
        align_photos(photos, tmp_path / "mine")
    align_photos(photos, tmp_path / "crops")
    with pytest.raises(ConfigurationError, match="holds crops of other photos or settings"):
        align_photos(photos, tmp_path / "crops", choice="only")
    with pytest.raises(ConfigurationError, match="crops cannot be written there"):
        align_photos(photos, tmp_path / "mine" / "letter.txt" / "crops")


def test_a_full_disk_is_one_sentence_and_leaves_no_torn_crop(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Image.Image.save

    def full(image: Image.Image, stream: io.BytesIO, *arguments: object, **options: object) -> None:
        save(image, stream, *arguments, **options)  # type: ignore[arg-type]
        stream.truncate(100)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(align.Image.Image, "save", full)
    with pytest.raises(ConfigurationError, match="No space left on device"):
        align_photos(photos, tmp_path / "crops")
    assert crops(tmp_path / "crops") == {}
    monkeypatch.undo()
    assert align_photos(photos, tmp_path / "crops") == Alignment(3, 0, WITHOUT_CROP)


PHOTOS = 50


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait(seconds: float, condition: object) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.005)
    return False


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_kill_9_of_several_processes_loses_nothing(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "crops"
    for number in range(3, PHOTOS):
        os.link(photos / "ann" / "1.jpg", photos / "ann" / f"{number}.jpg")
    script = (
        "import sys; from pathlib import Path; from ostiary.data.align import align_photos\n"
        "if __name__ == '__main__':\n"
        " align_photos(Path(sys.argv[1]), Path(sys.argv[2]), processes=2)\n"
    )
    (tmp_path / "run.py").write_text(script)
    arguments = [sys.executable, str(tmp_path / "run.py"), str(photos), str(out)]
    source = str(Path(align.__file__).parents[2])
    process = subprocess.Popen(arguments, env=os.environ | {"PYTHONPATH": source})
    try:
        assert wait(60, lambda: len(list(out.glob("ann/*.png"))) >= 3), "aligning has begun"
        listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        children = [int(child) for child in listed.read_text().split()] if listed.exists() else []
    finally:
        process.kill()
        process.wait()
    assert wait(20, lambda: not any(map(alive, children))), "no worker lives on"
    before = crops(out)
    assert 3 <= len(before) < PHOTOS
    for content in before.values():
        assert Image.open(io.BytesIO(content)).convert("RGB").size == (112, 112)
    assert align_photos(photos, out, processes=2) == Alignment(PHOTOS - len(before), len(before), WITHOUT_CROP)
    after = crops(out)
    assert {name: after[name] for name in before} == before
    align_photos(photos, tmp_path / "one process")
    assert after == crops(tmp_path / "one process")
    assert not list(out.rglob("*.partial"))
    assert not list(out.glob("*.unfinished"))


def test_a_torn_note_of_what_was_skipped_is_made_anew(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "crops"
    align_photos(photos, out)
    (out / SKIPPED).unlink()
    (out / f"{SKIPPED}.unfinished").write_text("ben/wall.png,noted before\nben/torn.jpg,The pic")
    done = align_photos(photos, out)
    assert done.skipped == (WITHOUT_CROP[0], Skipped("ben/wall.png", "noted before"))
