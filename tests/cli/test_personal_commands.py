"""``train personal`` and ``evaluate personal`` as they are typed: one after the other, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner, Result

from ostiary.cli import evaluate_personal, train_personal
from ostiary.data.identities import IdentityIndex, Portrait
from ostiary.errors import ConfigurationError, InputError, OstiaryError
from ostiary.faces.preprocess import Preprocess
from ostiary.training.personal.recipe import PersonalRecipe, Phase
from ostiary.training.schedule import Schedule

TINY = PersonalRecipe(
    name="tiny",
    summary="Two steps.",
    architecture="f64",
    phases=(Phase(until=1, hard=0.5, distil=1.0),),
    steps_per_epoch=2,
    held_out=0.5,
    schedule=Schedule(epochs=1, batch=4, learning_rate=1e-3),
)


class ColourEmbedder:
    """Whose embedding is the mean colour."""

    name = "colour"
    preprocess = Preprocess(crop="aligned", size=112)

    def embed(self, crops: NDArray[np.uint8], *, flip: bool = False) -> NDArray[np.float32]:
        colour = crops.mean(axis=(1, 2)) + 1
        return np.asarray(colour / np.linalg.norm(colour, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve people of four pictures, their index, their backbone's file, and pairs."""
    folder = tmp_path_factory.mktemp("world")
    portraits, pairs = [], ["path_a,path_b,same,fold"]
    for person in range(12):
        rng = np.random.default_rng(person)
        colour = rng.uniform(20, 235, 3)
        (folder / "crops" / f"{person:02}").mkdir(parents=True)
        for take in range(4):
            path = f"{person:02}/{take}.png"
            noisy = (colour + rng.normal(0, 10, (7, 7, 3))).clip(0, 255).astype(np.uint8)
            Image.fromarray(noisy).resize((112, 112)).save(folder / "crops" / path)
            portraits.append(Portrait(path, f"{person:02}", "train", "colours"))
        pairs += [f"{person:02}/0.png,{other:02}/1.png,{int(other == person)},{person % 2}" for other in range(12)]
    IdentityIndex(portraits).write_csv(folder / "index.csv")
    (folder / "pairs.csv").write_text("\n".join(pairs) + "\n")
    crops = np.stack([np.asarray(Image.open(folder / "crops" / portrait.path)) for portrait in portraits])
    embeddings = ColourEmbedder().embed(crops)[None]
    paths = np.array([portrait.path for portrait in portraits])
    np.savez(folder / "colour.npz", embeddings=embeddings, paths=paths, changes=np.array("unchanged"))
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("ostiary.training.personal.recipe.personal_recipe", lambda name: TINY)
    monkeypatch.setattr("ostiary.reports.embedders.choose_embedder", lambda *_: ColourEmbedder())
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command("train")(train_personal.personal)
    app.command("evaluate")(evaluate_personal.personal)

    def invoke(*arguments: str | Path) -> Result:
        result = CliRunner().invoke(app, list(map(str, arguments)))
        if isinstance(result.exception, OstiaryError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result

    return invoke


def test_a_start_a_head_and_their_rates(run: Any, world: Path, tmp_path: Path) -> None:
    data = ("--index", world / "index.csv", "--images", world / "crops", "--backbone", world / "colour.npz")
    common = ("train", *data, "--workers", "0", "--accelerator", "cpu", "--cache", tmp_path / "cache")
    with pytest.raises(InputError, match="--start-from"):
        run(*common, "--out", tmp_path / "head")
    with pytest.raises(ConfigurationError, match="no form 'film'"):
        run(*common, "--out", tmp_path / "head", "--form", "film")
    static = Path(run(*common, "--out", tmp_path / "static", "--form", "static").stdout.strip().replace("\n", ""))
    assert static == tmp_path / "static" / "model.safetensors"
    run(*common, "--out", tmp_path / "head", "--start-from", static, "--without", "hard")
    record = json.loads((tmp_path / "head" / "model.json").read_text())
    assert [phase["hard"] for phase in record["recipe"]["phases"]] == [0]

    judged = ("evaluate", "--pairs", world / "pairs.csv", "--images", world / "crops", "--aligned")
    head = tmp_path / "head" / "model.safetensors"
    found = run(*judged, "--model", head, "--out", tmp_path / "eval", "--precision", "int8", "--json").stdout
    report = json.loads(found)
    assert report == json.loads((tmp_path / "eval" / "report.json").read_text())
    assert report["header"]["model"]["precision"] == "int8"
    for name in ("one_way", "symmetrised", "backbone"):
        assert {"accuracy", "auc", "eer", "fnmr_at_fmr", "intervals"} <= set(report[name])
        assert (report[name]["n_mated"], report[name]["n_non_mated"]) == (12, 132)
    with pytest.raises(ConfigurationError, match="no precision 'int4'"):
        run(*judged, "--model", head, "--out", tmp_path / "eval", "--precision", "int4")
