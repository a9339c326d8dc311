"""Stores of pictures: folder, tar and several of them behave alike."""

from __future__ import annotations

import io
import pickle
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ostiary.data.pictures import normalise, open_pictures
from ostiary.errors import DataIndexError, ImageError


def png(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (5, 4), (level, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


CONTENTS = {f"set/{level}.png": png(level) for level in range(20)} | {"set/text.png": b"no picture"}


def make(kind: str, where: Path, contents: dict[str, bytes]) -> Path:
    if kind == "folder":
        for name, data in contents.items():
            (where / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
            (where / "pictures" / name).write_bytes(data)
        return where / "pictures"
    path = where / f"pictures.{kind}"
    compression = kind.partition(".")[2]
    with tarfile.open(path, f"w:{compression}") as archive:
        for name, data in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture(params=["folder", "tar", "tar.gz", "tar.xz"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return make(request.param, tmp_path, CONTENTS)


def test_bytes_and_pixels(source: Path) -> None:
    store = open_pictures(source)
    assert all(store.read(name) == data for name, data in CONTENTS.items())
    image = store.image("./set//7.png")
    assert image.shape == (4, 5, 3)
    assert image.dtype == np.uint8
    assert image[0, 0].tolist() == [7, 0, 0]
    assert "set/7.png" in store
    assert "set/70.png" not in store
    assert "set" not in store


def test_a_missing_picture_and_a_broken_one_are_named(source: Path) -> None:
    store = open_pictures(source)
    with pytest.raises(DataIndexError, match=r"set/70\.png: not among the pictures of .*pictures"):
        store.read("set/70.png")
    with pytest.raises(ImageError, match=r"set/text\.png in .*pictures"):
        store.image("set/text.png")


@pytest.mark.parametrize(
    "name", ["../secret.png", "set/../../secret.png", "/etc/passwd", "C:\\a.png", "..\\a", ""]
)
def test_names_that_lead_outside_are_refused(source: Path, name: str) -> None:
    with pytest.raises(DataIndexError, match="is refused"):
        open_pictures(source).read(name)


def test_a_pickled_store_reads_on(source: Path) -> None:
    store = pickle.loads(pickle.dumps(open_pictures([source, source])))
    assert store.read("set/3.png") == CONTENTS["set/3.png"]


def test_threads_share_a_store(source: Path) -> None:
    store = open_pictures(source)
    names = sorted(CONTENTS) * 5
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(store.read, names)) == [CONTENTS[name] for name in names]


def test_of_several_stores_the_first_that_has_it_gives_it(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    first = make("tar", tmp_path / "a", {"x.png": png(1)})
    second = make("folder", tmp_path / "b", {"x.png": png(2), "y.png": png(3)})
    store = open_pictures([first, second])
    assert (store.read("x.png"), store.read("y.png")) == (png(1), png(3))
    with pytest.raises(DataIndexError, match=r"z\.png"):
        store.read("z.png")


def test_hostile_members_and_links_of_a_tar(tmp_path: Path) -> None:
    path = make("tar", tmp_path, {"../up.png": png(1), "/abs.png": png(2), "ok.png": png(3)})
    with tarfile.open(path, "a") as archive:
        hard, soft = tarfile.TarInfo("hard.png"), tarfile.TarInfo("soft.png")
        hard.type, hard.linkname = tarfile.LNKTYPE, "ok.png"
        soft.type, soft.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(hard)
        archive.addfile(soft)
    store = open_pictures(path)
    assert store.read("hard.png") == store.read("ok.png") == png(3)
    assert "soft.png" not in store


def test_what_is_no_store_is_an_error(tmp_path: Path) -> None:
    text = tmp_path / "text.tar"
    text.write_text("no tar at all" * 100)
    whole = make("tar", tmp_path, CONTENTS)
    cut = tmp_path / "cut.tar"
    cut.write_bytes(whole.read_bytes()[: 20 * 1024 + 700])
    squeezed = make("tar.gz", tmp_path, CONTENTS)
    cut_gz = tmp_path / "cut.tar.gz"
    cut_gz.write_bytes(squeezed.read_bytes()[:400])
    for path in (text, cut, cut_gz, tmp_path / "absent.tar"):
        with pytest.raises(DataIndexError, match="neither a folder nor a complete tar"):
            open_pictures(path)
    with pytest.raises(DataIndexError, match="no pictures given"):
        open_pictures([])


def test_normalise_is_idempotent() -> None:
    assert normalise(normalise("./a/./b//c.png")) == "a/b/c.png"
