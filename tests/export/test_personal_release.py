"""``export personal`` and ``export verifier``: a threshold on people held out, and weights that must fit."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from ostiary.cli.app import app
from ostiary.data.identities import IdentityIndex, Portrait
from ostiary.errors import ConfigurationError, OstiaryError, RateError
from ostiary.export.card import EmbeddingCard
from ostiary.export.face import export_face
from ostiary.faces.preprocess import Preprocess
from ostiary.networks.face_network import FaceNetwork, Layout, Row, Style
from ostiary.networks.hypernetwork import Hypernetwork
from ostiary.networks.static_verifier import StaticVerifier
from ostiary.runtime.embedding import EmbeddingModel
from ostiary.runtime.generator import Generator
from ostiary.runtime.personal import PersonalVerifier
from ostiary.runtime.verifier_layers import F64
from ostiary.training.checkpoint import save_tensors
from ostiary.training.personal.recipe import PersonalRecipe, Phase, changed
from ostiary.training.schedule import Schedule

PEOPLE, PICTURES, DIMENSION = 16, 4, 8
TINY = PersonalRecipe(
    name="tiny", summary="Never trained.", architecture="f64", start="noise", phases=(Phase(until=1),),
    held_out=0.6, schedule=Schedule(epochs=1, batch=4, learning_rate=1e-3),
)  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """People of smooth patterns, their index, an embedder with another like it, and its file of embeddings."""
    folder = tmp_path_factory.mktemp("world")
    portraits, crops = [], []
    for person in range(PEOPLE):
        rng = np.random.default_rng(person)
        pattern = rng.uniform(0, 255, (7, 7, 3))
        (folder / "crops" / f"{person:02}").mkdir(parents=True)
        for take in range(PICTURES):
            path = f"{person:02}/{take}.png"
            noisy = (pattern + rng.normal(0, 15, pattern.shape)).clip(0, 255).astype(np.uint8)
            picture = Image.fromarray(noisy).resize((112, 112))
            picture.save(folder / "crops" / path)
            portraits.append(Portrait(path, f"{person:02}", "train", "patterns"))
            crops.append(np.asarray(picture))
    IdentityIndex(portraits).write_csv(folder / "index.csv")
    for seed, name in enumerate(("noise", "other")):
        _embedder(folder / f"{name}.onnx", seed)
    embeddings = EmbeddingModel(folder / "noise.onnx").embed(np.stack(crops))[None].astype(np.float16)
    names = np.array([portrait.path for portrait in portraits])
    np.savez(folder / "noise.npz", embeddings=embeddings, paths=names, changes=np.array("unchanged"))
    np.savez(folder / "again.npz", embeddings=embeddings, paths=names, changes=np.array("unchanged"), more=names)
    return folder


def _embedder(path: Path, seed: int) -> None:
    torch.manual_seed(seed)
    rows = (Row(32, 16, 1, 2), Row(32, 16, 1, 2), Row(32, 16, 1, 2))
    card = EmbeddingCard(
        name="noise", version="1", licence="none", data=[], training_commit="none", network="noise",
        preprocess=Preprocess(crop="aligned", size=112, mean=(127.5,) * 3, std=(127.5,) * 3),
    )  # fmt: skip
    export_face(FaceNetwork(Layout(16, rows, last=16), Style("prelu"), DIMENSION), path, card)


@pytest.fixture(scope="module")
def trained(world: Path) -> Path:
    return _model(world, Hypernetwork("head", F64, dimension=DIMENSION), TINY)


def _model(world: Path, network: torch.nn.Module, recipe: PersonalRecipe, **changes: Any) -> Path:
    """A model as a training run leaves it."""
    record = {
        "task": "personal", "recipe": recipe.model_dump(mode="json"), "dimension": DIMENSION, "backbone": "noise",
        "backbone_sha256": hashlib.sha256((world / "noise.npz").read_bytes()).hexdigest(), "seed": 0,
        "commit": "abc", "data": ["patterns"], "people": 6, "held_out_people": 10, **changes,
    }  # fmt: skip
    path = world / f"{recipe.form}-{record['backbone']}.safetensors"
    save_tensors(path, dict(network.state_dict()), record)
    return path


def export(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["export", *map(str, arguments)])
    if isinstance(result.exception, OstiaryError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def test_a_threshold_is_chosen_on_people_held_out(world: Path, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "generator.onnx"
    data = ("--index", world / "index.csv", "--images", world / "crops", "--cache", tmp_path / "cache")
    common = ("personal", trained, "--weights", world / "noise.onnx", "--out", out, *data)
    with pytest.raises(RateError):
        export(*common)
    assert not out.exists()
    shown = export(
        *common, "--fmr", "0.05", "--backbone", world / "noise.npz", "--record", tmp_path / "record.json",
        "--name", "mine", "--version", "7",
    ).output  # fmt: skip
    record = json.loads((tmp_path / "record.json").read_text())
    generator = Generator(out)
    metadata = generator.metadata
    assert (metadata.name, metadata.version, metadata.data) == ("mine", "7", ["patterns"])
    assert metadata.backbone_sha256 == hashlib.sha256((world / "noise.onnx").read_bytes()).hexdigest()
    assert record["lowest_cosine_with_backbone"] > 0.999
    assert metadata.threshold is not None
    assert generator.threshold == record["threshold"]["value"]
    assert "wrote" in shown
    assert "Nobody checked" not in shown
    people = {portrait.person for portrait in IdentityIndex.read_csv(world / "index.csv")}
    held_out = metadata.threshold.n_mated // (PICTURES * (PICTURES - 1))
    assert 2 <= held_out < len(people)
    assert metadata.threshold.n_mated == held_out * PICTURES * (PICTURES - 1)
    assert metadata.threshold.n_non_mated == held_out * PICTURES * (held_out - 1) * PICTURES  # far from the bound
    assert record["threshold"]["measured_fmr"]["value"] <= 0.05
    assert "one way" in metadata.threshold.data


def test_without_people_there_is_no_threshold(world: Path, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "generator.onnx"
    shown = export("personal", trained, "--weights", world / "noise.onnx", "--out", out).output
    assert Generator(out).threshold is None
    assert "holds no threshold" in shown
    assert "Nobody checked that these weights made the embeddings" in shown.replace("\n", " ")
    with pytest.raises(ConfigurationError, match="go together"):
        export("personal", trained, "--out", out, "--index", world / "index.csv")
    with pytest.raises(ConfigurationError, match="is checked on people"):
        export(
            "personal", trained, "--weights", world / "noise.onnx", "--out", out, "--backbone", world / "noise.npz"
        )


def test_weights_that_are_not_the_backbone_are_refused(world: Path, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "generator.onnx"
    with pytest.raises(ConfigurationError, match=r"for 8 numbers of noise, and slim_face.onnx gives 256 of"):
        export("personal", trained, "--out", out)
    data = ("--index", world / "index.csv", "--images", world / "crops", "--cache", tmp_path / "cache")
    wrong = ("personal", trained, "--weights", world / "other.onnx", "--out", out, *data, "--fmr", "0.05")
    with pytest.raises(ConfigurationError, match=r"other.onnx is not the file that made noise.npz: .* cosine of"):
        export(*wrong, "--backbone", world / "noise.npz")
    with pytest.raises(ConfigurationError, match=r"again.npz is not the file that the generator was trained with"):
        export(*wrong, "--backbone", world / "again.npz")
    static = _model(world, StaticVerifier(F64, DIMENSION), changed(TINY, form="static"))
    with pytest.raises(ConfigurationError, match="A static network generates nothing"):
        export("personal", static, "--weights", world / "noise.onnx", "--out", out)
    assert not out.exists()


@pytest.mark.parametrize("theta", ["input", "place"])
def test_the_file_that_runs_everybodys(theta: str, tmp_path: Path) -> None:
    export("verifier", "--architecture", "f64", "--theta", theta, "--out", tmp_path / "verifier.onnx")
    metadata = PersonalVerifier(tmp_path / "verifier.onnx").metadata
    assert (metadata.name, metadata.architecture, metadata.theta) == ("verifier_f64", "f64", theta)
    with pytest.raises(ConfigurationError, match="no verifier 'f7'"):
        export("verifier", "--architecture", "f7", "--out", tmp_path / "never.onnx")
