"""What other face networks make of the training pictures: embeddings to be followed, asked for once.

The file holds one array a teacher (views, pictures, D) of unit embeddings in float16, the pictures' paths, and
the changes under which the views were made, so that it cannot be used with others by mistake. View by view,
what is done is kept: a run that was cut off goes on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import InputError
from ostiary.reports.embedders import EmbedsFaces
from ostiary.training.embedding.batches import view
from ostiary.training.embedding.portraits import Portraits
from ostiary.training.embedding.recipe import FaceRecipe

BATCH = 32


def ask_teacher(
    teacher: EmbedsFaces,
    recipe: FaceRecipe,
    portraits: Portraits,
    out: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Embeddings of every view of every portrait, or of the unchanged pictures where the recipe has no views.

    Args:
        teacher: whom to ask; it is given the views as they are.
        recipe: gives the number of views and the changes.
        portraits: the pictures, whoever they show.
        out: folder; the file is called after the teacher.
        progress: called with (done, total) pictures.

    """
    out.mkdir(parents=True, exist_ok=True)
    path = _file(out, teacher.name)
    names = [portrait.path for portrait in portraits.portraits]
    views = max(1, recipe.teaching.views if recipe.teaching else 0)
    done = list(_read(path, recipe, names)) if path.exists() else []
    for number in range(len(done), views):
        parts = []
        for start in range(0, len(names), BATCH):
            places = range(start, min(start + BATCH, len(names)))
            crops = np.stack([_shown(recipe, portraits.crop(i), number, names[i]) for i in places])
            parts.append(teacher.embed(crops, flip=False).astype(np.float16))
            if progress is not None:
                progress(number * len(names) + places.stop, views * len(names))
        done.append(np.concatenate(parts))
        _write(path, np.stack(done), recipe, names)
    return path


def read_targets(folder: Path, recipe: FaceRecipe, portraits: Portraits) -> NDArray[np.float16]:
    """The targets (views, N, D) of these portraits: the unit embeddings of the teachers, one after the other.

    Raises:
        InputError: a teacher's file is missing, or was made of other pictures or under other changes.

    """
    teaching = recipe.teaching
    if teaching is None or not teaching.teachers:
        return np.empty((max(1, teaching.views if teaching else 1), len(portraits), 0), np.float16)
    names = [portrait.path for portrait in portraits.portraits]
    parts = [_read(_file(folder, name), recipe, names) for name in teaching.teachers]
    views = max(1, teaching.views)
    if min(len(part) for part in parts) < views:
        raise InputError(
            f"{folder} holds fewer views than the recipe {recipe.name!r} has: ask the teachers again."
        )
    return np.concatenate([part[:views] for part in parts], axis=2)


def _shown(recipe: FaceRecipe, crop: NDArray[np.uint8], number: int, path: str) -> NDArray[np.uint8]:
    return view(recipe, crop, number, path) if recipe.teaching and recipe.teaching.views else crop


def _file(folder: Path, teacher: str) -> Path:
    return folder / f"{teacher}.npz"


def _changes(recipe: FaceRecipe) -> str:
    """What decides a view's pixels; nothing where the pictures are shown unchanged."""
    if not (recipe.teaching and recipe.teaching.views):
        return "unchanged"
    return json.dumps([recipe.augmentation.model_dump(), recipe.misalignment.model_dump()])


def _write(path: Path, embeddings: NDArray[np.float16], recipe: FaceRecipe, names: Sequence[str]) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        np.savez(file, embeddings=embeddings, paths=np.array(names), changes=np.array(_changes(recipe)))
    partial.replace(path)


def _read(path: Path, recipe: FaceRecipe, names: Sequence[str]) -> NDArray[np.float16]:
    """(views, N, D) in the order of ``names``."""
    try:
        with np.load(path) as file:
            embeddings, paths, changes = file["embeddings"], file["paths"], str(file["changes"])
    except (OSError, KeyError, ValueError):
        raise InputError(
            f"{path} is missing or not a teacher's file: make it with 'ostiary train face-teacher'."
        ) from None
    if changes != _changes(recipe):
        raise InputError(
            f"{path} was made under other changes of the pictures than the recipe {recipe.name!r} makes: "
            "ask the teachers again, into another folder."
        )
    places = {name: place for place, name in enumerate(paths.tolist())}
    missing = [name for name in names if name not in places]
    if missing:
        raise InputError(
            f"{path} has no embedding of {missing[0]} and {len(missing) - 1} other pictures: ask again."
        )
    return np.asarray(embeddings[:, [places[name] for name in names]], np.float16)
