"""``ostiary data align`` and ``ostiary data faces``: what they leave on disk, and what goes to stdout."""

from __future__ import annotations

from pathlib import Path

import pytest

from ostiary.cli import data_faces
from ostiary.data.identities import IdentityIndex
from ostiary.errors import ConfigurationError, DataIndexError


@pytest.fixture
def photos(tmp_path: Path, pictures: Path) -> Path:
    folder = tmp_path / "photos" / "ann"
    folder.mkdir(parents=True)
    (folder / "1.png").write_bytes((pictures / "astronaut.png").read_bytes())
    (folder / "2.png").write_bytes(b"no picture")
    return folder.parent


def test_photos_become_crops_become_an_index(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data_faces.align(photos, tmp_path / "crops")
    data_faces.faces("identity_folders", [tmp_path / "crops"], tmp_path / "crops.csv")
    printed = capsys.readouterr()
    assert printed.out == "", "remarks belong on stderr"
    assert "crops: 1 crops made, 0 kept of an earlier run, 1 photos skipped (skipped.csv says why)" in printed.err
    assert "1 pictures of 1 identities (1 with a single picture), 0 pictures of nobody known" in printed.err
    (portrait,) = IdentityIndex.read_csv(tmp_path / "crops.csv")
    assert (portrait.path, portrait.identity, portrait.dataset) == ("ann/1.png", "ann", "crops")


def test_options_reach_the_library(photos: Path, tmp_path: Path) -> None:
    data_faces.align(photos, tmp_path / "crops", face="only", picture_format="webp")
    assert (tmp_path / "crops" / "ann" / "1.webp").is_file()
    data_faces.faces("identity_folders", [photos], tmp_path / "photos.csv", dataset="door")
    assert IdentityIndex.read_csv(tmp_path / "photos.csv").datasets == ("door",)


def test_faces_refuses_a_person_in_two_splits(photos: Path, tmp_path: Path) -> None:
    for split in ("train", "test"):
        folder = tmp_path / "set" / split / "ann"
        folder.mkdir(parents=True)
        (folder / f"{split}.png").write_bytes((photos / "ann" / "1.png").read_bytes())
    with pytest.raises(DataIndexError, match="identity 'ann' of data set 'set' is in the splits test, train"):
        data_faces.faces("identity_folders", [tmp_path / "set"], tmp_path / "set.csv")
    assert not (tmp_path / "set.csv").exists()


def test_bad_input_is_an_error_of_ours(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(DataIndexError, match="unknown layout"):
        data_faces.faces("nothing", [photos], tmp_path / "x.csv")
    with pytest.raises(ConfigurationError, match="lies inside"):
        data_faces.align(photos, photos / "crops")
