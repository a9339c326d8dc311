"""A toy world for measurements of personal verifiers: people who are directions, and an untrained generator."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ostiary.data.identities import Portrait
from ostiary.networks.hypernetwork import Hypernetwork
from ostiary.runtime.verifier_layers import F64
from ostiary.training.embedding.portraits import Portraits
from ostiary.training.personal.batches import Enrollable
from ostiary.training.personal.recipe import PersonalRecipe, Phase, Sampling
from ostiary.training.personal.run import TrainedPersonal
from ostiary.training.schedule import Schedule

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

DIMENSION = 12


def faces(people: int, pictures: int, seed: int, noise: float = 0.1) -> Enrollable:
    """Unit embeddings about a direction of each person's own, and crops of noise."""
    random = np.random.default_rng(seed)
    own = random.normal(size=(people, 1, DIMENSION)) / np.sqrt(DIMENSION)
    embeddings = (own + noise * random.normal(size=(people, pictures, DIMENSION))).reshape(-1, DIMENSION)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    portraits = [Portrait(f"{n}.png", str(n // pictures), "train", "toy") for n in range(people * pictures)]
    crops = random.integers(0, 256, (len(portraits), 64, 64, 3), np.uint8)
    stored = Portraits(portraits, (), crops, np.arange(len(portraits)))
    return Enrollable(stored, np.arange(len(portraits)) // pictures, embeddings.astype(np.float32))


@pytest.fixture(scope="session")
def model() -> TrainedPersonal:
    """The form ``head`` for f64; nothing is learnt, but its last layer already follows the embedding."""
    recipe = PersonalRecipe(
        name="toy",
        summary="Not to be trained.",
        architecture="f64",
        start="noise",
        sampling=Sampling(),
        phases=(Phase(until=1),),
        schedule=Schedule(epochs=1, batch=4, optimiser="adamw", learning_rate=1e-3),
    )
    torch.manual_seed(0)
    network = Hypernetwork("head", F64, dimension=DIMENSION).eval()
    record = {"task": "personal", "recipe": recipe.model_dump(mode="json"), "dimension": DIMENSION,
              "backbone": "toy", "backbone_sha256": "00", "commit": "none"}  # fmt: skip
    return TrainedPersonal(network, recipe, record)
