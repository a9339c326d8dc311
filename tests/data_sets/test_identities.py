"""The index of a face recognition set: its file, and the questions asked of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.data.identities import COLUMNS, IdentityIndex, Portrait
from ostiary.errors import DataIndexError

HEADER = ",".join(COLUMNS)

SET = IdentityIndex(
    [
        Portrait("b/1.png", "ben", "train", "one"),
        Portrait("a/1.png", "ann", "train", "one"),
        Portrait("a/2.png", "ann", "train", "one"),
        Portrait("x.png", "", "train", "one"),
        Portrait("c/1.png", "ann", "test", "two"),
    ]
)


def written(folder: Path, *lines: str) -> Path:
    path = folder / "faces.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    return path


def test_a_line_becomes_a_portrait(tmp_path: Path) -> None:
    path = written(tmp_path, "note," + HEADER, 'hello," a/1.png",ann,train,mine', "-,b.png,,,")
    assert list(IdentityIndex.read_csv(path)) == [Portrait("a/1.png", "ann", "train", "mine"), Portrait("b.png")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a.png,ann,valid,mine", "unknown split 'valid'; it must be one of train, development, test, empty"),
        (",ann,train,mine", "path is empty"),
        ("a.png,nan,train,mine", "identity is nan"),
        ("a.png,ann,train", "as many values as the header"),
        ("a.png,ann,train,mine,more", "as many values as the header"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(DataIndexError, match=r"faces\.csv, line 3") as caught:
        IdentityIndex.read_csv(written(tmp_path, HEADER, "z.png,,,", line))
    assert words in str(caught.value)


def test_bad_files_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataIndexError, match="missing columns identity, split"):
        IdentityIndex.read_csv(written(tmp_path, "path,dataset", "a.png,mine"))
    with pytest.raises(DataIndexError, match="no portraits in it"):
        IdentityIndex.read_csv(written(tmp_path, HEADER))
    (tmp_path / "empty.csv").touch()
    with pytest.raises(DataIndexError, match="the file is empty"):
        IdentityIndex.read_csv(tmp_path / "empty.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x9f")
    for path in (tmp_path / "absent.csv", tmp_path, tmp_path / "binary.csv"):
        with pytest.raises(DataIndexError, match="cannot be read as a UTF-8 CSV"):
            IdentityIndex.read_csv(path)
    with pytest.raises(DataIndexError, match="cannot be written"):
        SET.write_csv(tmp_path / "absent" / "faces.csv")


words = st.text(st.characters(categories=("L", "N", "P"), exclude_characters="\n\r"), max_size=6).filter(
    lambda text: text.lower() != "nan"
)
portraits = st.builds(
    Portrait, words.filter(bool), words, st.sampled_from(("train", "development", "test", "")), words
)


@given(st.lists(portraits, min_size=1, max_size=5))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, listed: list[Portrait]) -> None:
    path = tmp_path_factory.mktemp("faces") / "faces.csv"
    IdentityIndex(listed).write_csv(path)
    assert IdentityIndex.read_csv(path) == IdentityIndex(listed)
    assert [file.name for file in path.parent.iterdir()] == ["faces.csv"]


def test_identities_are_counted_by_data_set() -> None:
    assert SET.identities == {("one", "ann"): 2, ("one", "ben"): 1, ("two", "ann"): 1}
    assert (SET.single, SET.unknown, SET.datasets) == (2, 1, ("one", "two"))
    assert repr(SET) == "IdentityIndex(5 portraits of 3 identities)"


def test_classes_number_the_identities_and_leave_out_the_unknown() -> None:
    assert SET.classes().tolist() == [1, 0, 0, -1, 2]
    assert SET.classes().dtype == np.int64
    assert IdentityIndex([Portrait("x.png")]).classes().tolist() == [-1]


def test_parts_of_an_index_are_indexes() -> None:
    assert SET.select(split="test") == SET[4:]
    assert isinstance(SET[4:], IdentityIndex)
    assert SET.select(dataset="one", identity="ann") == SET[1:3]
    assert SET.select(identity="") == SET[3:4]
    assert SET.with_at_least(2) == SET[1:3]
    assert len(SET.with_at_least(1)) == 4, "a picture of nobody known is of no identity"
    assert IdentityIndex.concatenate([SET[:2], SET[2:]]) == SET


def test_an_identity_in_two_splits_is_named() -> None:
    moved = [Portrait("b/2.png", "ben", "test", "one"), Portrait("a/3.png", "ann", "development", "one")]
    with pytest.raises(
        DataIndexError,
        match=r"identity 'ann' of data set 'one' is in the splits development, train \(and 1 more\)",
    ):
        IdentityIndex([*SET, *moved]).check_disjoint()


def test_a_picture_of_nobody_known_in_two_splits_is_named() -> None:
    with pytest.raises(DataIndexError, match=r"picture 'x\.png' is in the splits test, train"):
        IdentityIndex([*SET, Portrait("x.png", "", "test", "one")]).check_disjoint()


def test_namesakes_of_other_sets_and_no_split_are_no_overlap() -> None:
    SET.check_disjoint()
    IdentityIndex([*SET, Portrait("a/9.png", "ann", "", "one")]).check_disjoint()
