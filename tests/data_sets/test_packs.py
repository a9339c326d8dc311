"""Packs: several index-and-tar pairs in one folder, read in place."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from ostiary.data.index import Index, Sample
from ostiary.data.packs import open_packs, read
from ostiary.errors import DataIndexError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        Index([Sample(f"{name}/a.png", "bona_fide", dataset=name)]).write_csv(tmp_path / f"{name}.csv")
        with tarfile.open(tmp_path / f"{name}.tar", "w") as archive:
            member = tarfile.TarInfo(f"{name}/a.png")
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    (tmp_path / "notes.csv").write_text("an index without a tar is no pack")
    return tmp_path


def test_all_packs_and_some(folder: Path) -> None:
    index, store = open_packs(folder)
    assert index.datasets == ("one", "two")
    assert [store.read(sample.path) for sample in index] == [b"one", b"two"]
    assert read(folder, ["two"]).datasets == ("two",)


def test_an_absent_pack_is_named(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(DataIndexError, match="no pack named three; choose among one, two"):
        read(folder, ["three"])
    with pytest.raises(DataIndexError, match="no pack in it"):
        read(tmp_path_factory.mktemp("empty"))
