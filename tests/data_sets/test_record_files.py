"""InsightFace's record files: written here as dmlc and mxnet write them, and read back."""

from __future__ import annotations

import logging
import pickle
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary.data import record_files
from ostiary.data.identity_readers import open_faces, read_faces
from ostiary.errors import DataIndexError

MAGIC = struct.pack("<I", 0xCED7230A)


def pack(label: float | Sequence[float], key: int, picture: bytes = b"") -> bytes:
    """A record as mxnet packs it: several labels stand behind the header, and ``flag`` counts them."""
    if isinstance(label, int | float):
        return struct.pack("<IfQQ", 0, label, key, 0) + picture
    return struct.pack(f"<IfQQ{len(label)}f", len(label), 0, key, 0, *label) + picture


def frame(record: bytes) -> bytes:
    """A record as dmlc writes it: cut at each magic number that begins at a multiple of four bytes."""
    parts, start = [], 0
    for place in range(0, len(record) - 3, 4):
        if record[place : place + 4] == MAGIC:
            parts.append(record[start:place])
            start = place + 4
    parts.append(record[start:])
    written = b""
    for number, part in enumerate(parts):
        kind = 0 if len(parts) == 1 else 1 if number == 0 else 3 if number == len(parts) - 1 else 2
        written += MAGIC + struct.pack("<I", kind << 29 | len(part)) + part + bytes(-len(part) % 4)
    return written


@dataclass
class Writer:
    folder: Path
    stem: str = "train"
    offsets: dict[int, int] = field(default_factory=dict)
    content: bytes = b""

    def add(self, key: int, record: bytes) -> None:
        self.offsets[key] = len(self.content)
        self.content += frame(record)

    def write(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = "".join(f"{key}\t{offset}\n" for key, offset in self.offsets.items())
        (self.folder / f"{self.stem}.idx").write_text(lines)
        (self.folder / f"{self.stem}.rec").write_bytes(self.content)
        return self.folder


def small(folder: Path) -> Writer:
    """Pictures 1 to 4 of persons 0 and 7; one label, and several."""
    writer = Writer(folder / "faces_emore")
    writer.add(1, pack(0, 1, b"one"))
    writer.add(2, pack([0, 1], 2, b"two"))
    writer.add(3, pack(7, 3, b"three"))
    writer.add(4, pack([7.0], 4, b"four"))
    return writer


def found(folder: Path) -> list[tuple[str, str, bytes]]:
    store = open_faces(folder)
    return [(p.path, p.identity, store.read(p.path)) for p in read_faces("record_files", [folder])]


SMALL = [
    ("faces_emore/train/1", "0", b"one"),
    ("faces_emore/train/2", "0", b"two"),
    ("faces_emore/train/3", "7", b"three"),
    ("faces_emore/train/4", "7", b"four"),
]


def test_labels_alone_and_in_arrays(tmp_path: Path) -> None:
    folder = small(tmp_path).write()
    assert found(folder) == SMALL
    index = read_faces("record_files", [folder])
    assert {(p.split, p.dataset) for p in index} == {("train", "faces_emore")}
    assert index.identities == {("faces_emore", "0"): 2, ("faces_emore", "7"): 2}


def test_header_records_are_no_pictures_wherever_they_lie(tmp_path: Path) -> None:
    """As in MS1MV2: key 0 holds the ranges of keys, and each person has a record with its own."""
    front = Writer(tmp_path / "faces_emore")
    front.add(0, pack([5, 7], 0))
    front.add(6, pack([3, 5], 6))
    back = small(tmp_path)
    for key, offset in back.offsets.items():
        front.offsets[key] = len(front.content) + offset
    front.content += back.content
    front.add(5, pack([1, 3], 5))
    assert found(front.write()) == SMALL


def test_pictures_of_one_person_need_no_other(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "set")
    writer.add(0, pack(3, 0, b"only"))
    index = read_faces("record_files", [writer.write()])
    assert (len(index), index.single, index[0].identity) == (1, 1, "3")


@settings(max_examples=40)
@given(st.lists(st.binary(max_size=24).map(lambda part: part + bytes(-len(part) % 4)), max_size=4), st.binary())
def test_pictures_that_hold_the_magic_number_come_back_whole(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], end: bytes
) -> None:
    picture = MAGIC.join([*parts, b"data" + end])
    writer = Writer(tmp_path_factory.mktemp("records") / "set")
    writer.add(8, pack([4, 1], 8, picture))
    writer.add(9, pack(5, 9, MAGIC + picture))
    assert found(writer.write()) == [("set/train/8", "4", picture), ("set/train/9", "5", MAGIC + picture)]


def test_order_of_the_index_and_large_keys_do_not_matter(tmp_path: Path) -> None:
    writer = small(tmp_path)
    writer.add(10**15, pack(9, 10**15, b"far"))
    writer.offsets = dict(sorted(writer.offsets.items(), reverse=True))
    assert found(writer.write()) == [*SMALL, ("faces_emore/train/1000000000000000", "9", b"far")]


def test_labels_below_zero_are_nobody(tmp_path: Path) -> None:
    writer = small(tmp_path)
    writer.add(5, pack(-1, 5, b"who"))
    assert found(writer.write())[-1] == ("faces_emore/train/5", "", b"who")


@pytest.mark.parametrize("label", [float("nan"), float("inf"), 1.5])
def test_labels_that_number_nobody(tmp_path: Path, label: float) -> None:
    writer = small(tmp_path)
    writer.add(5, pack([label, 0], 5, b"who"))
    with pytest.raises(DataIndexError, match=r"faces_emore/train/5 has the label \S+, which numbers nobody"):
        found(writer.write())


def test_a_store_is_pickled_and_knows_its_names(tmp_path: Path) -> None:
    store = pickle.loads(pickle.dumps(record_files.open_records(small(tmp_path).write())))
    assert store.read("faces_emore/train/3") == b"three"
    assert "faces_emore/train/4" in store
    for name in ("faces_emore/train/5", "faces_emore/train/x", "other/train/1", "faces_emore/train/" + "9" * 40):
        assert name not in store
        with pytest.raises(DataIndexError, match="not among the pictures of"):
            store.read(name)


def test_which_of_several_files_is_meant(tmp_path: Path) -> None:
    folder = small(tmp_path).write()
    other = Writer(folder, "val")
    other.add(1, pack(0, 1, b"other"))
    other.write()
    assert found(folder) == SMALL
    assert read_faces("record_files", [folder / "val.rec"])[0].split == "development"
    (folder / "train.rec").rename(folder / "more.rec")
    with pytest.raises(DataIndexError, match=r"several record files in it; name one of more\.rec, val\.rec"):
        record_files.open_records(folder)


def test_the_property_file_is_compared(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = small(tmp_path).write()
    (folder / "property").write_text("2,112,112\n")
    with caplog.at_level(logging.WARNING):
        found(folder)
    assert not caplog.records
    (folder / "property").write_text("85742,112,112\n")
    with caplog.at_level(logging.WARNING):
        found(folder)
    assert "holds 2 identities, but its file 'property' says 85742" in caplog.text


@pytest.mark.parametrize("cut", [1, 7, 20, 36, 41])
def test_a_file_cut_off_is_said_when_it_is_opened(tmp_path: Path, cut: int) -> None:
    folder = small(tmp_path).write()
    path = folder / "train.rec"
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataIndexError, match=r"train\.rec: record 4 is cut off; \.rec and \.idx"):
        record_files.open_records(folder)


def change(folder: Path, place: int, to: bytes) -> None:
    content = bytearray((folder / "train.rec").read_bytes())
    content[place : place + len(to)] = to
    (folder / "train.rec").write_bytes(content)


@pytest.mark.parametrize(
    ("place", "to", "words"),
    [
        (0, b"JUNK", "record 2 does not begin where"),
        (4, struct.pack("<I", 2 << 29 | 30), "record 2 does not begin where"),
        (4, struct.pack("<I", (1 << 29) - 1), "record 2 is cut off"),
        (4, struct.pack("<I", 5), "record 2 has a header longer than itself"),
        (8, struct.pack("<I", 1000), "record 2 has a header longer than itself"),
    ],
)
def test_damage_inside_is_named_by_index_and_by_picture(tmp_path: Path, place: int, to: bytes, words: str) -> None:
    writer = small(tmp_path)
    folder = writer.write()
    change(folder, writer.offsets[2] + place, to)
    with pytest.raises(DataIndexError, match=words):
        read_faces("record_files", [folder])
    with pytest.raises(DataIndexError, match="record 2 "):
        record_files.open_records(folder).read("faces_emore/train/2")
    assert record_files.open_records(folder).read("faces_emore/train/3") == b"three"


@pytest.mark.parametrize(
    "text", ["", "\n\n", "1\t0\n1\t40\n", "1\n2\n", "1\t0\n2", "a\tb\n", "1\t-4\n", f"{2**70}\t0\n"]
)
def test_an_idx_that_is_none(tmp_path: Path, text: str) -> None:
    folder = small(tmp_path).write()
    (folder / "train.idx").write_text(text)
    with pytest.raises(DataIndexError, match=r"train\.idx: is no index of train\.rec"):
        record_files.open_records(folder)


def test_absent_files(tmp_path: Path) -> None:
    folder = small(tmp_path).write()
    (folder / "train.idx").unlink()
    with pytest.raises(DataIndexError, match=r"train\.idx: cannot be read .*; put it beside train\.rec"):
        record_files.open_records(folder)
    with pytest.raises(DataIndexError, match=r"no \.rec file in it"):
        record_files.open_records(tmp_path)
    small(tmp_path).write()
    (folder / "train.rec").unlink()
    with pytest.raises(DataIndexError, match=r"train\.rec: cannot be read"):
        record_files.open_records(folder / "train.rec")


def test_a_file_of_headers_alone_has_no_pictures(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "set")
    writer.add(0, pack([1, 1], 0))
    with pytest.raises(DataIndexError, match="no record of it holds a picture"):
        read_faces("record_files", [writer.write()])
