"""The index file: what is read, and how what is wrong with it is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.data.index import COLUMNS, Index, Sample
from ostiary.errors import DataIndexError
from ostiary.faces.detector import Box

HEADER = ",".join(COLUMNS)
GOOD = "a.png,attack,print_flat,p1,train,mine,c1,1 2 30 40"


def written(folder: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path = folder / "index.csv"
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def test_a_line_becomes_a_sample(tmp_path: Path) -> None:
    index = Index.read_csv(written(tmp_path, HEADER, GOOD, "b.png,bona_fide,,,,,,"))
    assert list(index) == [
        Sample("a.png", "attack", "print_flat", "p1", "train", "mine", "c1", Box(1, 2, 30, 40)),
        Sample("b.png", "bona_fide"),
    ]


def test_further_columns_their_order_and_a_byte_order_mark_do_not_matter(tmp_path: Path) -> None:
    header = "note," + ",".join(reversed(COLUMNS))
    line = "hello," + ",".join(reversed(GOOD.split(",")))
    path = written(tmp_path, header, line, encoding="utf-8-sig")
    assert Index.read_csv(path) == Index.read_csv(written(tmp_path, HEADER, GOOD))


def test_an_attack_without_species_is_unspecified(tmp_path: Path) -> None:
    assert Index.read_csv(written(tmp_path, HEADER, "a.png,attack,,,,,,"))[0].species == "unspecified"


def test_a_species_never_heard_of_is_kept(tmp_path: Path) -> None:
    index = Index.read_csv(written(tmp_path, HEADER, "a.png,attack,hologram,,,,,"))
    assert index.species == ("hologram",)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a.png,spoof,,,,,,", "unknown label 'spoof'"),
        ("a.png,,,,,,,", "unknown label ''"),
        ("a.png,nan,,,,,,", "label is nan"),
        ("a.png,attack,NaN,,,,,", "species is NaN"),
        ("a.png,attack,,,valid,,,", "unknown split 'valid'"),
        ("a.png,bona_fide,print_flat,,,,,", "species 'print_flat' given for a bona fide"),
        (",attack,,,,,,", "path is empty"),
        ("a.png,attack,,,,,,1 2 3", "bad box '1 2 3'"),
        ("a.png,attack,,,,,,1 2 x 4", "bad box '1 2 x 4'"),
        ("a.png,attack,,,,,,1 2 nan 4", "must be finite"),
        ("a.png,attack,,,,,,1 2 0 4", "above zero"),
        ("a.png,attack,,,,,", "as many values"),
        ("a.png,attack,,,,,,,1 2 3 4", "as many values"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    path = written(tmp_path, HEADER, GOOD, line)
    with pytest.raises(DataIndexError, match=r"index\.csv, line 3") as caught:
        Index.read_csv(path)
    assert words in str(caught.value)


def test_missing_columns_are_listed(tmp_path: Path) -> None:
    with pytest.raises(DataIndexError, match="missing columns species, capture"):
        Index.read_csv(written(tmp_path, "path,label,subject,split,dataset,box", "a.png,attack,,,,"))


def test_an_empty_file_and_a_header_alone_are_errors(tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.touch()
    with pytest.raises(DataIndexError, match="the file is empty"):
        Index.read_csv(empty)
    with pytest.raises(DataIndexError, match="no samples"):
        Index.read_csv(written(tmp_path, HEADER))


def test_what_is_no_text_file_is_an_error(tmp_path: Path) -> None:
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00\x9f")
    for path in (binary, tmp_path, tmp_path / "absent.csv"):
        with pytest.raises(DataIndexError, match="cannot be read as a UTF-8 CSV"):
            Index.read_csv(path)


names = st.text(st.characters(categories=("L", "N")), max_size=6).filter(lambda s: s.lower() != "nan")
numbers = st.integers(-1000, 1000).map(float)
sizes = st.integers(1, 4000).map(lambda n: n / 4)
boxes = st.none() | st.builds(Box, numbers, numbers, sizes, sizes)
common = {
    "path": names.filter(bool),
    "subject": names,
    "split": st.sampled_from(("train", "development", "test", "")),
    "dataset": names,
    "capture": names,
    "box": boxes,
}
samples = st.builds(Sample, label=st.just("bona_fide"), **common) | st.builds(
    Sample, label=st.just("attack"), species=names.filter(bool), **common
)


@given(st.lists(samples, min_size=1, max_size=5))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, listed: list[Sample]) -> None:
    path = tmp_path_factory.mktemp("index") / "index.csv"
    Index(listed).write_csv(path)
    assert Index.read_csv(path) == Index(listed)


def test_select_and_concatenate() -> None:
    a, b = Sample("a", "attack", "x", "p", "train", "one"), Sample("b", "bona_fide", "", "p", "test", "two")
    index = Index.concatenate([Index([a]), Index([b])])
    assert index.select(split="test") == Index([b])
    assert index.select(dataset="one", label="attack") == index[:1] == Index([a])
    assert len(index.select(dataset="one", label="bona_fide")) == 0
    assert index.datasets == ("one", "two")
    assert index.subjects == (("one", "p"), ("two", "p"))


@pytest.mark.parametrize("field", ["subject", "capture"])
def test_a_subject_or_capture_in_two_splits_is_named(field: str) -> None:
    first = Sample("a", "bona_fide", split="train", dataset="set", **{field: "x7"})  # type: ignore[arg-type]
    second = Sample("b", "bona_fide", split="test", dataset="set", **{field: "x7"})  # type: ignore[arg-type]
    with pytest.raises(DataIndexError, match=f"{field} 'x7' of data set 'set' is in the splits test, train"):
        Index([first, second]).check_disjoint()


def test_unknown_people_other_data_sets_and_no_split_are_no_overlap() -> None:
    Index(
        [
            Sample("a", "bona_fide", split="train", dataset="one", subject="p"),
            Sample("b", "bona_fide", split="test", dataset="two", subject="p"),
            Sample("c", "bona_fide", split="", dataset="one", subject="p"),
            Sample("d", "bona_fide", split="train", dataset="one"),
            Sample("e", "bona_fide", split="test", dataset="one"),
        ]
    ).check_disjoint()


@pytest.mark.packs
def test_the_packs_hold_what_their_page_says(packs: Path) -> None:
    from ostiary.data.packs import open_packs

    index, store = open_packs(packs / "data" / "liveness")
    index.check_disjoint()
    replay = index.select(dataset="replay_attack", split="train")
    assert (len(replay.select(label="bona_fide")), len(replay.select(label="attack"))) == (480, 900)
    assert store.image(replay[0].path).shape == (240, 320, 3)
