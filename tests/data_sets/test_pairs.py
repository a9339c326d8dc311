"""Pairs: the CSV, LFW's official lists, and finding the pictures that a list names."""

from __future__ import annotations

from pathlib import Path

import pytest

from ostiary.data.pairs import Pair, Pairs, locate, read_pairs
from ostiary.errors import DataIndexError


def written(folder: Path, *lines: str) -> Path:
    path = folder / "pairs.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_csv_of_pairs(tmp_path: Path) -> None:
    pairs = read_pairs(written(tmp_path, "path_a,path_b,same,fold,note", "a,b,1,3,x", "a,c,False,0,y", "d,b,0,3,"))
    assert list(pairs) == [Pair("a", "b", True, 3), Pair("a", "c", False, 0), Pair("d", "b", False, 3)]
    assert pairs.paths == ("a", "b", "c", "d")
    assert pairs.folds == (0, 3)
    assert isinstance(pairs[:2], Pairs)


def test_fold_and_group_may_be_missing(tmp_path: Path) -> None:
    assert list(read_pairs(written(tmp_path, "same,path_b,path_a", "true,b,a"))) == [Pair("a", "b", True)]
    grouped = read_pairs(written(tmp_path, "path_a,path_b,same,group", "a,b,1,old"))
    assert list(grouped) == [Pair("a", "b", True, None, "old")]
    assert grouped.folds == ()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a,b,2,0", "same is '2'; write 1 for the same person and 0 for two"),
        ("a,b,,0", "same is ''"),
        ("a,,1,0", "needs two pictures"),
        ("a,a,1,0", "compares a with itself"),
        ("a,b,1,-1", "fold is '-1'"),
        ("a,b,1,nan", "fold is nan"),
        ("a,b,1", "as many values as the header"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(DataIndexError, match=r"pairs\.txt, line 3: ") as caught:
        read_pairs(written(tmp_path, "path_a,path_b,same,fold", "a,b,1,0", line))
    assert words in str(caught.value)


def test_folds_on_some_lines_only(tmp_path: Path) -> None:
    with pytest.raises(DataIndexError, match="some pairs have a fold and some have none"):
        read_pairs(written(tmp_path, "path_a,path_b,same,fold", "a,b,1,0", "a,c,0,"))


def test_bad_files_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataIndexError, match="missing column path_b"):
        read_pairs(written(tmp_path, "path_a,same", "a,1"))
    with pytest.raises(DataIndexError, match="no pairs in it"):
        read_pairs(written(tmp_path, "path_a,path_b,same"))
    (tmp_path / "empty.csv").touch()
    with pytest.raises(DataIndexError, match="the file is empty"):
        read_pairs(tmp_path / "empty.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x9f")
    for path in (tmp_path / "absent.csv", tmp_path, tmp_path / "binary.csv"):
        with pytest.raises(DataIndexError, match="the pairs cannot be read"):
            read_pairs(path)


LFW = (
    "2\t2",
    *("Ann_Lee\t1\t4", "Ben_Moe\t2\t10", "Ann_Lee\t2\tBen_Moe\t1", "Cy\t1\tAnn_Lee\t3"),
    *("Cy\t1\t2", "Cy\t1\t3", "Cy\t2\tBen_Moe\t7", "Dan\t1\tCy\t3"),
)


def test_a_list_of_lfw(tmp_path: Path) -> None:
    pairs = read_pairs(written(tmp_path, *LFW))
    assert pairs[0] == Pair("Ann_Lee/Ann_Lee_0001.jpg", "Ann_Lee/Ann_Lee_0004.jpg", True, 0)
    assert pairs[1].path_b == "Ben_Moe/Ben_Moe_0010.jpg"
    assert pairs[3] == Pair("Cy/Cy_0001.jpg", "Ann_Lee/Ann_Lee_0003.jpg", False, 0)
    assert [pair.same for pair in pairs] == [True, True, False, False] * 2
    assert [pair.fold for pair in pairs] == [0] * 4 + [1] * 4
    spaced = read_pairs(written(tmp_path, *(line.replace("\t", " ") for line in LFW), "", ""))
    assert spaced == pairs


def test_a_list_of_lfw_without_folds(tmp_path: Path) -> None:
    pairs = read_pairs(written(tmp_path, "1", "Ann\t1\t2", "Ann\t1\tBen\t2"))
    assert list(pairs) == [
        Pair("Ann/Ann_0001.jpg", "Ann/Ann_0002.jpg", True),
        Pair("Ann/Ann_0001.jpg", "Ben/Ben_0002.jpg", False),
    ]


def test_names_with_spaces_when_tabs_divide(tmp_path: Path) -> None:
    pairs = read_pairs(written(tmp_path, "1", "Ann Lee\t1\t2", "Ann Lee\t1\tBen\t2"))
    assert pairs[0].path_a == "Ann Lee/Ann Lee_0001.jpg"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (LFW[:-1], r"promises 2 x 2 mated pairs and as many non-mated ones, but 7 lines follow"),
        (("2", "Ann\t5", "Ben\t1"), r"promises 2 .* 2 lines follow; .*not of people"),
        (("0",), "0 lines follow"),
        (("1\t1\t1", "Ann\t1\t2", "Ann\t1\tBen\t2"), "promises 1 x 1 x 1"),
        ((*LFW[:2], "Cy\t1\tBen_Moe\t2", *LFW[3:]), r"line 3: of 4 pairs of a fold the first 2 must be mated"),
        ((*LFW[:2], "Cy\tone\t2", *LFW[3:]), r"line 3: must be NAME N M"),
        ((*LFW[:2], "Cy\t1", *LFW[3:]), r"line 3: must be NAME N M"),
        ((*LFW[:2], "Cy\t2\t2", *LFW[3:]), r"line 3: compares Cy/Cy_0002\.jpg with itself"),
        ((*LFW[:3], "Cy\t2\tCy\t3", *LFW[4:]), r"line 4: names Cy twice"),
    ],
)
def test_lists_of_lfw_broken(tmp_path: Path, lines: tuple[str, ...], words: str) -> None:
    with pytest.raises(DataIndexError, match=words):
        read_pairs(written(tmp_path, *lines))


def test_pictures_are_found_under_another_suffix_and_below_a_folder() -> None:
    wanted = ["Ann/Ann_0001.jpg", "Ann/Ann_0002.jpg", "Ben/Ben_0001.jpg"]
    plain = ["Ann/Ann_0001.jpg", "Ann/Ann_0002.png"]
    assert locate(wanted, plain) == {wanted[0]: plain[0], wanted[1]: plain[1]}
    around = [f"lfw/{name}" for name in plain]
    assert locate(wanted, around) == {wanted[0]: around[0], wanted[1]: around[1]}
    assert locate(["lfw/Ann/Ann_0001.jpg"], around) == {"lfw/Ann/Ann_0001.jpg": around[0]}


def test_what_else_lies_in_an_archive_does_not_matter() -> None:
    present = ["lfw/logo.png", "Ann/Ann_0003.jpg", "a/lfw/Ann/Ann_0001.jpg", "a/lfw/Ben/Ben_0001.jpg"]
    wanted = ["Ann/Ann_0001.jpg", "Ben/Ben_0001.jpg", "Ann/Ann_0003.jpg"]
    assert locate(wanted, present) == dict(zip(wanted[:2], present[2:], strict=True))


def test_an_absent_picture_is_not_taken_from_elsewhere() -> None:
    present = ["1.jpg", "2.jpg", "backup/3.jpg"]
    assert locate(["1.jpg", "2.jpg", "3.jpg"], present) == {"1.jpg": "1.jpg", "2.jpg": "2.jpg"}
    assert locate(["1.jpg"], []) == {}


def test_of_two_pictures_with_other_suffixes_none_is_taken() -> None:
    present = ["Ann/Ann_0001.png", "Ann/Ann_0001.webp", "Ann/Ann_0001.bmp", "Ben/Ben_0001.png"]
    assert locate(["Ann/Ann_0001.jpg"], present) == {}
    assert locate(["Ann/Ann_0001.webp"], present) == {"Ann/Ann_0001.webp": "Ann/Ann_0001.webp"}


@pytest.mark.packs
def test_the_pairs_of_the_pack(packs: Path) -> None:
    from ostiary.data.identity_readers import read_faces

    pairs = read_pairs(packs / "data" / "faces" / "validation_pairs.csv")
    assert (len(pairs), sum(pair.same for pair in pairs), pairs.folds) == (7_000, 3_500, tuple(range(10)))
    index = read_faces("identity_pack", [packs / "data" / "faces"])
    people = {portrait.path: portrait.identity for portrait in index.select(split="test")}
    assert all((people[pair.path_a] == people[pair.path_b]) == pair.same for pair in pairs)
