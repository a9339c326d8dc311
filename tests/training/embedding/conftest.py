"""Faces for a training in a moment: smooth patterns, one a person, a little changed from picture to picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ostiary.data.identities import IdentityIndex, Portrait
from ostiary.training.augment import Augmentation
from ostiary.training.embedding.margins import Margin
from ostiary.training.embedding.pose import Misalignment
from ostiary.training.embedding.recipe import FaceRecipe
from ostiary.training.schedule import Schedule

PEOPLE, PICTURES = 12, 4

TINY = FaceRecipe(
    name="tiny",
    summary="A few steps on patterns.",
    network="seesaw_share",
    dimension=16,
    augmentation=Augmentation(brightness=0.2, jpeg=0.5),
    misalignment=Misalignment(turn=5, zoom=1.05, shift=2),
    margin=Margin(scale=16, margin=0.2),
    held_out=0.4,
    schedule=Schedule(epochs=2, batch=8, shards=2, optimiser="sgd", learning_rate=0.05, average=0.5),
)


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of aligned crops, ``person/number.png``."""
    folder = tmp_path_factory.mktemp("people")
    for person in range(PEOPLE):
        rng = np.random.default_rng(person)
        pattern = rng.uniform(0, 255, (7, 7, 3))
        (folder / f"{person:02}").mkdir()
        for number in range(PICTURES):
            noisy = (pattern + rng.normal(0, 15, pattern.shape)).clip(0, 255).astype(np.uint8)
            Image.fromarray(noisy).resize((112, 112)).save(folder / f"{person:02}" / f"{number}.png")
    return folder


@pytest.fixture(scope="session")
def index(people: Path) -> IdentityIndex:
    paths = sorted(path.relative_to(people) for path in people.rglob("*.png"))
    return IdentityIndex(Portrait(path.as_posix(), path.parent.name, "train", "patterns") for path in paths)
