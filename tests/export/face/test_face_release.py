"""What ``ostiary export face`` does: a threshold on people held out, pictures to calibrate on, one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ostiary.data.identities import IdentityIndex, Portrait
from ostiary.data.pictures import PictureStore, open_pictures
from ostiary.errors import ConfigurationError, RateError
from ostiary.export.face_release import read_crops, release_face
from ostiary.export.release import Terms
from ostiary.runtime.embedding import EmbeddingModel
from ostiary.training.embedding.margins import Margin
from ostiary.training.embedding.recipe import FaceRecipe
from ostiary.training.embedding.run import TrainedFaceNetwork, apart, training_portraits
from ostiary.training.schedule import Schedule

from .conftest import STYLES, small

TERMS = Terms("drawn", "0", "Apache-2.0", "For a test.")
RECIPE = FaceRecipe(
    name="tiny",
    summary="For tests.",
    network="seesaw_share",
    dimension=24,
    margin=Margin(),
    held_out=0.5,
    schedule=Schedule(epochs=1, learning_rate=0.1),
)
RECORD = {"commit": "abc", "seed": 0, "data": ["patterns"], "index_sha256": "0" * 64}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten people with four pictures each: a coarse pattern a person, with a little noise."""
    folder = tmp_path_factory.mktemp("people")
    for person in range(10):
        rng = np.random.default_rng(person)
        pattern = rng.uniform(0, 255, (7, 7, 3))
        for number in range(4):
            noisy = (pattern + rng.normal(0, 15, pattern.shape)).clip(0, 255).astype(np.uint8)
            Image.fromarray(noisy).resize((112, 112)).save(folder / f"{person}-{number}.png")
    Image.new("RGB", (50, 50)).save(folder / "small.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def people(folder: Path) -> tuple[IdentityIndex, PictureStore]:
    paths = sorted(path.name for path in folder.glob("?-?.png"))
    index = IdentityIndex(Portrait(path, path[0], "train", "patterns") for path in paths)
    return index, open_pictures(folder)


@pytest.fixture(scope="module")
def trained() -> TrainedFaceNetwork:
    return TrainedFaceNetwork(small(STYLES["share"]), RECIPE, RECORD)


@pytest.mark.parametrize("target", ["cpu-fp32", "cpu-int8"])
def test_the_threshold_is_of_the_people_held_out(
    target: str, people: tuple[IdentityIndex, PictureStore], trained: TrainedFaceNetwork, tmp_path: Path
) -> None:
    released = release_face(
        trained, tmp_path / "face.onnx", TERMS, target=target, people=people, cache=tmp_path, fmr=0.05
    )  # type: ignore[arg-type]
    model = EmbeddingModel(released.path)
    threshold = model.metadata.threshold
    assert threshold is not None
    held = apart(RECIPE, training_portraits(RECIPE, *people, tmp_path))[1]
    names = [portrait.identity for portrait in held.portraits]
    assert threshold.n_mated == len(set(names)) * 6
    assert threshold.n_mated + threshold.n_non_mated == len(names) * (len(names) - 1) // 2
    assert threshold.data == "people held out of patterns"
    embeddings = model.embed(held.crops(range(len(held))))
    likeness = (1 + embeddings @ embeddings.T) / 2
    others = np.array(names)[:, None] != np.array(names)
    assert (likeness[others] >= threshold.value).mean() <= 0.05
    assert released.record["threshold"] == threshold.model_dump()
    assert released.record["target"] == target
    assert model.metadata.precision == ("int8" if target == "cpu-int8" else "float32")
    assert (model.metadata.name, model.metadata.training_commit) == ("drawn", "abc")


def test_too_few_people_for_a_rate_are_refused(
    people: tuple[IdentityIndex, PictureStore], trained: TrainedFaceNetwork, tmp_path: Path
) -> None:
    with pytest.raises(RateError):
        release_face(trained, tmp_path / "face.onnx", TERMS, people=people, cache=tmp_path / "cache")
    assert not (tmp_path / "face.onnx").exists()


def test_without_people_there_is_no_threshold(trained: TrainedFaceNetwork, folder: Path, tmp_path: Path) -> None:
    crops = read_crops(folder, 112, limit=8)
    released = release_face(trained, tmp_path / "face.onnx", TERMS, target="cpu-int8", calibration=crops)
    assert EmbeddingModel(released.path).metadata.threshold is None
    assert released.record["threshold"] is None
    assert released.record["form"] == "whole + broadcast"


def test_a_word_belongs_to_an_adaptive_network(trained: TrainedFaceNetwork, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has no configuration words"):
        release_face(trained, tmp_path / "face.onnx", TERMS, word="HHH")


def test_a_word_gets_statistics_of_its_own(people: tuple[IdentityIndex, PictureStore], tmp_path: Path) -> None:
    """Those of an untrained network are 0 and 1: measured ones bring the last normalisation to unit variance."""
    recipe = RECIPE.model_copy(update={"network": "pta_seesaw_shuffle"})
    model = TrainedFaceNetwork(recipe.untrained().eval(), recipe, RECORD)
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    released = release_face(
        model, tmp_path / "face.onnx", TERMS, people=people, cache=tmp_path, fmr=0.05, word="LHL"
    )
    assert EmbeddingModel(released.path).metadata.network == "pta_seesaw_shuffle/LHL"
    crops = apart(recipe, training_portraits(recipe, *people, tmp_path))[0].crops(range(12))
    measured = EmbeddingModel(released.path).embed(crops)
    as_trained = EmbeddingModel(release_face(model, tmp_path / "as.onnx", TERMS, word="LHL").path).embed(crops)
    assert np.abs(measured.mean(0)).max() < 0.1 < np.abs(as_trained.mean(0)).max()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.network.state_dict().items())


def test_crops_are_read_evenly_and_bad_ones_left_out(folder: Path, tmp_path: Path) -> None:
    assert read_crops(folder, 112).shape == (40, 112, 112, 3)
    some = read_crops(folder, 112, limit=4)
    assert 2 <= len(some) <= 4
    assert len(np.unique(some.reshape(len(some), -1), axis=0)) == len(some)
    Image.new("RGB", (50, 50)).save(tmp_path / "small.png")
    with pytest.raises(ConfigurationError, match="no pictures of 112x112 pixels"):
        read_crops(tmp_path, 112)
