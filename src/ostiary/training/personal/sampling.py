"""Hard negatives: a batch of people who look alike to the backbone (K-means Centered Sampling).

The name is from Rozner et al. 2023, the method ours. K-means over one vector a person finds neighbourhoods; a hard
batch is the people nearest to the centre of one of them. Ranking from the centre always fills a batch, and crosses
the borders of clusters. All is drawn from (seed, step, shard) alone, so that a resumed run meets the same people.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import DataIndexError
from ostiary.training.personal.recipe import PersonalRecipe, Phase, Sampling

FEWEST_CLUSTERS = 4
ROUNDS = 20
"""Of K-means, unless nobody changes sides before."""


class Drawn(NamedTuple):
    """Pictures of a shard: one enrolment a person (P,), and probes (P * Q,), Q in a row of each.

    ``alone``: every picture stands for itself, and is its own probe.
    """

    enrolled: NDArray[np.int64]
    probes: NDArray[np.int64]
    alone: bool = False


class Suspects(NamedTuple):
    """What the guards are for, as far as it shows beforehand.

    ``duplicates`` are pairs of people, each named by a picture, whose mean embeddings are as alike as those of one
    person; ``mislabels`` are pictures that are unlike the others of their person.
    """

    duplicates: list[tuple[int, int]]
    mislabels: list[int]


class PeopleSampler:
    """Draws people and their pictures.

    Args:
        people: of each picture the number of its person, or -1 (N,). Only people with two pictures or more are
            drawn.
        embeddings: of the pictures, unit length (N, D).
        recipe: how many people and pictures, and how hard.
        seed: of the run.

    Raises:
        DataIndexError: fewer people have two pictures than meet in a batch.

    """

    def __init__(
        self, people: NDArray[np.int64], embeddings: NDArray[np.float32], recipe: PersonalRecipe, seed: int
    ) -> None:
        self._pictures = pictures_of(people)
        if len(self._pictures) < recipe.people:
            raise DataIndexError(
                f"{len(self._pictures)} people have two pictures or more, fewer than the {recipe.people} that "
                f"meet in a batch of the recipe {recipe.name!r}: give more people, or a recipe of a smaller batch."
            )
        self.means = mean_embeddings(self._pictures, embeddings)
        self._embeddings = embeddings
        self._count, self._sampling, self._seed = recipe.people, recipe.sampling, seed
        self._round = -1

    def draw(self, step: int, shard: int, phase: Phase) -> Drawn:
        """The pictures of one shard; people are distinct, and no probe is its person's enrolment.

        Unless pictures stand for themselves (``Phase.anybody``).
        """
        rng = np.random.default_rng([self._seed, step, shard])
        if phase.anybody and rng.random() < phase.anybody:
            return self._anybody(rng, phase.hard)
        if rng.random() < phase.hard:
            chosen = self._neighbourhood(step, rng)
        else:
            chosen = rng.choice(len(self._pictures), self._count, replace=False)
        shown = [self._shown(self._pictures[person], rng) for person in chosen]
        enrolled, probes = zip(*shown, strict=True)
        return Drawn(np.array(enrolled), np.concatenate(probes))

    def suspects(self, embeddings: NDArray[np.float32]) -> Suspects:
        """Who may be one person under two names, and which pictures of the N may show somebody else."""
        duplicates = [
            (int(self._pictures[one][0]), int(self._pictures[one + 1 + after][0]))
            for one in range(len(self.means))
            for after in np.flatnonzero(self.means[one + 1 :] @ self.means[one] >= self._sampling.duplicates)
        ]
        strange = [
            int(picture)
            for pictures in self._pictures
            for picture in pictures
            if (embeddings[pictures] @ embeddings[picture]).sum() - 1
            < self._sampling.mislabels * (len(pictures) - 1)
        ]
        return Suspects(duplicates, strange)

    def _anybody(self, rng: np.random.Generator, hard: float) -> Drawn:
        """Pictures of whomever; a neighbourhood is that of one of them."""
        if rng.random() < hard:
            centre = self._embeddings[rng.integers(len(self._embeddings))]
            noise = rng.uniform(0, self._sampling.noise, len(self._embeddings))
            apart = noise - 2 * self._embeddings @ centre  # squared distances, less a constant
            chosen = np.argpartition(apart, self._count)[: self._count].astype(np.int64)
        else:
            chosen = rng.choice(len(self._embeddings), self._count, replace=False)
        return Drawn(chosen, np.repeat(chosen, self._sampling.pictures), alone=True)

    def _neighbourhood(self, step: int, rng: np.random.Generator) -> NDArray[np.int64]:
        turn = step // self._sampling.reclustered
        if turn != self._round:
            self._round = turn
            self._centres, members = clusters(
                self.means, self._sampling, np.random.default_rng([self._seed, turn])
            )
            self._shares = np.bincount(members, minlength=len(self._centres)) / len(members)
        centre = self._centres[rng.choice(len(self._centres), p=self._shares)]
        apart = np.square(self.means - centre).sum(1) + rng.uniform(0, self._sampling.noise, len(self.means))
        return np.argsort(apart, kind="stable")[: self._count].astype(np.int64)

    def _shown(self, pictures: NDArray[np.int64], rng: np.random.Generator) -> tuple[int, NDArray[np.int64]]:
        """One picture to enrol, and others to probe with; some come twice where there are too few."""
        order = rng.permutation(pictures)
        return int(order[0]), np.resize(order[1:], self._sampling.pictures)


def pictures_of(people: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """For each person with two pictures or more: their places in ``people`` (N,)."""
    order = np.argsort(people, kind="stable")
    order = order[people[order] >= 0]
    parts = np.split(order, np.flatnonzero(np.diff(people[order])) + 1)
    return [part.astype(np.int64) for part in parts if len(part) > 1]


def mean_embeddings(pictures: list[NDArray[np.int64]], embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """One vector of unit length a person, (people, D)."""
    means = np.stack([embeddings[part].mean(0) for part in pictures])
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True).clip(1e-6), np.float32)


def clusters(
    points: NDArray[np.float32], sampling: Sampling, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """K-means (Lloyd): centres (K, D), and of each of N points (N, D) the number of its centre (N,).

    A centre that loses all its points stays where it was.
    """
    count = min(len(points), max(FEWEST_CLUSTERS, len(points) // sampling.cluster))
    centres = points[rng.choice(len(points), count, replace=False)]
    members = np.full(len(points), -1, np.int64)
    for _ in range(ROUNDS):
        nearest = np.argmin(np.square(centres).sum(1) - 2 * points @ centres.T, axis=1)
        if np.array_equal(nearest, members):
            break
        members = nearest
        sums = np.zeros_like(centres)
        np.add.at(sums, members, points)
        held = np.bincount(members, minlength=count)
        centres = np.where(held[:, None] > 0, sums / np.maximum(held, 1)[:, None], centres).astype(np.float32)
    return centres, members
