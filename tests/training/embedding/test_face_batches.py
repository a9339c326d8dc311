"""Every picture once a round; changes that depend on seed, step and place, or on the view alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ostiary.data.identities import IdentityIndex
from ostiary.data.pictures import open_pictures
from ostiary.errors import DataIndexError, InputError
from ostiary.training.embedding.batches import Faces, FaceShard, face_batches
from ostiary.training.embedding.portraits import Portraits, load_portraits
from ostiary.training.embedding.recipe import FaceRecipe, Teaching
from ostiary.training.embedding.teachers import ask_teacher, read_targets

from .conftest import TINY

TAUGHT = TINY.model_copy(update={"teaching": Teaching(teachers=("sface",), views=2)})


class Recorder:
    """A teacher whose embedding of a picture says which pixels it saw."""

    def __init__(self, name: str = "sface") -> None:
        self.name = name
        self.calls = 0

    def embed(self, crops: np.ndarray, *, flip: bool = False) -> np.ndarray:
        self.calls += 1
        means = crops.reshape(len(crops), -1, 3).mean(1).astype(np.float32)
        return means / np.linalg.norm(means, axis=1, keepdims=True)


@pytest.fixture
def portraits(people: Path, index: IdentityIndex, tmp_path: Path) -> Portraits:
    return load_portraits(index, open_pictures(people), tmp_path, 112)


def run(
    recipe: FaceRecipe, faces: Faces, steps: range, shards: range = range(2), seed: int = 3
) -> list[list[FaceShard]]:
    return list(face_batches(recipe, faces, seed=seed, steps=steps, shards=shards, workers=0))


def untaught(portraits: Portraits) -> Faces:
    """The number of the picture in the place of the person, so that draws can be followed."""
    return Faces(portraits, np.arange(len(portraits)), np.empty((1, len(portraits), 0), np.float16))


def test_every_picture_once_a_round(portraits: Portraits) -> None:
    batches = run(TINY, untaught(portraits), range(12))
    drawn = torch.cat([shard.people for batch in batches for shard in batch]).tolist()
    assert sorted(drawn[:48]) == sorted(drawn[48:]) == list(range(48))
    assert drawn[:48] != drawn[48:]


def test_a_resumed_run_and_a_part_of_the_processes_see_the_same(portraits: Portraits) -> None:
    faces = untaught(portraits)
    whole = run(TINY, faces, range(4))
    later = run(TINY, faces, range(2, 4))
    second = run(TINY, faces, range(4), range(1, 2))
    assert torch.equal(whole[3][1].inputs, later[1][1].inputs)
    assert torch.equal(whole[2][1].inputs, second[2][0].inputs)
    assert not torch.equal(whole[0][0].inputs, run(TINY, faces, range(1), seed=4)[0][0].inputs)


def test_the_network_sees_the_views_that_the_teacher_saw(portraits: Portraits, tmp_path: Path) -> None:
    teacher = Recorder()
    ask_teacher(teacher, TAUGHT, portraits, tmp_path)
    targets = read_targets(tmp_path, TAUGHT, portraits)
    assert targets.shape == (2, 48, 3)
    assert not np.allclose(targets[0], targets[1], atol=1e-3)
    faces = Faces(portraits, np.arange(48), targets)
    for seed in (0, 1):
        for batch in run(TAUGHT, faces, range(3), seed=seed):
            for shard in batch:
                seen = (shard.inputs.mean((2, 3)) * 127.5 + 127.5).numpy()
                seen /= np.linalg.norm(seen, axis=1, keepdims=True)
                assert np.allclose(seen, shard.targets, atol=2e-3)


def test_a_round_goes_through_other_views_than_the_one_before(portraits: Portraits, tmp_path: Path) -> None:
    ask_teacher(Recorder(), TAUGHT, portraits, tmp_path)
    faces = Faces(portraits, np.arange(48), read_targets(tmp_path, TAUGHT, portraits))
    batches = run(TAUGHT, faces, range(12))
    people = torch.cat([shard.people for batch in batches for shard in batch])
    targets = torch.cat([shard.targets for batch in batches for shard in batch])
    first, second = targets[:48][people[:48].argsort()], targets[48:][people[48:].argsort()]
    assert (first != second).any(1).all()


def test_without_views_the_teacher_sees_the_unchanged_pictures(portraits: Portraits, tmp_path: Path) -> None:
    plain = TINY.model_copy(update={"teaching": Teaching(teachers=("sface", "foamliu"))})
    for name in ("sface", "foamliu"):
        ask_teacher(Recorder(name), plain, portraits, tmp_path)
    targets = read_targets(tmp_path, plain, portraits)
    expected = Recorder().embed(portraits.crops(range(48)))
    assert targets.shape == (1, 48, 6)
    assert np.allclose(targets[0], np.concatenate([expected, expected], 1), atol=1e-3)


def test_asking_goes_on_where_it_was_cut_off(portraits: Portraits, tmp_path: Path) -> None:
    one = TINY.model_copy(update={"teaching": Teaching(teachers=("sface",), views=1)})
    teacher = Recorder()
    path = ask_teacher(teacher, one, portraits, tmp_path)
    asked, before = teacher.calls, path.read_bytes()
    ask_teacher(teacher, one, portraits, tmp_path)
    assert (teacher.calls, path.read_bytes()) == (asked, before)
    ask_teacher(teacher, TAUGHT, portraits, tmp_path)
    assert teacher.calls == 2 * asked
    assert read_targets(tmp_path, TAUGHT, portraits).shape == (2, 48, 3)


def test_files_that_do_not_fit_are_refused(portraits: Portraits, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sface.npz is missing .* train face-teacher"):
        read_targets(tmp_path, TAUGHT, portraits)
    ask_teacher(Recorder(), TAUGHT, portraits.select(range(10)), tmp_path)
    with pytest.raises(InputError, match="no embedding of"):
        read_targets(tmp_path, TAUGHT, portraits)
    other = TAUGHT.model_copy(update={"misalignment": TINY.misalignment.model_copy(update={"turn": 9})})
    with pytest.raises(InputError, match="other changes"):
        read_targets(tmp_path, other, portraits.select(range(10)))
    more = TAUGHT.model_copy(update={"teaching": Teaching(teachers=("sface",), views=3)})
    with pytest.raises(InputError, match="fewer views"):
        read_targets(tmp_path, more, portraits.select(range(10)))


def test_pictures_that_are_no_aligned_crops_are_dropped_and_named(
    people: Path, index: IdentityIndex, tmp_path: Path
) -> None:
    from PIL import Image

    (tmp_path / "00").mkdir()
    Image.new("RGB", (90, 112)).save(tmp_path / "00" / "0.png")
    (tmp_path / "00" / "1.png").write_bytes(b"no picture")
    pictures = open_pictures([tmp_path, people])
    loaded = load_portraits(index, pictures, tmp_path / "cache", 112)
    assert loaded.dropped == ("00/0.png", "00/1.png")
    assert len(loaded) == 46
    assert np.array_equal(loaded.crop(0), pictures.image("00/2.png"))
    again = load_portraits(index, open_pictures(tmp_path), tmp_path / "cache", 112)
    assert np.array_equal(again.crop(45), loaded.crop(45))
    with pytest.raises(DataIndexError, match="data align"):
        load_portraits(list(index)[:2], pictures, tmp_path / "cache", 112)
