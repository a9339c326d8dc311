"""Each layout of a face recognition set on a tiny imitation of it, whole and broken."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

from ostiary.data import identity_folders, identity_pack, webdataset_shards
from ostiary.data.identities import IdentityIndex
from ostiary.data.identity_readers import LAYOUTS, open_faces, read_faces
from ostiary.errors import DataIndexError


def png(level: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (level, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def tar(path: Path, contents: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def folder(path: Path, names: list[str]) -> Path:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(png())
    return path


def rows(index: IdentityIndex) -> list[tuple[str, str, str, str]]:
    return [(p.path, p.identity, p.split, p.dataset) for p in index]


# A folder for each person


@pytest.mark.parametrize("around", ["", "lfw/", "sets/lfw/"])
@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_folders_of_people(tmp_path: Path, kind: str, around: str) -> None:
    names = [f"{around}{name}" for name in ("ann/1.png", "ann/2.PNG", "ben/1.png")]
    hidden = [f"{around}ann/._1.png", f"{around}ann/notes.txt"]
    if kind == "folder":
        root = folder(tmp_path / "faces", names + hidden)
    else:
        root = tar(tmp_path / "faces.tar", dict.fromkeys([*hidden, *reversed(names)], png()))
    index = read_faces("identity_folders", [root])
    assert rows(index) == [(name, name.split("/")[-2], "", "faces") for name in names]
    assert open_faces(root).image(names[1]).shape == (4, 4, 3)


def test_folders_of_people_with_splits(tmp_path: Path) -> None:
    names = ["set/train/ann/1.png", "set/train/val/1.png", "set/val/ben/1.png"]
    index = identity_folders.read(folder(tmp_path, names), "x")
    assert [(p.identity, p.split) for p in index] == [("ann", "train"), ("val", "train"), ("ben", "development")]
    only = identity_folders.read(folder(tmp_path / "only", ["test/ann/1.png", "test/ben/1.png"]), "x")
    assert [(p.identity, p.split) for p in only] == [("ann", "test"), ("ben", "test")]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["ann/1.png", "stray.png"], r"stray\.png in .* lies outside a person's folder"),
        (["ann/1.png", "ben/monday/1.png"], r"ben/monday/1\.png in .* lies below a person's folder"),
        (["ann/1.txt"], "no pictures in it"),
    ],
)
def test_pictures_of_which_nobody_can_tell_the_person(tmp_path: Path, names: list[str], words: str) -> None:
    with pytest.raises(DataIndexError, match=words):
        identity_folders.read(folder(tmp_path, names), "x")


# The pack

PACK = """path,shard,identity,split,source
7/000.png,train-00.tar,7,train,wild
7/001.png,extra.tar,7,extra,cfp
u/000.png,train-00.tar,-1,unlabelled,adults
9/000.png,extra.tar,9,validation,wild
"""


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    root = tmp_path / "faces"
    tar(root / "train-00.tar", {"7/000.png": png(1), "u/000.png": png(2)})
    tar(root / "extra.tar", {"7/001.png": png(3), "9/000.png": png(4)})
    (root / "index.csv").write_text(PACK)
    return root


def test_a_pack(pack: Path) -> None:
    index = read_faces("identity_pack", [pack])
    assert rows(index) == [
        ("7/000.png", "7", "train", "faces"),
        ("7/001.png", "7", "train", "faces"),
        ("u/000.png", "", "train", "faces/adults"),
        ("9/000.png", "9", "test", "faces"),
    ]
    index.check_disjoint()
    store = open_faces(pack)
    assert [int(store.image(portrait.path)[0, 0, 0]) for portrait in index] == [1, 3, 2, 4]


def test_a_pack_without_one_of_its_shards(pack: Path) -> None:
    (pack / "extra.tar").unlink()
    with pytest.raises(DataIndexError, match=r"extra\.tar"):
        identity_pack.open_pack(pack)


@pytest.mark.packs
def test_the_pack_holds_what_its_page_says(packs: Path) -> None:
    index = read_faces("identity_pack", [packs / "data" / "faces"])
    index.check_disjoint()
    train, test = index.select(split="train"), index.select(split="test")
    assert (len(train), train.unknown, len(test)) == (11_512 + 5_529 + 12_588, 12_588, 3_239)
    assert (len(train.identities), len(test.identities)) == (879 + 3_763, 1_045)
    assert len(train.with_at_least(4).identities) == 879
    assert open_faces(packs / "data" / "faces").image(test[0].path).shape == (112, 112, 3)


# WebDataset


def shards(root: Path, contents: Mapping[str, Mapping[str, bytes]]) -> Path:
    for name, files in contents.items():
        tar(root / f"{name}.tar", files)
    return root


def test_shards_whose_keys_begin_anew(tmp_path: Path) -> None:
    first = {
        "000.jpg": png(1),
        "000.cls": b"12\n",
        "001.png": png(2),
        "001.json": b'{"identity": "ann", "cls": 3}',
    }
    second = {"000.cls": b"-1", "000.face.webp": png(3), "001.png": png(4), "d/001.json": b'{"label": 12}'}
    second |= {"d/001.png": png(5), "002.png": png(6), "002.json": b'{"label": null}'}
    root = shards(tmp_path / "set", {"train-0000": first, "train-0001": second, "val-0000": {"0.png": png(7)}})
    index = read_faces("webdataset_shards", [root])
    assert rows(index) == [
        ("train-0000/000.jpg", "12", "train", "set"),
        ("train-0000/001.png", "ann", "train", "set"),
        ("train-0001/000.face.webp", "", "train", "set"),
        ("train-0001/001.png", "", "train", "set"),
        ("train-0001/d/001.png", "12", "train", "set"),
        ("train-0001/002.png", "", "train", "set"),
        ("val-0000/0.png", "", "development", "set"),
    ]
    store = pickle.loads(pickle.dumps(open_faces(root)))
    assert [int(store.image(portrait.path)[0, 0, 0]) for portrait in index] == list(range(1, 8))
    assert "train-0000/002.png" not in store
    assert "train-0002/000.png" not in store


def test_shards_on_several_disks_are_one_set(tmp_path: Path) -> None:
    one = shards(tmp_path / "a", {"faces-0": {"0.png": png(1), "0.cls": b"5"}})
    two = shards(tmp_path / "b", {"faces-1": {"0.png": png(2), "0.cls": b"5"}})
    index = read_faces("webdataset_shards", [one, two])
    assert index.identities == {("a", "5"): 2}
    assert [int(open_faces([one, two]).image(portrait.path)[0, 0, 0]) for portrait in index] == [1, 2]
    again = shards(tmp_path / "c", {"faces-0": {"0.png": png(3)}})
    with pytest.raises(DataIndexError, match=r"faces-0/0\.png is in .*a and in .*c"):
        read_faces("webdataset_shards", [one, again])


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"0.png": png(), "0.cls": b"ann"}, r"0\.cls does not say who it is"),
        ({"0.png": png(), "0.json": b"{"}, r"0\.json does not say who it is"),
        ({"0.png": png(), "0.json": b'{"name": "ann"}'}, "no such field"),
        ({"0.png": png(), "0.json": b'{"label": 1.5}'}, "label is neither text nor a whole number"),
        ({"0.png": png(), "0.json": b'{"label": true}'}, "label is neither text nor a whole number"),
        ({"0.cls": b"1"}, "0 has a label but no picture"),
        ({"0.png": png(), "0.jpg": png()}, "0 has 2 pictures"),
        ({"0.txt": b""}, "no pictures in its shards"),
    ],
)
def test_shards_broken(tmp_path: Path, files: Mapping[str, bytes], words: str) -> None:
    with pytest.raises(DataIndexError, match=words):
        webdataset_shards.read(shards(tmp_path, {"train-0": files}), "x")


def test_a_shard_cut_off(tmp_path: Path) -> None:
    path = tar(tmp_path / "train-0.tar", {f"{number}.png": png() for number in range(30)})
    path.write_bytes(path.read_bytes()[:9_000])
    with pytest.raises(DataIndexError, match=r"train-0\.tar: neither a folder nor a complete tar"):
        webdataset_shards.read(tmp_path, "x")


# What they share


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_an_empty_folder_is_no_layout(layout: str, tmp_path: Path) -> None:
    with pytest.raises(DataIndexError):
        read_faces(layout, [tmp_path])


def test_unknown_layouts_and_no_data(tmp_path: Path) -> None:
    with pytest.raises(DataIndexError, match="unknown layout 'lfw'; there are identity_folders, identity_pack"):
        read_faces("lfw", [tmp_path])
    with pytest.raises(DataIndexError, match="no data given"):
        read_faces("identity_folders", [])
    with pytest.raises(DataIndexError, match="no pictures given"):
        open_faces([])


def test_a_name_of_ones_own(tmp_path: Path) -> None:
    root = folder(tmp_path, ["ann/1.png"])
    assert read_faces("identity_folders", [root], "door").datasets == ("door",)


def test_an_index_of_a_layout_survives_its_file(pack: Path, tmp_path: Path) -> None:
    index = read_faces("identity_pack", [pack])
    index.write_csv(tmp_path / "faces.csv")
    assert IdentityIndex.read_csv(tmp_path / "faces.csv") == index


def test_people_in_a_folder_beside_an_archive_are_no_shards(tmp_path: Path) -> None:
    root = folder(tmp_path, ["ann/1.png"])
    tar(root / "backup.tar", {"ann/1.png": png()})
    assert open_faces(root).read("ann/1.png") == png()
