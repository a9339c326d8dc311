"""People for a training in a moment: smooth patterns, and a backbone that knows them by their patterns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ostiary.data.identities import IdentityIndex, Portrait
from ostiary.data.pictures import open_pictures
from ostiary.training.augment import Augmentation
from ostiary.training.embedding.portraits import load_portraits
from ostiary.training.personal.backbone import open_backbone
from ostiary.training.personal.batches import Enrollable
from ostiary.training.personal.recipe import PersonalRecipe, Phase, Sampling
from ostiary.training.personal.run import PersonalRunSettings
from ostiary.training.schedule import Schedule

PEOPLE, PICTURES, DIMENSION = 20, 5, 12

TINY = PersonalRecipe(
    name="tiny",
    summary="A few steps on patterns.",
    form="head",
    architecture="f64",
    start="noise",
    augmentation=Augmentation(flip=False),
    sampling=Sampling(cluster=3, reclustered=4, copies=1.1, mislabels=-1, duplicates=1.1),
    phases=(Phase(until=0.5, distil=1.0), Phase(until=1, hard=1.0, positive=0.5, distil=0.5)),
    steps_per_epoch=6,
    held_out=0.4,
    schedule=Schedule(epochs=2, batch=8, optimiser="adamw", learning_rate=3e-3),
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


@pytest.fixture(scope="session")
def backbone(people: Path, index: IdentityIndex, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fixed projection of the coarse pattern: what it says of one person holds for all."""
    crops = np.stack([np.asarray(Image.open(people / portrait.path), np.float64) for portrait in index])
    coarse = crops.reshape(len(crops), 4, 28, 4, 28, 3).mean(axis=(2, 4)).reshape(len(crops), -1)
    embeddings = (coarse - 127) @ np.random.default_rng(0).normal(size=(48, DIMENSION))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    path = tmp_path_factory.mktemp("backbone") / "patterns.npz"
    names = np.array([portrait.path for portrait in index])
    np.savez(path, embeddings=embeddings[None].astype(np.float16), paths=names, changes=np.array("unchanged"))
    return path


@pytest.fixture(scope="session")
def enrollable(
    people: Path, index: IdentityIndex, backbone: Path, tmp_path_factory: pytest.TempPathFactory
) -> Enrollable:
    portraits = load_portraits(index, open_pictures(people), tmp_path_factory.mktemp("cache"), 112)
    return Enrollable(portraits, index.classes(), open_backbone(backbone).of(portraits))


def settings(out: Path, backbone: Path, **more: object) -> PersonalRunSettings:
    return PersonalRunSettings(
        out=out,
        cache=out.parent / "cache",
        backbone=backbone,
        workers=0,
        accelerator="cpu",
        **more,  # type: ignore[arg-type]
    )
