"""Attackers on templates: at chance where a re-issue protects, certain where it does not."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch

from held_out import People, open_people
from linkage import canonical, system_linkability
from ostiary.errors import ConfigurationError, DataIndexError
from ostiary.networks.verifier import verifier
from ostiary.runtime.reissue import reissue
from ostiary.runtime.verifier_layers import F64
from ostiary.training.checkpoint import save_tensors
from ostiary.training.personal.run import TrainedPersonal
from recovery import one_picture_each, ridge
from template_protection import enrolment, forgery, measure, page, renewal

from .conftest import DIMENSION, faces

PEOPLE = 12


@pytest.fixture(scope="module")
def people(model: TrainedPersonal) -> People:
    return People(model, faces(120, 1, seed=1), faces(PEOPLE, 2, seed=2), "people")


@pytest.fixture(scope="module")
def report(people: People) -> dict:  # type: ignore[type-arg]
    return measure(people, precision="int8", octaves=0, rounds=3, learnt=100, seed=0)


def linking(report: dict) -> dict:  # type: ignore[type-arg]
    return {(row["templates"], row["attacker"]): row["theta"] for row in report["linking"]}


def test_numbers_as_they_lie_link_equal_templates_and_no_reissued_ones(report: dict) -> None:  # type: ignore[type-arg]
    found = linking(report)
    plain = found["not re-issued: one template twice", "number by number"]
    assert plain["auc"] == 1
    assert plain["linkability"] > 3 * plain["linkability_by_chance"]
    low, high = found["two re-issues of one photo", "number by number"]["interval"]
    assert low < 0.5 < high


def test_whoever_sorts_the_channels_links_reissued_ones(report: dict) -> None:  # type: ignore[type-arg]
    found = linking(report)
    assert found["two re-issues of one photo", "sorts the channels first"]["auc"] == 1
    assert found["re-issues of two photos", "sorts the channels first"]["auc"] > 0.9


def test_shared_layers_link_nobody_once_sorted(report: dict) -> None:  # type: ignore[type-arg]
    by_attacker = {row["attacker"]: row["layers"] for row in report["linking"]}
    assert set(by_attacker["sorts the channels first"]) == {"fc"}
    assert len(by_attacker["number by number"]) == len(F64.layers)


def test_embeddings_are_read_from_sorted_templates_alone(report: dict) -> None:  # type: ignore[type-arg]
    read = report["recovery"]
    assert read["not re-issued"]["cosine"]["value"] > 0.95
    assert read["re-issued, channels sorted"]["cosine"]["value"] > 0.95
    assert read["re-issued, channels sorted"]["rank_1_same_photo"]["value"] == 1
    assert read["re-issued, numbers as they lie"]["cosine"]["value"] < 0.5
    assert read["the embedding itself"]["cosine"]["value"] == pytest.approx(1)
    assert read["the mean embedding, without any template"]["rank_1_same_photo"]["value"] == pytest.approx(
        1 / PEOPLE
    )


def test_reissues_answer_alike_and_equal_bytes_would_be_seen(people: People, report: dict) -> None:  # type: ignore[type-arg]
    assert report["renewal"]["equal_bytes"] == 0
    assert report["renewal"]["largest_logit_difference"] < 1e-4 < report["renewal"]["logits_deviation"]
    templates = enrolment(people, "int8")(people.judged.embeddings[:4])
    inputs = np.random.default_rng(0).normal(size=(2, 3, 64, 64)).astype(np.float32)
    assert renewal(templates, [templates], inputs)["equal_bytes"] == 4
    others = templates[1:] + templates[:1]
    assert renewal(templates, [others], inputs)["largest_logit_difference"] > 1e-2


def test_a_list_of_fingerprints_refuses_what_is_on_it(people: People, report: dict) -> None:  # type: ignore[type-arg]
    assert report["revocation"] == {
        "revoked": PEOPLE, "refused": PEOPLE, "new_ones_refused": 0, "forged_that_pass": PEOPLE,
    }  # fmt: skip
    (template,) = enrolment(people, "int8")(people.judged.embeddings[:1])
    assert np.abs(forgery(template).theta - template.theta).max() < 1e-5


@pytest.mark.parametrize("octaves", [0, 2])
def test_canonical_undoes_a_reissue_and_keeps_the_function(octaves: int) -> None:
    random = np.random.default_rng(3)
    theta = np.zeros(F64.parameters, np.float32)
    for layer, (weight, bias) in zip(F64.layers, F64.parts(theta).values(), strict=True):
        weight[:] = random.normal(0, np.sqrt(2 / layer.fan_in), layer.shape)
        bias[:] = random.normal(0, 0.2, layer.out)
    one, other = (reissue(theta, F64, seed, octaves=octaves) for seed in (1, 2))
    assert np.abs(one - other).max() > 0.1
    np.testing.assert_allclose(canonical(one, F64), canonical(other, F64), rtol=1e-3, atol=1e-4)
    x = torch.from_numpy(random.normal(size=(3, 3, 64, 64)).astype(np.float32))
    before, after = (verifier(x, torch.from_numpy(each), F64).numpy() for each in (theta, canonical(one, F64)))
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-4)


def test_a_linear_generator_is_read_backwards() -> None:
    random = np.random.default_rng(4)
    embeddings = random.normal(size=(80, DIMENSION)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    thetas = embeddings @ random.normal(size=(DIMENSION, 200)).astype(np.float32) + 3
    read = ridge(thetas[:60], embeddings[:60], thetas[60:])
    np.testing.assert_allclose(read, embeddings[60:], atol=2e-3)
    noise = random.normal(size=thetas.shape).astype(np.float32)
    lost = ridge(noise[:60], embeddings[:60], noise[60:])
    assert np.abs(lost - embeddings[60:]).max() > 0.3


def test_linkability_at_its_ends() -> None:
    assert system_linkability(np.ones(40), np.zeros(400)) == 1
    values = np.linspace(0, 1, 40)
    assert system_linkability(values, np.repeat(values, 10)) == 0
    # Half of the mated ones look like all others: they lie where the ratio is 1/2, the rest is certain.
    half = np.repeat([0.0, 1.0], 20)
    assert system_linkability(half, np.zeros(400)) == pytest.approx(0.5)


def test_the_page_says_what_does_not_hold(report: dict) -> None:  # type: ignore[type-arg]
    head = {"model": "head f64", "backbone": "toy", "people": "people", "seed": 0, "precision": "int8",
            "octaves": 0, "rounds": 3}  # fmt: skip
    text = page({"header": head, **report})
    assert "| two re-issues of one photo | sorts the channels first | 1.000" in text
    assert f"{PEOPLE} of {PEOPLE} pass" in text


def test_people_who_cannot_be_measured_are_refused(people: People, tmp_path: Path) -> None:
    model = people.model
    alone = People(model, people.learnt, faces(4, 1, seed=0), "people")
    with pytest.raises(DataIndexError, match="Only 0 people have two pictures"):
        measure(alone, precision="int8", octaves=0, rounds=1, learnt=100, seed=0)
    with pytest.raises(DataIndexError, match="8 people are too few"):
        one_picture_each(people.learnt, 8, 0)
    save_tensors(tmp_path / "model.safetensors", dict(model.network.state_dict()), model.record)
    np.savez(tmp_path / "toy.npz", embeddings=np.ones((1, 1, 4)), paths=["a.png"], changes="unchanged")
    given = Namespace(
        split=None, weights=None, model=tmp_path / "model.safetensors", backbone=tmp_path / "toy.npz"
    )
    with pytest.raises(ConfigurationError, match="trained with another file of toy"):
        open_people(given)
    with pytest.raises(ConfigurationError, match="name the backbone with --weights"):
        open_people(Namespace(split="test", weights=None))
