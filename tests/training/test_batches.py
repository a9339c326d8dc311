"""Batches: simulated attacks take the places of attacks, and everything is drawn from seed, step and place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ostiary.data.index import Sample
from ostiary.faces.detector import Box
from ostiary.images import read_image
from ostiary.training.batches import LabelledWindows, Shard, batches, draws
from ostiary.training.recipe import Recipe, recipe
from ostiary.training.sampling import SAMPLING


def samples() -> list[Sample]:
    rows = [Sample(f"b{i}", "bona_fide", subject=f"s{i}", dataset="many" if i % 3 else "few") for i in range(30)]
    return rows + [Sample(f"a{i}", "attack", "print", f"s{i}", dataset="few") for i in range(10)]


def toy(**changes: object) -> Recipe:
    small = recipe("toy").model_copy(
        update={"preprocess": recipe("toy").preprocess.model_copy(update={"size": 48})}
    )
    return small.model_copy(update=changes)


@pytest.mark.parametrize("sampling", ["shuffled", "balanced"])
def test_without_simulation_the_sampling_alone_decides(sampling: str) -> None:
    chosen, painted = draws(toy(sampling=sampling), samples(), 64, 3, 1)
    assert np.array_equal(chosen, SAMPLING[sampling](samples(), 64, 3, 1))
    assert not painted.any()


@pytest.mark.parametrize("sampling", ["shuffled", "balanced"])
def test_painted_faces_take_the_places_of_attacks(sampling: str) -> None:
    rows, count = samples(), 2000
    plain, _ = draws(toy(sampling=sampling), rows, count, 0, 0)
    chosen, painted = draws(toy(sampling=sampling, simulated=0.4), rows, count, 0, 0)
    attack = np.array([rows[i].label == "attack" for i in plain])
    assert np.array_equal(chosen[~painted], plain[~painted])
    assert not (painted & ~attack).any()
    assert painted.sum() / attack.sum() == pytest.approx(0.4, abs=0.06)
    faces = chosen[painted]
    assert {rows[i].label for i in faces} == {"bona_fide"}
    assert len(set(faces.tolist())) == 30


@pytest.fixture
def data(pictures: Path) -> LabelledWindows:
    face = read_image(pictures / "astronaut.png")[:256, 100:356]
    windows = [(face, Box(60, 30, 120, 150))] * 40
    return LabelledWindows(windows, samples(), np.full(40, 0.25, np.float32))  # type: ignore[arg-type]


def shards(recipe: Recipe, data: LabelledWindows, steps: range = range(3)) -> list[Shard]:
    found = batches(recipe, data, seed=2, steps_per_epoch=4, steps=steps, shards=range(1), workers=0)
    return [batch[0] for batch in found]


def test_a_painted_face_is_an_attack_without_a_soft_target(data: LabelledWindows) -> None:
    all_painted = shards(toy(simulated=1.0), data)
    for real, painted in zip(shards(toy(), data), all_painted, strict=True):
        assert torch.equal(painted.labels, real.labels)
        attack = painted.labels == 0
        assert torch.isnan(painted.soft[attack]).all()
        assert torch.equal(painted.soft[~attack], real.soft[~attack])
        assert torch.equal(painted.inputs[~attack], real.inputs[~attack])
        assert not set(painted.species[attack].tolist()) & set(real.species.tolist())
        # All pictures are of one face here: only paint can tell them apart.
        assert ((painted.inputs - real.inputs).abs().mean((1, 2, 3))[attack] > 0.01).all()


def test_a_batch_does_not_depend_on_those_before_it(data: LabelledWindows) -> None:
    whole, rest = shards(toy(simulated=0.5), data), shards(toy(simulated=0.5), data, range(2, 3))
    for field in ("inputs", "labels", "datasets", "species"):
        assert torch.equal(getattr(whole[2], field), getattr(rest[0], field))


def test_data_sets_and_species_are_counted_in_sorted_order(data: LabelledWindows) -> None:
    shard = shards(toy(), data)[0]
    attack = shard.labels == 0
    assert set(shard.datasets[attack].tolist()) == {0}
    assert set(shard.datasets.tolist()) == {0, 1}
    assert set(shard.species[~attack].tolist()) == {0}
    assert set(shard.species[attack].tolist()) == {1}
