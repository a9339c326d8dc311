from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ostiary.data.pairs import Pair
from ostiary.errors import DataIndexError
from ostiary.reports.comparisons import (
    ComparedPairs,
    compare_pairs,
    read_comparisons,
    write_comparisons,
)
from ostiary.reports.embedded import EmbeddedPictures
from ostiary.reports.people import people_of_pairs

PAIRS = (
    Pair("ann/1.png", "ann/2.png", True, 0, "north"),
    Pair("ann/1.png", "ben/1.png", False, 0, "south"),
    Pair("ann/3.png", "ben/1.png", False, 1),
    Pair("cy/1.png", "ann/3.png", False, 1),
)


def _embedded() -> EmbeddedPictures:
    plain = np.array([[1, 0], [0.6, 0.8], [-1, 0]], np.float32)
    row = {"ann/1.png": 0, "ann/2.png": 1, "ben/1.png": 2}
    return EmbeddedPictures(row, plain, plain[::-1], {"ann/3.png": "no_face", "cy/1.png": "absent"})


def test_pairs_without_a_picture_keep_their_reason() -> None:
    found = compare_pairs(PAIRS, _embedded())
    assert found.similarity[:2].tolist() == pytest.approx([0.8, 0])
    assert np.isnan(found.similarity[2:]).all()
    assert found.reasons == ("", "", "no_face", "absent")  # of the first picture that has none
    assert found.skipped == {"absent": 1, "no_face": 1}
    comparisons = found.comparisons()
    assert comparisons.same.tolist() == [True, False]
    assert comparisons.people is not None and comparisons.people.tolist() == [[0, 0], [0, 1]]  # noqa: PT018
    assert comparisons.group.tolist() == ["north", "south"]
    assert compare_pairs(PAIRS, _embedded(), flip=True).similarity[:2].tolist() == pytest.approx([0.2, 0])


def test_no_embedding_at_all() -> None:
    nothing = EmbeddedPictures({}, np.zeros((0, 1), np.float32), None, dict.fromkeys(("a", "b"), "absent"))
    found = compare_pairs([Pair("a", "b", True)], nothing)
    assert found.skipped == {"absent": 1}
    assert len(found.comparisons()) == 0


def test_embeddings_are_not_shown() -> None:
    assert repr(_embedded()) == "EmbeddedPictures(3 with an embedding, 2 without)"


def test_a_comparison_file_keeps_every_digit(tmp_path: Path) -> None:
    found = compare_pairs(PAIRS, _embedded())
    found.similarity[0] = 0.1 + 0.2
    write_comparisons(found, tmp_path / "a.csv")
    again = read_comparisons(tmp_path / "a.csv")
    assert (again.pairs, again.reasons) == (found.pairs, found.reasons)
    assert np.array_equal(again.similarity, found.similarity, equal_nan=True)
    assert (tmp_path / "a.csv").read_text().splitlines()[0] == "path_a,path_b,same,fold,similarity,group,reason"


def test_somebody_elses_comparisons_need_four_columns(tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text("similarity,same,path_a,path_b\n0.25,True,a,b\n")
    found = read_comparisons(path)
    assert found.pairs == (Pair("a", "b", True),)
    assert found.similarity.tolist() == [0.25]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,b,1,0,1.5,", r"must lie in \[0, 1\]"),
        ("a,b,1,0,high,", "a number in"),
        ("a,b,1,0,,", "either a similarity, or a reason"),
        ("a,b,1,0,0.5,no_face", "either a similarity, or a reason"),
        ("a,b,maybe,0,0.5,", "unknown same"),
        ("a,b,1,first,0.5,", "whole number"),
        ("a,,1,0,0.5,", "path is empty"),
        ("a,b,1,0,nan,", "nan"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(f"path_a,path_b,same,fold,similarity,reason\na,b,0,0,0.5,\n{line}\n")
    with pytest.raises(DataIndexError, match=f"line 3: .*{message}"):
        read_comparisons(path)


def test_people_are_what_the_folders_say() -> None:
    assert people_of_pairs(PAIRS) == [("ann", "ann"), ("ann", "ben"), ("ann", "ben"), ("cy", "ann")]


@pytest.mark.parametrize(
    ("pairs", "people"),
    [
        # the upper of two levels that fit
        ([("p/s1/1", "p/s1/2", True), ("p/s1/1", "q/s1/1", False)], [("p", "p"), ("p", "q")]),
        # frontal and profile pictures in folders of their own, and a folder around everything
        (
            [("all/p/f/1", "all/p/s/1", True), ("all/p/f/1", "all/q/s/1", False)],
            [("all/p", "all/p"), ("all/p", "all/q")],
        ),
        ([("1.png", "2.png", True), ("1.png", "3.png", False)], None),  # one folder for all
        ([("x/1", "x/2", True), ("x/1", "x/3", False)], None),
        ([("p1/a", "p1/b", False), ("p2/a", "p2/b", True)], None),  # a folder a pair
        ([("p/1", "p/2", True), ("p/1", "p/3", True)], None),  # one kind of pairs
    ],
)
def test_folders_are_not_believed_blindly(
    pairs: list[tuple[str, str, bool]], people: list[tuple[str, str]] | None
) -> None:
    assert people_of_pairs([Pair(*pair) for pair in pairs]) == people


def test_compared_pairs_of_one_list_can_be_joined_to_comparisons() -> None:
    same = tuple(Pair(f"{i}.png", f"{i}b.png", i % 2 == 0) for i in range(4))
    found = ComparedPairs(same, np.linspace(0, 1, 4), ("",) * 4).comparisons()
    assert (found.people, found.fold) == (None, None)
    assert found.similarity.tolist() == np.linspace(0, 1, 4).tolist()
