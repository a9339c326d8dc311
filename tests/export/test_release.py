"""Release: choices on development data alone, and a file that the runtime reads and that says what was chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ostiary.data.index import Index
from ostiary.data.pictures import PictureStore, open_pictures
from ostiary.data.synthetic import synthesize
from ostiary.export.release import Terms, default_word, release_liveness, rule_for
from ostiary.faces.preprocess import Preprocess
from ostiary.liveness import Liveness
from ostiary.networks.mobilenet_v2 import pta_mobilenet_v2
from ostiary.runtime.liveness import LivenessModel
from ostiary.training.augment import Augmentation
from ostiary.training.model import TrainedModel
from ostiary.training.recipe import Recipe
from ostiary.training.schedule import Schedule

TERMS = Terms("drawn", "0", "Apache-2.0", "For a test.")
RECIPE = Recipe(
    name="small",
    summary="For tests.",
    network="pta_mobilenet_v2",
    preprocess=Preprocess(crop="loose", size=64, scale=1.3, mean=(128,) * 3, std=(128,) * 3),
    augmentation=Augmentation(),
    schedule=Schedule(epochs=1, learning_rate=1e-3),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Index, PictureStore, Path]:
    folder = tmp_path_factory.mktemp("drawn")
    index = synthesize(folder, subjects=10, per_subject=2, size=96)
    return index, open_pictures(folder / "synthetic.tar"), folder


@pytest.fixture
def portrait(pictures: Path) -> Path:
    return pictures / "astronaut.png"


@pytest.fixture(scope="module")
def trained() -> TrainedModel:
    torch.manual_seed(0)
    record = {"commit": "abc", "seed": 0, "data": ["synthetic"], "index_sha256": "0" * 64}
    return TrainedModel(pta_mobilenet_v2().eval(), RECIPE, record)


def test_the_file_holds_what_was_chosen(
    data: tuple[Index, PictureStore, Path], trained: TrainedModel, tmp_path: Path
) -> None:
    index, pictures, folder = data
    before = {name: tensor.clone() for name, tensor in trained.network.state_dict().items()}
    out = tmp_path / "drawn.onnx"
    released = release_liveness(
        trained, index, pictures, out, TERMS, cache=folder / "cache", calibration_pictures=64
    )
    assert all(torch.equal(before[name], tensor) for name, tensor in trained.network.state_dict().items())
    model = LivenessModel(out)
    assert len(model.words) == 27
    compared = released.record["batch_normalisation"]["development"]
    assert set(compared) == {"as_trained", "mixture", "per_configuration"}
    assert all(set(rows) == set(model.words) for rows in compared.values())
    development = index.select(split="development")
    for word in model.words:
        threshold = model.threshold(word)
        assert (threshold.n_bona_fide, threshold.n_attack) == (
            len(development.select(label="bona_fide")),
            len(development.select(label="attack")),
        )
        assert threshold.data == "development split of synthetic"
        assert threshold.target == "centres", "there are two people"
        assert 0 <= threshold.value <= 1
    assert model.metadata.default_configuration == released.record["default_configuration"]
    assert model.metadata.licence == "Apache-2.0"
    assert released.record["cascade"]["first"] == "LLL"
    assert released.record["cascade"]["share"] <= 0.1


def test_a_released_file_judges_pictures_by_its_cascade(
    data: tuple[Index, PictureStore, Path], trained: TrainedModel, tmp_path: Path, portrait: Path
) -> None:
    index, pictures, folder = data
    out = tmp_path / "drawn.onnx"
    release_liveness(trained, index, pictures, out, TERMS, cache=folder / "cache", calibration_pictures=64)
    cascade = Liveness(out, cascade=True)
    band = cascade.model.metadata.cascade
    assert band is not None
    assert cascade.configuration == f"LLL>{band.second}"
    found = cascade.check(portrait).faces[0]
    alone = {word: Liveness(out, configuration=word).check(portrait).faces[0] for word in ("LLL", band.second)}
    doubtful = band.low <= (alone["LLL"].liveness or 0) < band.high
    expected = alone[band.second if doubtful else "LLL"]
    assert found.liveness == pytest.approx(expected.liveness, abs=1e-5)
    assert (found.threshold, found.accepted) == (expected.threshold, expected.accepted)


def test_the_rule_of_the_threshold_follows_the_number_of_people() -> None:
    assert [rule_for(people) for people in (None, 1, 19, 20, 500)] == ["eer", "centres", "centres", "eer", "eer"]


def test_test_data_decides_nothing(
    data: tuple[Index, PictureStore, Path], trained: TrainedModel, tmp_path: Path
) -> None:
    index, pictures, folder = data
    without_test = Index(sample for sample in index if sample.split != "test")
    turned = Index(
        replace(s, label="bona_fide" if s.label == "attack" else "attack", species="") if s.split == "test" else s
        for s in index
    )
    records = [
        release_liveness(
            trained,
            some,
            pictures,
            tmp_path / "x.onnx",
            TERMS,
            cache=folder / "cache",
            int8="LLL",
            calibration_pictures=64,
        ).record
        for some in (without_test, turned)
    ]
    assert records[0]["thresholds"] == records[1]["thresholds"]
    model = LivenessModel(tmp_path / "x.onnx")
    assert model.words == ["LLL"]
    assert model.metadata.precision == "int8"


def test_the_default_is_the_cheapest_word_that_is_about_as_good_as_the_best() -> None:
    macs = {"HHH": 98, "LHH": 94, "LLL": 82, "BBB": 114, "": 98}
    assert default_word({"HHH": 0.050, "LHH": 0.055, "LLL": 0.075, "BBB": 0.01}, macs) == "LHH"
    assert default_word({"HHH": 0.050, "LHH": 0.055, "LLL": 0.058}, macs) == "LLL"
    assert default_word({"": 0.3}, macs) == ""
