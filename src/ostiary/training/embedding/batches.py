"""From portraits to batches: which faces, changed how, with which targets.

As for liveness, all is drawn from (seed, step, place in the batch) alone. Where teachers have seen fixed views
of each picture, the change of a view is drawn from (view, picture) instead: so the network sees exactly what
they saw.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from ostiary.training.embedding.portraits import Portraits
from ostiary.training.embedding.recipe import FaceRecipe
from ostiary.training.embedding.watcher import FaceWatcher

VIEW_SEED = 0x76696577
"""Apart from every seed of a run, so that a view's changes are no run's."""


@dataclass(frozen=True, slots=True)
class FaceShard:
    """A part of a batch: inputs (N, 3, S, S), people (N,) or -1, teachers' targets (N, D) or (N, 0).

    ``maps`` are the watcher's, (N, C, side, side) each.
    """

    inputs: Tensor
    people: Tensor
    targets: Tensor
    maps: tuple[Tensor, ...] = ()

    def to(self, device: torch.device) -> FaceShard:
        """The same on ``device``, pictures and maps channels last, which is faster."""

        def picture(tensor: Tensor) -> Tensor:
            return tensor.to(device, non_blocking=True, memory_format=torch.channels_last)

        people, targets = (tensor.to(device, non_blocking=True) for tensor in (self.people, self.targets))
        return FaceShard(picture(self.inputs), people, targets, tuple(map(picture, self.maps)))


@dataclass(frozen=True, slots=True)
class Faces:
    """What a run learns from: crops, the number of each person (N,) or -1, targets (views, N, D).

    There is one view, of the unchanged pictures, where teachers saw no other; D is 0 without teachers.
    """

    portraits: Portraits
    people: NDArray[np.int64]
    targets: NDArray[np.float16]


class FaceDraw(NamedTuple):
    """One place of a batch: the picture that fills it, and the view of it that teachers saw."""

    step: int
    place: int
    picture: int
    view: int


def face_batches(
    recipe: FaceRecipe,
    faces: Faces,
    *,
    seed: int,
    steps: range,
    shards: range,
    workers: int,
    watcher: FaceWatcher | None = None,
) -> Iterator[list[FaceShard]]:
    """For each of ``steps``: these shards of its batch, prepared ahead by worker processes.

    A ``watcher``'s embeddings join the targets of those that were asked beforehand.
    """
    loader: DataLoader[Any] = DataLoader(
        _Pictures(recipe, faces, seed),
        batch_sampler=PictureOrder(recipe, len(faces.people), seed, steps, shards),
        num_workers=workers,
        collate_fn=_Collate(recipe, len(shards), watcher),
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)


def changed(recipe: FaceRecipe, crop: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A crop (S, S, 3) as another camera, moment or detector would have given it."""
    return recipe.augmentation.change(recipe.misalignment(crop, rng), rng)


def view(recipe: FaceRecipe, crop: NDArray[np.uint8], number: int, path: str) -> NDArray[np.uint8]:
    """View ``number`` of the picture called ``path``: the same for teachers and network, in whatever run."""
    return changed(recipe, crop, np.random.default_rng([VIEW_SEED, number, *path.encode()]))


class PictureOrder(Sampler[list[FaceDraw]]):
    """Every picture once an epoch, in another order each time; the views of a picture in turn."""

    def __init__(self, recipe: FaceRecipe, pictures: int, seed: int, steps: range, shards: range) -> None:
        self._pictures, self._seed, self._steps = pictures, seed, steps
        self._views = recipe.teaching.views if recipe.teaching else 0
        self._batch = recipe.schedule.batch
        size = self._batch // recipe.schedule.shards
        self._places = range(shards.start * size, shards.stop * size)

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[list[FaceDraw]]:
        for step in self._steps:
            drawn = [self._picture(step * self._batch + place) for place in self._places]
            yield [FaceDraw(step, place, *one) for place, one in zip(self._places, drawn, strict=True)]

    def _picture(self, position: int) -> tuple[int, int]:
        """Picture and view at a position of the endless sequence of shuffled rounds through all pictures."""
        turn, within = divmod(position, self._pictures)
        if turn != getattr(self, "_turn", None):
            self._turn = turn
            self._shuffled = np.random.default_rng([self._seed, turn]).permutation(self._pictures)
        picture = int(self._shuffled[within])
        return picture, (turn + picture) % self._views if self._views else 0


class _Item(NamedTuple):
    crop: NDArray[np.uint8]
    person: int
    target: NDArray[np.float16]


class _Pictures(Dataset[_Item]):
    """Changed crops with what is to be learnt of them."""

    def __init__(self, recipe: FaceRecipe, faces: Faces, seed: int) -> None:
        self._recipe, self._faces, self._seed = recipe, faces, seed

    def __getitem__(self, draw: FaceDraw) -> _Item:
        faces, recipe = self._faces, self._recipe
        crop = faces.portraits.crop(draw.picture)
        if recipe.teaching and recipe.teaching.views:
            crop = view(recipe, crop, draw.view, faces.portraits.portraits[draw.picture].path)
        else:
            crop = changed(recipe, crop, np.random.default_rng([self._seed, draw.step, draw.place]))
        return _Item(crop, int(faces.people[draw.picture]), faces.targets[draw.view, draw.picture])


@dataclass(frozen=True, slots=True)
class _Collate:
    recipe: FaceRecipe
    shards: int
    watcher: FaceWatcher | None

    def __call__(self, items: list[_Item]) -> list[FaceShard]:
        size = len(items) // self.shards
        return [self._shard(items[start : start + size]) for start in range(0, len(items), size)]

    def _shard(self, items: list[_Item]) -> FaceShard:
        crops, people, targets = zip(*items, strict=True)
        pixels = np.stack(crops)
        followed = np.stack(targets).astype(np.float32)
        maps: list[NDArray[np.float32]] = []
        if self.watcher is not None:
            seen, maps = self.watcher(pixels)
            if self.watcher.followed:
                followed = np.concatenate([followed, seen], axis=1)
        return FaceShard(
            torch.from_numpy(self.recipe.preprocess.normalise(pixels)),
            torch.tensor(people),
            torch.from_numpy(followed),
            tuple(map(torch.from_numpy, maps)),
        )
