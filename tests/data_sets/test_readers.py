"""Each reader on a tiny imitation of its layout, whole and broken."""

from __future__ import annotations

import json
import logging
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from ostiary.data import casia_fasd, celeba_spoof, folder, identity_shards, nuaa, oulu_npu, replay_attack
from ostiary.data.index import Index
from ostiary.data.layout import carve
from ostiary.data.readers import READERS, read_layout
from ostiary.errors import DataIndexError
from ostiary.faces.crops import TEMPLATE
from ostiary.faces.detector import Box


def picture(path: Path, size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


def by(index: Index, *fields: str) -> Counter[tuple[str, ...]]:
    return Counter(tuple(getattr(sample, field) for field in fields) for sample in index)


# CelebA-Spoof


def labels(spoof_type: int) -> list[int]:
    values = [0] * 44
    values[40], values[43] = spoof_type, int(spoof_type > 0)
    return values


@pytest.fixture
def celeba(tmp_path: Path) -> Path:
    entries: dict[str, dict[str, list[int]]] = {"train": {}, "test": {}}
    for subject in range(24):
        part = "train" if subject < 20 else "test"
        for spoof_type in (0, 1 + subject % 10):
            folder_name = "spoof" if spoof_type else "live"
            name = f"Data/{part}/{subject}/{folder_name}/{subject:06d}.png"
            picture(tmp_path / name, (448, 112))
            (tmp_path / name.replace(".png", "_BB.txt")).write_text("56 56 112 28 0.99\n")
            entries[part][name] = labels(spoof_type)
    for part, listed in entries.items():
        path = tmp_path / "metas" / "intra_test" / f"{part}_label.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(listed))
    return tmp_path


def test_celeba_spoof(celeba: Path) -> None:
    index = celeba_spoof.read(celeba)
    assert by(index, "split", "label") == {
        ("train", "bona_fide"): 18,
        ("train", "attack"): 18,
        ("development", "bona_fide"): 2,
        ("development", "attack"): 2,
        ("test", "bona_fide"): 4,
        ("test", "attack"): 4,
    }
    index.check_disjoint()
    species = {sample.subject: sample.species for sample in index.select(label="attack")}
    assert [species[str(n)] for n in range(10)] == [
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
    ]
    assert all(sample.box == Box(112, 28, 224, 14) for sample in index)
    assert celeba_spoof.read(celeba) == index


def test_celeba_spoof_tolerates_an_empty_box_file_and_counts_it(
    celeba: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (celeba / "Data/train/3/live/000003_BB.txt").write_text("")
    (celeba / "Data/train/4/live/000004_BB.txt").unlink()
    with caplog.at_level(logging.WARNING):
        index = celeba_spoof.read(celeba)
    assert sum(sample.box is None for sample in index) == 2
    assert "2 of 48 pictures have no usable box" in caplog.text


def test_celeba_spoof_scales_boxes_of_turned_pictures(celeba: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (448, 112)).save(celeba / "Data/test/20/live/000020.png", exif=exif)
    index = celeba_spoof.read(celeba)
    (turned,) = (s for s in index if s.path == "Data/test/20/live/000020.png")
    assert turned.box == Box(28, 112, 56, 56)


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("Data/train/1/live/000001.png", labels(3), "contradict"),
        ("Data/train/1/spoof/000001.png", [0] * 40, "list of 44 labels"),
        ("Data/train/1/spoof/000001.png", labels(11), "spoof type 11"),
        ("Data/train/1/000001.png", labels(0), "not of the form"),
        ("Data/train/1/live/absent.png", labels(0), "missing"),
        (f"Data/train/1/live/{'x' * 300}.png", labels(0), "cannot be read"),
    ],
)
def test_celeba_spoof_broken_labels(celeba: Path, name: str, values: list[int], words: str) -> None:
    (celeba / "metas/intra_test/train_label.json").write_text(json.dumps({name: values}))
    with pytest.raises(DataIndexError, match=words):
        celeba_spoof.read(celeba)


def test_celeba_spoof_box_that_is_no_text(celeba: Path) -> None:
    (celeba / "Data/train/3/live/000003_BB.txt").write_bytes(b"\xff\xfe 1 2")
    with pytest.raises(DataIndexError, match=r"000003_BB.txt cannot be read"):
        celeba_spoof.read(celeba)


def test_celeba_spoof_broken_files(celeba: Path) -> None:
    (celeba / "metas/intra_test/test_label.json").write_text("{")
    with pytest.raises(DataIndexError, match="cannot be read as JSON"):
        celeba_spoof.read(celeba)


# Replay-Attack

REAL = "client{}_session01_webcam_authenticate_adverse_1"
ATTACKS = {
    "fixed/attack_print_client{}_session01_highdef_photo_adverse": "print_flat",
    "hand/attack_mobile_client{}_session01_mobile_video_controlled": "replay_phone",
    "hand/attack_highdef_client{}_session01_highdef_photo_adverse": "replay_tablet",
}


@pytest.fixture
def replay(tmp_path: Path) -> Path:
    for number, part in enumerate(("train", "devel", "test"), start=1):
        client = f"{number:03d}"
        video = f"{part}/real/{REAL.format(client)}"
        for frame in range(2):
            picture(tmp_path / f"{video}_{frame:05d}.png")
        locations = tmp_path / "face-locations" / f"{video}.face"
        locations.parent.mkdir(parents=True)
        locations.write_text("0 0 0 0 0\n1 10 20 30 40\n")
        for attack in ATTACKS:
            picture(tmp_path / f"{part}/attack/{attack.format(client)}/00004.png")
    return tmp_path


def test_replay_attack(replay: Path) -> None:
    index = replay_attack.read(replay)
    assert by(index, "split", "subject", "label") == {
        (split, f"client00{n}", label): count
        for n, split in enumerate(("train", "development", "test"), start=1)
        for label, count in (("bona_fide", 2), ("attack", 3))
    }
    assert by(index.select(label="attack"), "species") == {(name,): 3 for name in ATTACKS.values()}
    assert [sample.box for sample in index.select(split="train")[:2]] == [None, Box(10, 20, 30, 40)]
    assert index[0].capture == index[1].capture == f"train/real/{REAL.format('001')}"
    index.check_disjoint()


def test_replay_attack_broken(replay: Path) -> None:
    locations = next(replay.glob("face-locations/train/real/*.face"))
    locations.write_text("1 2 3\n")
    with pytest.raises(DataIndexError, match="line 1: must be 'frame x y w h'"):
        replay_attack.read(replay)


def test_videos_without_frames_are_told_apart_from_nothing(replay: Path) -> None:
    for frame in (replay / "train" / "real").iterdir():
        frame.rename(frame.with_suffix(".mov"))
    with pytest.raises(DataIndexError, match="2 videos and no pictures; extract frames"):
        replay_attack.read(replay)


# OULU-NPU


@pytest.fixture
def oulu(tmp_path: Path) -> Path:
    for part, user in (("Train", "01"), ("Dev", "21"), ("Test", "36")):
        for file in range(1, 6):
            picture(tmp_path / f"{part}_files" / f"2_1_{user}_{file}_007.png")
        for protocol in ("1/{}.txt", "3/{}_6.txt"):
            path = tmp_path / "Protocols" / ("Protocol_" + protocol.format(part))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"+1,2_1_{user}_1\n-1,2_1_{user}_2\n")
    return tmp_path


def test_oulu_npu(oulu: Path) -> None:
    index = oulu_npu.read(oulu)
    assert by(index, "split", "subject") == {
        ("train", "01"): 5,
        ("development", "21"): 5,
        ("test", "36"): 5,
    }
    assert index.species == ("print_printer_1", "print_printer_2", "replay_display_1", "replay_display_2")
    assert len(index.select(label="bona_fide")) == 3
    assert index[0].capture == "2_1_01_1"
    index.check_disjoint()


@pytest.mark.parametrize("protocol", ["1", "3_6"])
def test_oulu_npu_protocols_list_videos(oulu: Path, protocol: str) -> None:
    index = oulu_npu.read(oulu, protocol=protocol)
    assert by(index, "label", "species") == {("bona_fide", ""): 3, ("attack", "print_printer_1"): 3}


@pytest.mark.parametrize(("protocol", "words"), [("5", "unknown"), ("3", "unknown"), ("2", "cannot be read")])
def test_oulu_npu_wrong_protocol(oulu: Path, protocol: str, words: str) -> None:
    with pytest.raises(DataIndexError, match=words):
        oulu_npu.read(oulu, protocol=protocol)


def test_a_picture_of_no_video_is_named(oulu: Path) -> None:
    picture(oulu / "Dev_files" / "thumbnail.png")
    with pytest.raises(DataIndexError, match=r"thumbnail\.png: neither its name nor its folder's"):
        oulu_npu.read(oulu)


# CASIA-FASD

CASIA_VIDEOS = ("1", "2", "HR_1", "3", "4", "HR_2", "5", "6", "HR_3", "7", "8", "HR_4")


@pytest.fixture
def casia(tmp_path: Path) -> Path:
    for part, people in (("train", 4), ("test", 2)):
        for person in range(1, people + 1):
            for video in CASIA_VIDEOS:
                picture(tmp_path / f"{part}_release" / str(person) / f"{video}_0001.png")
    return tmp_path


def test_casia_fasd(casia: Path) -> None:
    index = casia_fasd.read(casia)
    assert by(index, "split") == {("train",): 36, ("development",): 12, ("test",): 24}
    assert by(index.select(split="test"), "species") == {
        ("",): 6,
        ("print_warped",): 6,
        ("print_cut",): 6,
        ("replay_tablet",): 6,
    }
    assert len(index.subjects) == 6, "person 1 of train is not person 1 of test"
    assert {s.capture for s in index.select(split="test")} >= {"test_release/1/HR_1", "test_release/2/8"}
    index.check_disjoint()


def test_casia_fasd_frames_in_folders_are_the_same(casia: Path) -> None:
    beside = casia_fasd.read(casia)
    for path in list(casia.rglob("*_0001.png")):
        picture(path.with_name(path.stem.removesuffix("_0001")) / "0001.png")
        path.unlink()
    inside = casia_fasd.read(casia)
    fields = ("label", "species", "subject", "split", "capture")
    assert by(inside, *fields) == by(beside, *fields)


def test_casia_fasd_outside_a_persons_folder(casia: Path) -> None:
    picture(casia / "train_release" / "stray" / "1_0001.png")
    with pytest.raises(DataIndexError, match="neither its name nor its folder"):
        casia_fasd.read(casia)


# NUAA


@pytest.fixture
def nuaa_root(tmp_path: Path) -> Path:
    for person in range(1, 17):
        for source in ("ClientRaw", "ImposterRaw"):
            for number in range(2):
                picture(tmp_path / source / f"{person:04d}" / f"{person:04d}_00_05_03_{number}.jpg")
    return tmp_path


def test_nuaa(nuaa_root: Path) -> None:
    index = nuaa.read(nuaa_root)
    assert by(index, "split", "label") == {
        (split, label): 2 * people
        for split, people in (("train", 9), ("development", 3), ("test", 4))
        for label in ("bona_fide", "attack")
    }
    assert index.species == ("print_flat",)
    assert index[0].capture == "ClientRaw/0001_00_05_03"
    index.check_disjoint()


def test_nuaa_broken(nuaa_root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    picture(nuaa_root / "ClientRaw" / "0001" / "face.jpg")
    with pytest.raises(DataIndexError, match=r"face\.jpg"):
        nuaa.read(nuaa_root)
    empty = tmp_path_factory.mktemp("empty")
    for name in ("ClientRaw", "ImposterRaw"):
        (empty / name).mkdir()
    with pytest.raises(DataIndexError, match="no pictures"):
        nuaa.read(empty)


# Aligned faces in shards

SHARDS = """path,shard,identity,split,source
7/000.webp,train-00.tar,7,train,wild
7/001.webp,extra.tar,7,extra,wild
u/000.webp,unlabelled.tar,-1,unlabelled,adults
c/000.webp,train-01.tar,3,train,cfp
s/000.webp,synthetic.tar,-1,unlabelled,stylegan2-samples
9/000.webp,validation.tar,9,validation,wild
"""


def test_identity_shards_are_bona_fide_photographs(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text(SHARDS)
    index = identity_shards.read(tmp_path)
    assert [(s.path, s.subject, s.split) for s in index] == [
        ("7/000.webp", "7", "train"),
        ("7/001.webp", "7", "train"),
        ("u/000.webp", "", "train"),
        ("9/000.webp", "9", "development"),
    ]
    assert by(index, "label", "species", "dataset", "capture") == {("bona_fide", "", "identity", ""): 4}
    assert {sample.box for sample in index} == {identity_shards.FACE}
    index.check_disjoint()


def test_identity_shards_with_black_wedges_come_on_request(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text(SHARDS)
    added = set(identity_shards.read(tmp_path, cut=True)) - set(identity_shards.read(tmp_path))
    assert [s.path for s in added] == ["c/000.webp"]


def test_the_box_of_aligned_faces_lies_around_their_landmarks() -> None:
    x, y, width, height = identity_shards.FACE
    assert ((x, y) < TEMPLATE).all()
    assert ((x + width, y + height) > TEMPLATE).all()
    assert x + width / 2 == pytest.approx(TEMPLATE[:, 0].mean(), abs=3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,identity,split,source\n7/0.webp,7,train,wild\n", "missing column shard"),
        (SHARDS + "8/0.webp,validation.tar,8,valid,wild\n", "line 8: needs a path"),
        (SHARDS + "8/0.webp,validation.tar,,train,wild\n", "line 8: needs a path, an identity"),
        (SHARDS + "8/0.webp,validation.tar\n", "line 8: needs"),
        (SHARDS.splitlines()[0], "no photographs"),
    ],
)
def test_identity_shards_broken(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "index.csv").write_text(text)
    with pytest.raises(DataIndexError, match=words):
        identity_shards.read(tmp_path)


# A folder of one's own


def test_folder(tmp_path: Path) -> None:
    for name in (
        "train/live/ann/a.png",
        "train/spoof/print/ann/monday/b.png",
        "val/bona_fide/c.png",
        "test/attack/d.png",
        "attack/replay/e.png",
    ):
        picture(tmp_path / name)
    found = {s.path: s for s in folder.read(tmp_path, dataset="door")}
    seen = {path: (s.label, s.species, s.subject, s.split, s.capture) for path, s in found.items()}
    monday = "train/spoof/print/ann/monday"
    assert seen == {
        "train/live/ann/a.png": ("bona_fide", "", "ann", "train", ""),
        f"{monday}/b.png": ("attack", "print", "ann", "train", monday),
        "val/bona_fide/c.png": ("bona_fide", "", "", "development", ""),
        "test/attack/d.png": ("attack", "unspecified", "", "test", ""),
        "attack/replay/e.png": ("attack", "replay", "", "", ""),
    }
    assert folder.read(tmp_path).datasets == (tmp_path.name,)


def test_folder_broken(tmp_path: Path) -> None:
    with pytest.raises(DataIndexError, match="no pictures in it"):
        folder.read(tmp_path)
    picture(tmp_path / "misc" / "a.png")
    with pytest.raises(DataIndexError, match=r"a\.png: lies neither under bona_fide nor under attack"):
        folder.read(tmp_path)
    with pytest.raises(DataIndexError, match="not a folder"):
        folder.read(tmp_path / "absent")


# What they share


@pytest.mark.parametrize("layout", sorted(READERS))
def test_an_empty_folder_is_no_layout(layout: str, tmp_path: Path) -> None:
    with pytest.raises(DataIndexError):
        read_layout(layout, tmp_path)


def test_an_unknown_layout_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DataIndexError, match="unknown layout 'siw'; there are casia_fasd, celeba_spoof"):
        read_layout("siw", tmp_path)


def test_carve_is_the_same_for_any_order_and_never_empty() -> None:
    people = [f"p{n}" for n in range(50)]
    chosen = carve(people, 0.2, "x")
    assert len(chosen) == 10
    assert carve(reversed(people), 0.2, "x") == chosen != carve(people, 0.2, "y")
    assert len(carve(people[:2], 0.01, "x")) == 1
