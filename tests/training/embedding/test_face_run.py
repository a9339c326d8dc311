"""A whole run: learns, holds people out, resumes on its curve, and runs in two processes with parted vectors."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from ostiary.adaptive import blocks, specialise
from ostiary.data.identities import IdentityIndex, Portrait
from ostiary.data.pictures import open_pictures
from ostiary.errors import ConfigurationError, DataIndexError, InputError, WeightsError
from ostiary.networks.face_network import SqueezeExcite
from ostiary.training.checkpoint import load_tensors, save_tensors
from ostiary.training.embedding.recipe import FaceRecipe, StyleChange, Teaching, altered, face_recipe, face_recipes
from ostiary.training.embedding.run import (
    FaceRunSettings,
    apart,
    load_face_network,
    train_face,
    training_portraits,
)
from ostiary.training.embedding.task import FaceTask, every_two

from .conftest import TINY


def train(
    people: Path, index: IdentityIndex, out: Path, recipe: FaceRecipe = TINY, **settings: object
) -> list[float]:
    where = FaceRunSettings(out=out, cache=out / "cache", workers=0, accelerator="cpu", **settings)  # type: ignore[arg-type]
    train_face(recipe, index, open_pictures(people), where)
    return losses(out)


def losses(out: Path) -> list[float]:
    with (out / "steps.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def whole(people: Path, index: IdentityIndex, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    train(people, index, out)
    return out


def test_it_learns_and_says_how_it_came_about(whole: Path) -> None:
    curve = losses(whole)
    assert sum(curve[-2:]) < sum(curve[:2])
    trained = load_face_network(whole / "model.safetensors")
    assert trained.network.linear.out_features == 16
    assert not trained.network.training
    record = json.loads((whole / "model.json").read_text())
    assert record["data"] == ["patterns"]
    assert record["pictures"] + 4 * record["held_out_people"] == 48
    assert record["people"] + record["held_out_people"] == 12
    assert [row["epoch"] for row in record["history"]] == [1, 2]
    assert FaceRecipe.model_validate(record["recipe"]) == TINY


def test_people_held_out_are_not_learnt_from_and_stay_held_out(
    people: Path, index: IdentityIndex, tmp_path: Path
) -> None:
    portraits = training_portraits(TINY, index, open_pictures(people), tmp_path)
    learnt, held = (part.portraits for part in apart(TINY, portraits))
    assert {p.person for p in learnt} & {p.person for p in held} == set()
    fewer = training_portraits(TINY, IdentityIndex(list(index)[8:]), open_pictures(people), tmp_path)
    still = {p.person for p in apart(TINY, fewer)[1].portraits}
    assert still == {p.person for p in held} - {p.person for p in list(index)[:8]}


def test_a_run_cut_off_goes_on_along_the_same_curve(
    people: Path, index: IdentityIndex, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    validate, asked = FaceTask.validate, iter([True])

    def breaking(*arguments: object) -> dict[str, float]:
        if next(asked, None) is None:
            raise KeyboardInterrupt
        return validate(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(FaceTask, "validate", breaking)
    with pytest.raises(KeyboardInterrupt):
        train(people, index, tmp_path)
    monkeypatch.setattr(FaceTask, "validate", validate)
    assert train(people, index, tmp_path) == losses(whole)


def test_two_processes_that_each_hold_a_part_walk_the_curve_of_one(
    people: Path, index: IdentityIndex, whole: Path, tmp_path: Path
) -> None:
    """Another order of summation: float32 rounding alone tells them apart, and grows from step to step."""
    two, one = in_two_processes(people, tmp_path), losses(whole)
    assert two[:3] == pytest.approx(one[:3], rel=1e-3)
    assert two == pytest.approx(one, rel=0.1)
    parts = sorted(tmp_path.glob("checkpoint.1.*.safetensors"))
    assert len(parts) == 1, "older parts are removed"
    own, _ = load_tensors(parts[0])
    first, record = load_tensors(tmp_path / "checkpoint.safetensors")
    assert record["apart"] == 2
    for name, tensor in first.items():
        if name == "network/people.weight":
            assert not torch.equal(tensor, own[name])
        elif name.startswith("network/network.") and name.endswith((".weight", ".bias")):
            assert torch.allclose(tensor, own[name], atol=1e-5), name
    assert load_face_network(tmp_path / "model.safetensors").record["people"] > 0
    with pytest.raises(WeightsError, match="2 processes that each hold a part"):
        train(people, index, tmp_path)


def test_a_network_with_a_dial_learns_its_words(people: Path, index: IdentityIndex, tmp_path: Path) -> None:
    recipe = altered(TINY.model_copy(update={"words": {"HHH": 0.5, "LLL": 0.5}}), network="pta_seesaw_shuffle")
    train(people, index, tmp_path, altered(recipe, epochs=1))
    with (tmp_path / "steps.csv").open() as file:
        assert {row["word"] for row in csv.DictReader(file)} <= {"HHH", "LLL"}
    (epoch,) = load_face_network(tmp_path / "model.safetensors").record["history"]
    assert {"development_fnmr_HHH", "development_fnmr_LLL"} <= set(epoch)


def test_a_dial_starts_from_the_network_without_one(
    people: Path, index: IdentityIndex, whole: Path, tmp_path: Path
) -> None:
    plain = TINY.model_copy(update={"network": "seesaw_shuffle"})
    train(people, index, tmp_path / "plain", altered(plain, epochs=1))
    start = tmp_path / "plain" / "model.safetensors"
    trained = load_face_network(start).network
    still = TINY.schedule.model_copy(update={"epochs": 1, "learning_rate": 1e-12, "average": 0.0})
    dial = plain.model_copy(update={"network": "pta_seesaw_shuffle", "schedule": still})
    train(people, index, tmp_path / "dial", dial, start=start)
    begun = load_face_network(tmp_path / "dial" / "model.safetensors")
    assert begun.record["start_sha256"] == hashlib.sha256(start.read_bytes()).hexdigest()
    heavy = specialise(begun.network, "HHH")
    for ours, theirs in zip(heavy.parameters(), trained.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    for ours, theirs in zip(
        blocks(begun.network)[1].light.parameters(), trained.groups[1][1].parameters(), strict=True
    ):
        assert torch.allclose(ours, theirs, atol=1e-6), "the first block of its run"
    with pytest.raises(ConfigurationError, match="other layers"):
        train(people, index, tmp_path / "share", altered(TINY, network="mobilefacenet"), start=start)
    longer = plain.model_copy(update={"dimension": 32})
    with pytest.raises(ConfigurationError, match="16 numbers, not 32"):
        train(people, index, tmp_path / "longer", longer, start=start)
    other = tmp_path / "other.safetensors"
    save_tensors(other, {}, {"task": "personal", "recipe": {"name": "personal"}})
    with pytest.raises(InputError, match="not of 'ostiary train face'"):
        train(people, index, tmp_path / "other", plain, start=other)
    with pytest.raises(WeightsError, match="absent"):
        train(people, index, tmp_path / "absent", plain, start=tmp_path / "absent.safetensors")


def in_two_processes(people: Path, out: Path) -> list[float]:
    assert TINY.margin is not None
    parted = TINY.model_copy(update={"margin": TINY.margin.model_copy(update={"sharded": True})})
    script = out / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    done = subprocess.run(
        [*command, str(people), str(out), parted.model_dump_json()],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return losses(out)


SCRIPT = """
import sys
from pathlib import Path

from ostiary.data.identities import IdentityIndex, Portrait
from ostiary.data.pictures import open_pictures
from ostiary.training.embedding.recipe import FaceRecipe
from ostiary.training.embedding.run import FaceRunSettings, train_face

people, out = Path(sys.argv[1]), Path(sys.argv[2])
paths = sorted(path.relative_to(people) for path in people.rglob("*.png"))
index = IdentityIndex(Portrait(path.as_posix(), path.parent.name, "train", "patterns") for path in paths)
settings = FaceRunSettings(out=out, cache=out / "cache", workers=0, accelerator="cpu", processes=2)
train_face(FaceRecipe.model_validate_json(sys.argv[3]), index, open_pictures(people), settings)
"""


def test_what_is_missing_is_said_in_a_sentence(people: Path, index: IdentityIndex, tmp_path: Path) -> None:
    taught = TINY.model_copy(update={"teaching": Teaching()})
    with pytest.raises(InputError, match="--teachers"):
        train(people, index, tmp_path, taught)
    alone = IdentityIndex([*list(index)[:8], *(Portrait(p.path, "", "train", "x") for p in list(index)[8:])])
    with pytest.raises(DataIndexError, match="Fewer than two people"):
        train(people, alone, tmp_path, TINY.model_copy(update={"held_out": 0.01}))
    with pytest.raises(DataIndexError, match="split 'train'"):
        train(people, IdentityIndex(), tmp_path)
    with pytest.raises(ConfigurationError, match="choose one of: mobilefacenet, seesaw_share"):
        train(people, index, tmp_path, altered(TINY, network="mobilefacent"))
    with pytest.raises(ConfigurationError, match="few_people"):
        face_recipe("few")


def test_the_papers_recipe_is_the_papers() -> None:
    paper = face_recipe("seesaw")
    assert paper.margin is not None
    assert (paper.margin.scale, paper.margin.margin, paper.dimension) == (64, 0.5, 512)
    rates = [paper.schedule.rate(epoch * 10, 160) for epoch in range(16)]
    assert rates == pytest.approx([0.1] * 8 + [0.01] * 4 + [1e-3] * 2 + [1e-4] * 2)
    assert set(face_recipes()) >= {"seesaw", "few_people"}


def test_a_changed_style_is_trained_and_named() -> None:
    plain = face_recipe("few_people")
    changed = plain.model_copy(update={"style": StyleChange(activation="relu6", squeeze=False)})
    assert plain.network_name == "seesaw_shuffle"
    assert changed.network_name == "seesaw_shuffle activation=relu6 squeeze=False"
    kinds = {type(module) for module in changed.untrained().modules()}
    assert nn.ReLU6 in kinds
    assert not kinds & {nn.SiLU, SqueezeExcite}
    assert {nn.SiLU, SqueezeExcite} <= {type(module) for module in plain.untrained().modules()}
    with pytest.raises(ConfigurationError, match="adaptive"):
        changed.model_copy(update={"network": "pta_seesaw_shuffle"}).untrained()


def test_figures_of_every_two_by_hand() -> None:
    """Two people, two pictures each: one mated comparison lies below the best non-mated one."""
    angles = torch.tensor([0.0, 0.1, 0.4, 1.5])
    embeddings = torch.stack([angles.cos(), angles.sin()], 1).numpy()
    figures = every_two(embeddings, ["a", "a", "b", "b"])
    assert figures == {"development_fnmr": 0.5, "development_fnmr_1e-2": 0.5}
