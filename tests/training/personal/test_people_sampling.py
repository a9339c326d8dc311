"""Who meets whom: distinct people, no enrolment among its probes, neighbourhoods that are neighbours."""

from __future__ import annotations

import numpy as np
import pytest

from ostiary.errors import DataIndexError
from ostiary.training.personal.batches import Enrollable
from ostiary.training.personal.recipe import Phase, Sampling
from ostiary.training.personal.sampling import PeopleSampler, clusters, pictures_of

from .conftest import PEOPLE, PICTURES, TINY

RANDOM, HARD = Phase(until=1), Phase(until=1, hard=1.0)


def sampler(enrollable: Enrollable, seed: int = 0, **change: object) -> PeopleSampler:
    recipe = TINY.model_copy(update={"sampling": TINY.sampling.model_copy(update=change)})
    return PeopleSampler(enrollable.people, enrollable.embeddings, recipe, seed)


@pytest.mark.parametrize("phase", [RANDOM, HARD])
def test_people_are_distinct_and_nobody_is_probed_with_the_enrolment(enrollable: Enrollable, phase: Phase) -> None:
    drawing = sampler(enrollable)
    for step in range(20):
        enrolled, probes, _ = drawing.draw(step, 0, phase)
        people = enrollable.people[enrolled]
        assert len(set(people)) == 4
        assert np.array_equal(enrollable.people[probes], np.repeat(people, 2))
        assert not set(enrolled) & set(probes)


@pytest.mark.parametrize("hard", [0.0, 1.0])
def test_anybodys_pictures_stand_for_themselves(enrollable: Enrollable, hard: float) -> None:
    drawing = sampler(enrollable)
    phase, met = Phase(until=1, anybody=1.0, hard=hard), set()
    for step in range(40):
        enrolled, probes, alone = drawing.draw(step, 0, phase)
        assert alone
        assert len(set(enrolled)) == 4
        assert np.array_equal(probes, np.repeat(enrolled, 2))
        met |= set(enrolled.tolist())
    assert len(met) > PEOPLE * PICTURES / 2
    share = np.mean([drawing.draw(step, 0, Phase(until=1, anybody=0.5)).alone for step in range(200)])
    assert 0.4 < share < 0.6


def test_anybodys_neighbourhood_is_more_alike_than_chance(enrollable: Enrollable) -> None:
    def likeness(hard: float) -> float:
        phase, drawing = Phase(until=1, anybody=1.0, hard=hard), sampler(enrollable, noise=0.0)
        shown = [enrollable.embeddings[drawing.draw(step, 0, phase).enrolled] for step in range(40)]
        return float(np.mean([(one @ one.T)[np.triu_indices(4, 1)].mean() for one in shown]))

    assert likeness(1.0) > likeness(0.0) + 0.3


def test_the_seed_and_the_step_decide_alone(enrollable: Enrollable) -> None:
    walked = sampler(enrollable)
    walked_to = [walked.draw(step, 1, HARD) for step in range(10)][9]
    jumped = sampler(enrollable).draw(9, 1, HARD)
    assert np.array_equal(walked_to.enrolled, jumped.enrolled)
    assert np.array_equal(walked_to.probes, jumped.probes)
    assert not np.array_equal(jumped.probes, sampler(enrollable, seed=1).draw(9, 1, HARD).probes)


def test_a_hard_batch_is_of_people_more_alike_than_a_random_one(enrollable: Enrollable) -> None:
    def likeness(phase: Phase) -> float:
        drawing = sampler(enrollable, noise=0.0)
        found = []
        for step in range(60):
            shown = enrollable.embeddings[drawing.draw(step, 0, phase).enrolled]
            found.append((shown @ shown.T)[np.triu_indices(4, 1)].mean())
        return float(np.mean(found))

    assert likeness(HARD) > likeness(RANDOM) + 0.15


def test_clusters_are_found_anew_on_schedule(enrollable: Enrollable) -> None:
    """At noise 0 a cluster gives one batch of people; the borders move every 4 steps."""

    def met(steps: range) -> set[frozenset[int]]:
        drawing = sampler(enrollable, noise=0.0)
        return {
            frozenset(enrollable.people[drawing.draw(step, s, HARD).enrolled]) for step in steps for s in range(40)
        }

    first = met(range(4))
    assert len(first) <= PEOPLE // 3
    assert met(range(4, 8)) != first


def test_k_means_finds_what_is_apart() -> None:
    rng = np.random.default_rng(0)
    middles = np.repeat(10 * np.eye(4), 6, axis=0)
    points = (middles + rng.normal(0, 0.1, middles.shape)).astype(np.float32)
    best = min(
        (clusters(points, Sampling(cluster=6), np.random.default_rng(seed)) for seed in range(20)),
        key=lambda found: np.square(points - found[0][found[1]]).sum(),
    )
    assert [len(set(best[1][i : i + 6])) for i in range(0, 24, 6)] == [1] * 4
    assert np.allclose(best[0][best[1][0]], points[:6].mean(0), atol=1e-5)


def test_people_of_one_picture_and_unknown_people_are_not_drawn() -> None:
    found = pictures_of(np.array([2, -1, 0, 2, 1, -1, 0, 0]))
    assert [list(part) for part in found] == [[2, 6, 7], [0, 3]]


def test_suspects_are_one_person_twice_and_a_strange_picture(enrollable: Enrollable) -> None:
    embeddings = enrollable.embeddings.copy()
    embeddings[PICTURES : 2 * PICTURES] = embeddings[:PICTURES]
    embeddings[3 * PICTURES] *= -1
    recipe = TINY.model_copy(update={"sampling": Sampling(duplicates=0.95, mislabels=0.0)})
    found = PeopleSampler(enrollable.people, embeddings, recipe, 0).suspects(embeddings)
    assert found.duplicates == [(0, PICTURES)]
    assert found.mislabels == [3 * PICTURES]


def test_too_few_people_are_an_error(enrollable: Enrollable) -> None:
    with pytest.raises(DataIndexError, match="3 people have two pictures or more, fewer than the 4"):
        PeopleSampler(enrollable.people[:15], enrollable.embeddings[:15], TINY, 0)
