"""A run that starts from a trained network: an earlier run's or that of a weights file, with its terms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ostiary.adaptive import configured
from ostiary.data.index import Index
from ostiary.data.pictures import PictureStore, open_pictures
from ostiary.data.synthetic import synthesize
from ostiary.errors import ConfigurationError, WeightsError
from ostiary.export.release import Terms, inherited_licence, release_liveness
from ostiary.faces.preprocess import Preprocess
from ostiary.runtime.container import read_metadata
from ostiary.runtime.liveness_record import Metadata
from ostiary.runtime.packaged import resolve_weights
from ostiary.training.augment import Augmentation
from ostiary.training.checkpoint import save_tensors
from ostiary.training.model import TrainedModel, load_model
from ostiary.training.recipe import Recipe, changed, recipe
from ostiary.training.run import RunSettings, train_liveness
from ostiary.training.schedule import Schedule

SMALL = Recipe(
    name="small",
    summary="For tests.",
    network="mobilenet_v2",
    preprocess=Preprocess(crop="loose", size=32, scale=1.3, mean=(128,) * 3, std=(128,) * 3),
    augmentation=Augmentation(),
    sampling="balanced",
    epoch_pictures=32,
    schedule=Schedule(epochs=1, batch=16, learning_rate=1e-3),
)
STILL = {"epochs": 1, "batch": 16, "learning_rate": 1e-12, "optimiser": "adam"}
"""A schedule that leaves weights as they are: what a run ends with is what it started from."""


class Data:
    """Drawn faces, and runs on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index: Index = synthesize(folder, subjects=9, per_subject=2, seed=3, size=96)
        self.pictures: PictureStore = open_pictures(folder / "synthetic.tar")

    def train(self, recipe: Recipe, out: Path, start: Path | str | None = None) -> TrainedModel:
        settings = RunSettings(out=out, cache=self.folder / "cache", start=start, workers=0, accelerator="cpu")
        return load_model(train_liveness(recipe, self.index, self.pictures, settings))

    def release(self, model: TrainedModel, out: Path, licence: str, dataset: str = "synthetic") -> Path:
        """A weights file, as if the pictures were those of another data set."""
        terms, cache = Terms("drawn", "1", licence, "Our door."), self.folder / "cache"
        index = Index(replace(sample, dataset=dataset) for sample in self.index)
        release_liveness(model, index, self.pictures, out, terms, cache=cache)
        return out


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return Data(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="module")
def first(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of a stock network's run."""
    out = tmp_path_factory.mktemp("first")
    data.train(SMALL, out)
    return out / "model.safetensors"


def still(base: Recipe, network: str = "pta_mobilenet_v2") -> Recipe:
    """A recipe that starts from a trained network and changes nothing of it."""
    changes = {"network": network, "start": "trained", "schedule": STILL, "dropout": 0.0, "epoch_pictures": 16}
    return Recipe.model_validate({**base.model_dump(), **changes})


def test_an_adaptive_network_starts_from_a_stock_one(data: Data, first: Path, tmp_path: Path) -> None:
    model = data.train(still(SMALL), tmp_path, first)
    stock = load_model(first)
    weights = dict(stock.network.named_parameters())
    for name, ours in model.network.named_parameters():
        if name in weights:
            torch.testing.assert_close(ours, weights[name], atol=1e-5, rtol=0)
    assert "classifier.weight" in weights
    assert model.record["started_from"]["name"] == "a run of the recipe small"
    assert model.record["started_from"]["licence"] is None
    assert inherited_licence(model) == "Apache-2.0"


def test_the_packaged_weights_are_the_start_unless_others_are_named(data: Data, tmp_path: Path) -> None:
    model = data.train(still(recipe("site")), tmp_path)
    packaged = read_metadata(resolve_weights(), Metadata)
    origin = model.record["started_from"]
    assert origin["name"] == f"{packaged.name} {packaged.version}"
    assert origin["licence"] == packaged.licence == inherited_licence(model)
    assert origin["data"] == packaged.data


def test_terms_and_people_are_handed_down_to_the_weights_file(data: Data, first: Path, tmp_path: Path) -> None:
    theirs = data.release(load_model(first), tmp_path / "theirs.onnx", "research only", "elsewhere")
    stock = still(SMALL, "mobilenet_v2")
    once = data.train(stock, tmp_path / "once", theirs)
    assert inherited_licence(once) == "research only"
    again = data.train(stock, tmp_path / "again", tmp_path / "once/model.safetensors")
    record = read_metadata(data.release(again, tmp_path / "ours.onnx", inherited_licence(again)), Metadata)
    assert record.licence == "research only"
    assert record.data == ["elsewhere", "synthetic"]
    assert record.notes == "Our door. Started from a run of the recipe small (research only)."


def test_training_goes_on_and_blend_goes_back(data: Data, first: Path, tmp_path: Path) -> None:
    moving = changed(SMALL, trained=True)
    assert moving.start == "trained"
    start = dict(load_model(first).network.named_parameters())

    def distance(model: TrainedModel) -> float:
        moved = [(one - start[name]).detach() for name, one in model.network.named_parameters()]
        return sum(float(one.square().sum()) for one in moved)

    free = data.train(moving, tmp_path / "free", first)
    half = Recipe.model_validate({**moving.model_dump(), "blend": 0.5})
    blended = data.train(half, tmp_path / "half", first)
    assert distance(free) > 0
    assert distance(blended) == pytest.approx(distance(free) / 4, rel=1e-3), "the classifier goes back as well"


def test_starts_that_do_not_fit_are_refused(data: Data, first: Path, tmp_path: Path) -> None:
    adaptive = still(SMALL)
    data.train(adaptive, tmp_path / "adaptive", first)
    with pytest.raises(ConfigurationError, match="has adaptive blocks, and mobilenet_v2 has none"):
        data.train(still(SMALL, "mobilenet_v2"), tmp_path / "a", tmp_path / "adaptive/model.safetensors")
    with pytest.raises(ConfigurationError, match=r"sees other crops than the recipe 'small' makes \(size\)"):
        data.train(adaptive, tmp_path / "b", "pta_mobilenet_v2")
    with pytest.raises(WeightsError, match="neither a file nor a packaged liveness model"):
        data.train(adaptive, tmp_path / "c", "absent.safetensors")
    with pytest.raises(WeightsError, match=r"no model\.safetensors of a finished run"):
        data.train(adaptive, tmp_path / "d", tmp_path / "adaptive/checkpoint.safetensors")
    with pytest.raises(WeightsError):
        data.train(adaptive, tmp_path / "e", data.folder / "synthetic.csv")
    save_tensors(tmp_path / "face.safetensors", {}, {"recipe": {"name": "few_people", "margin": {}}})
    with pytest.raises(WeightsError, match="is no liveness model"):
        data.train(adaptive, tmp_path / "e", tmp_path / "face.safetensors")
    assert not any((tmp_path / name / "model.safetensors").exists() for name in "abcde")


def test_the_adaptive_start_computes_all_heavy_as_before(data: Data, first: Path, tmp_path: Path) -> None:
    from ostiary.training.start import from_trained

    stock = load_model(first).network
    network, _ = from_trained(still(SMALL), first, [])
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), configured(network, "HHH"):
        torch.testing.assert_close(network.eval()(x), stock(x))
