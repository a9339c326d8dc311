"""A whole run: learns, resumes on its curve, starts from a static network, and says what is missing."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ostiary.data.identities import IdentityIndex
from ostiary.data.pictures import open_pictures
from ostiary.errors import DataIndexError, InputError
from ostiary.networks.hypernetwork import FORMS, Hypernetwork
from ostiary.networks.static_verifier import StaticVerifier
from ostiary.networks.verifier import verifier
from ostiary.training.checkpoint import save_tensors
from ostiary.training.personal.backbone import open_backbone
from ostiary.training.personal.batches import Enrollable, PersonalShard, class_weights, personal_batches, sized
from ostiary.training.personal.recipe import PersonalRecipe, Phase, Sampling, changed
from ostiary.training.personal.run import load_personal, train_personal
from ostiary.training.personal.sampling import PeopleSampler
from ostiary.training.personal.task import (
    CENTRE,
    Judged,
    PersonalTask,
    calibrated,
    following_loss,
    held_comparisons,
    judge,
    make_network,
    personal_loss,
)

from .conftest import DIMENSION, TINY, settings

STATIC = changed(TINY, form="static")


def train(
    people: Path, index: IdentityIndex, backbone: Path, out: Path, recipe: PersonalRecipe = TINY, **more: object
) -> list[float]:
    train_personal(recipe, index, open_pictures(people), settings(out, backbone, **more))
    with (out / "steps.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def runs(people: Path, index: IdentityIndex, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static network, and a head that started from it."""
    folder = tmp_path_factory.mktemp("runs")
    train(people, index, backbone, folder / "static", STATIC)
    started = changed(TINY, start="static")
    train(people, index, backbone, folder / "head", started, start=folder / "static" / "model.safetensors")
    return folder


def one_shard(enrollable: Enrollable, recipe: PersonalRecipe = TINY, step: int = 0) -> PersonalShard:
    steps = range(step, step + 1)
    ((shard,),) = personal_batches(
        recipe, enrollable, seed=0, steps=steps, shards=range(1), workers=0, device=torch.device("cpu")
    )
    return shard


def test_a_run_says_how_it_came_about(runs: Path) -> None:
    trained = load_personal(runs / "head" / "model.safetensors")
    assert isinstance(trained.network, Hypernetwork)
    assert not trained.network.training
    record = json.loads((runs / "head" / "model.json").read_text())
    assert record == trained.record
    assert record["people"] + record["held_out_people"] == 20
    assert record["pictures"] == 5 * record["people"]
    assert (record["backbone"], record["dimension"]) == ("patterns", DIMENSION)
    assert record["start_sha256"]
    assert PersonalRecipe.model_validate(record["recipe"]) == trained.recipe
    last = record["history"][-1]
    assert last["development_quality"] == last["development_auc"]
    assert last["development_backbone_auc"] > 0.99
    assert {"development_shuffled_auc", "development_spread", "development_user_fmr_spread"} <= set(last)
    with (runs / "head" / "steps.csv").open() as file:
        assert [row["word"] for row in csv.DictReader(file)] == ["0"] * 6 + ["1"] * 6


def test_a_static_network_judges_as_the_verifiers_that_it_makes(runs: Path, enrollable: Enrollable) -> None:
    trained = load_personal(runs / "static" / "model.safetensors")
    assert isinstance(trained.network, StaticVerifier)
    network = trained.network
    x, embeddings = torch.randn(3, 3, 64, 64), torch.from_numpy(enrollable.embeddings[:2])
    task = PersonalTask(trained.recipe, network, enrollable, enrollable, seed=0)
    with torch.no_grad():
        judged = task.network.eval()(embeddings, x).logits
        assert torch.allclose(judged, verifier(x, network.theta(embeddings), trained.recipe.shape), atol=1e-4)


def test_a_head_starts_where_the_static_network_ends(runs: Path) -> None:
    static = load_personal(runs / "static" / "model.safetensors").network
    assert isinstance(static, StaticVerifier)
    head = make_network(changed(TINY, start="static"), DIMENSION, static)
    assert isinstance(head, Hypernetwork)
    embeddings, x = torch.randn(4, DIMENSION), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        first = verifier(x, static.theta(embeddings), static.architecture)
        assert torch.allclose(verifier(x, head.theta(embeddings), static.architecture), first - 2, atol=1e-4)


def test_a_run_cut_off_goes_on_along_the_same_curve(
    people: Path, index: IdentityIndex, backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(people, index, backbone, tmp_path / "whole")
    validate, asked = PersonalTask.validate, iter([True])

    def breaking(*arguments: object) -> dict[str, float]:
        if next(asked, None) is None:
            raise KeyboardInterrupt
        return validate(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(PersonalTask, "validate", breaking)
    with pytest.raises(KeyboardInterrupt):
        train(people, index, backbone, tmp_path / "cut")
    monkeypatch.setattr(PersonalTask, "validate", validate)
    assert train(people, index, backbone, tmp_path / "cut") == whole


def test_one_batch_can_be_learnt_by_heart(enrollable: Enrollable) -> None:
    torch.manual_seed(0)
    recipe = changed(TINY, without=["distillation"])
    task = PersonalTask(recipe, make_network(recipe, DIMENSION), enrollable, enrollable, seed=0)
    shard = one_shard(enrollable, recipe)
    optimiser = torch.optim.Adam(task.network.parameters(), 5e-3)
    for _ in range(60):
        optimiser.zero_grad()
        (loss,) = task.losses(task.network, shard, torch.device("cpu"))
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert loss.item() < 0.1


@pytest.mark.parametrize("form", FORMS)
def test_every_form_has_a_loss_and_gradients(enrollable: Enrollable, form: str) -> None:
    recipe = changed(TINY, form=form)
    task = PersonalTask(recipe, make_network(recipe, DIMENSION), enrollable, enrollable, seed=0)
    (loss,) = task.losses(task.network, one_shard(enrollable, recipe), torch.device("cpu"))
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in task.network.parameters() if p.numel())


def test_a_shard_holds_all_comparisons_of_its_people(enrollable: Enrollable) -> None:
    shard = one_shard(enrollable)
    assert shard.inputs.shape == (8, 3, 64, 64)
    assert torch.equal(shard.same, torch.eye(4).repeat_interleave(2, 1))
    assert shard.weights.mean().item() == pytest.approx(1)
    assert (shard.weights * shard.same).sum().item() == pytest.approx(16)
    assert (shard.distil.item(), one_shard(enrollable, step=6).distil.item()) == (1.0, 0.5)


def test_pictures_that_stand_for_themselves_are_believed_of_themselves(enrollable: Enrollable) -> None:
    """Others of one person are nobody's impostors, whatever the embeddings say."""
    phase = Phase(until=1, anybody=1.0, hard=1.0)
    recipe = TINY.model_copy(update={"phases": (phase,), "sampling": Sampling(cluster=3, duplicates=0.5)})
    for step in range(8):
        shard = one_shard(enrollable, recipe, step=step)
        enrolled, probes, _ = PeopleSampler(enrollable.people, enrollable.embeddings, recipe, 0).draw(
            step, 0, phase
        )
        assert torch.equal(shard.same, torch.eye(4).repeat_interleave(2, 1))
        for row, picture in enumerate(enrolled):
            for column, probe in enumerate(probes):
                likeness = float(enrollable.embeddings[picture] @ enrollable.embeddings[probe])
                stranger = enrollable.people[picture] != enrollable.people[probe] and likeness < 0.5
                assert shard.kept[row, column] == (picture == probe or stranger)


def test_classes_weigh_as_they_are_told_to() -> None:
    same = np.array([[1, 0, 0, 0, 0]], np.float32)
    assert class_weights(same, 1.0).tolist() == [[2.5, 0.625, 0.625, 0.625, 0.625]]
    halved = class_weights(same, 0.5)
    assert halved.sum() == pytest.approx(5)
    assert halved[0, 0] == pytest.approx(halved[0, 1:].sum() / 2)
    assert class_weights(np.zeros((2, 2), np.float32), 0.5).tolist() == [[1, 1], [1, 1]]


def test_comparisons_that_are_not_believed_do_not_count(enrollable: Enrollable) -> None:
    guards = {"copies": -0.5, "duplicates": 1.1, "mislabels": -1}
    recipe = PersonalRecipe.model_validate(
        {**TINY.model_dump(), "sampling": {**TINY.sampling.model_dump(), **guards}}
    )
    shard = one_shard(enrollable, changed(recipe, without=["distillation", "penalty"]))
    assert torch.equal(shard.kept, 1 - shard.same), "every mated comparison looks like a copy"
    judged = Judged(torch.where(shard.same > 0, -50.0, -3.0), torch.zeros(()))
    loss = personal_loss(judged, shard, recipe, 0.3)
    assert loss.item() == pytest.approx(np.log1p(np.exp(-3)), rel=1e-4)
    nothing = PersonalShard(
        **{name: getattr(shard, name) for name in PersonalShard.__slots__} | {"kept": 0 * shard.kept}
    )
    assert personal_loss(judged, nothing, recipe, 0.3).item() == 0


def test_who_is_judged_is_never_shown_the_enrolment(enrollable: Enrollable) -> None:
    recipe = TINY.model_copy(update={"judged": 3, "judged_pictures": 2})
    enrolled, probes = held_comparisons(enrollable, recipe)
    assert enrolled.tolist() == [0, 5, 10]
    assert probes.tolist() == [1, 2, 6, 7, 11, 12]
    task = PersonalTask(recipe, make_network(recipe, DIMENSION), enrollable, enrollable, seed=0)
    found = judge(task.network.eval(), enrollable, enrolled, probes, recipe.shape, torch.device("cpu"))
    alone = judge(task.network, enrollable, enrolled[1:2], probes[2:3], recipe.shape, torch.device("cpu"))
    assert found[1, 2] == pytest.approx(alone.item(), abs=1e-4)


def test_the_backbones_own_threshold_parts_the_people(enrollable: Enrollable) -> None:
    assert 0.3 < calibrated(enrollable) < 0.95
    alone = Enrollable(enrollable.portraits, np.arange(100), enrollable.embeddings)
    assert calibrated(alone) == CENTRE


def test_a_network_that_says_nothing_is_one_away() -> None:
    embeddings = torch.nn.functional.normalize(torch.randn(5, DIMENSION))
    assert following_loss(torch.zeros(5, DIMENSION), embeddings).item() == pytest.approx(1)
    assert following_loss(DIMENSION**0.5 * embeddings, embeddings).item() == pytest.approx(0, abs=1e-6)


def test_smaller_crops_are_the_same_picture() -> None:
    grey = np.full((2, 112, 112, 3), 77, np.uint8)
    assert sized(grey, 112) is grey
    assert np.array_equal(sized(grey, 64), grey[:, :64, :64])


def test_what_is_missing_is_said_in_a_sentence(
    people: Path, index: IdentityIndex, backbone: Path, runs: Path, tmp_path: Path
) -> None:
    started = changed(TINY, start="static")
    with pytest.raises(InputError, match="--start-from"):
        train(people, index, backbone, tmp_path, started)
    with pytest.raises(InputError, match="of the form 'head'; a start must be"):
        train(people, index, backbone, tmp_path, started, start=runs / "head" / "model.safetensors")
    other = changed(started, architecture="f112")
    with pytest.raises(InputError, match="is of f112"):
        train(people, index, backbone, tmp_path, other, start=runs / "static" / "model.safetensors")
    with pytest.raises(InputError, match="not a teacher's file"):
        open_backbone(tmp_path / "none.npz")
    with pytest.raises(DataIndexError, match="two pictures or more"):
        train(
            people, IdentityIndex(list(index)[:30]), backbone, tmp_path, TINY.model_copy(update={"held_out": 0.9})
        )
    save_tensors(tmp_path / "other.safetensors", {}, {"task": "face"})
    with pytest.raises(InputError, match="not of 'ostiary train personal'"):
        load_personal(tmp_path / "other.safetensors")


def test_a_backbone_of_changed_pictures_or_without_a_direction_is_refused(backbone: Path, tmp_path: Path) -> None:
    with np.load(backbone) as file:
        parts = dict(file)
    np.savez(tmp_path / "views.npz", **{**parts, "changes": np.array("{}")})
    with pytest.raises(InputError, match="changed pictures"):
        open_backbone(tmp_path / "views.npz")
    np.savez(tmp_path / "zero.npz", **{**parts, "embeddings": 0 * parts["embeddings"]})
    with pytest.raises(InputError, match="without a direction"):
        open_backbone(tmp_path / "zero.npz")


def test_pictures_that_the_backbone_does_not_know_are_named(
    enrollable: Enrollable, backbone: Path, tmp_path: Path
) -> None:
    with np.load(backbone) as file:
        np.savez(
            tmp_path / "less.npz", **{**file, "embeddings": file["embeddings"][:, 1:], "paths": file["paths"][1:]}
        )
    with pytest.raises(InputError, match=r"no embedding of 00/0.png and 0 other"):
        open_backbone(tmp_path / "less.npz").of(enrollable.portraits)
