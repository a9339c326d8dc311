"""From samples to batches: which pictures, changed how, with which targets.

Everything is drawn from (seed, step, place in the batch) alone, so that neither worker processes, nor the
number of training processes, nor an interruption changes a picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from ostiary.data.index import Sample
from ostiary.training.clues import SPECIES as SIMULATED
from ostiary.training.recipe import Recipe
from ostiary.training.sampling import SAMPLING
from ostiary.training.soft_targets import Watcher
from ostiary.training.windows import Windows


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of a batch: inputs (N, 3, S, S), and (N,) of each of the rest.

    ``labels`` are 1 for bona fide, ``soft`` the teachers' probability of bona fide or NaN. ``datasets`` are
    places in the sorted names of the training data sets, ``species`` in those of its species (bona fide and
    the simulated ones among them).
    """

    inputs: Tensor
    labels: Tensor
    soft: Tensor
    datasets: Tensor
    species: Tensor

    def to(self, device: torch.device) -> Shard:
        """The same on ``device``, the inputs channels last, which is faster."""
        inputs = self.inputs.to(device, non_blocking=True, memory_format=torch.channels_last)
        rest = (self.labels, self.soft, self.datasets, self.species)
        return Shard(inputs, *(values.to(device, non_blocking=True) for values in rest))


@dataclass(frozen=True, slots=True)
class LabelledWindows:
    """Windows beside their samples, and the teachers' probability of bona fide (NaN: none)."""

    windows: Windows
    samples: Sequence[Sample]
    soft: NDArray[np.float32]


class Draw(NamedTuple):
    """One place of a batch: the sample that fills it, and whether an attack is to be painted onto it."""

    step: int
    place: int
    sample: int
    painted: bool


def batches(
    recipe: Recipe,
    data: LabelledWindows,
    *,
    seed: int,
    steps_per_epoch: int,
    steps: range,
    shards: range,
    workers: int,
    watcher: Watcher | None = None,
) -> Iterator[list[Shard]]:
    """For each of ``steps``: these shards of its batch, prepared ahead by worker processes.

    A ``watcher`` gives the soft targets, of every picture, in place of those that ``data`` has.
    """
    loader: DataLoader[Any] = DataLoader(
        _Pictures(recipe, data, seed),
        batch_sampler=_Order(recipe, data.samples, seed, steps_per_epoch, steps, shards),
        num_workers=workers,
        collate_fn=_Collate(recipe, len(shards), watcher),
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)


def draws(
    recipe: Recipe, samples: Sequence[Sample], count: int, seed: int, epoch: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Which sample fills each place of an epoch (count,), and where an attack is painted onto it (count,).

    A painted picture takes the place of an attack that was drawn, never that of a bona fide one: so the
    two classes stay as even as the sampling made them. The face is drawn from the bona fide samples by
    the same sampling.
    """
    draw = SAMPLING[recipe.sampling]
    chosen = draw(samples, count, seed, epoch)
    if not recipe.simulated:
        return chosen, np.zeros(count, bool)
    bona_fide = np.array([sample.label == "bona_fide" for sample in samples])
    faces = np.flatnonzero(bona_fide)
    taken = faces[draw([samples[int(i)] for i in faces], count, seed, epoch)]
    rng = np.random.default_rng([seed, epoch, 1])  # of its own: the sampling's generator has two numbers
    painted = ~bona_fide[chosen] & (rng.random(count) < recipe.simulated)
    return np.where(painted, taken, chosen), painted


def dataset_names(samples: Sequence[Sample]) -> list[str]:
    """The data sets, sorted: what ``Shard.datasets`` counts through."""
    return sorted({sample.dataset for sample in samples})


class _Order(Sampler[list[Draw]]):
    """The draws of this process's shards, step by step."""

    def __init__(
        self,
        recipe: Recipe,
        samples: Sequence[Sample],
        seed: int,
        per_epoch: int,
        steps: range,
        shards: range,
    ) -> None:
        self._recipe, self._samples, self._seed = recipe, samples, seed
        self._per_epoch, self._steps = per_epoch, steps
        self._batch = recipe.schedule.batch
        size = self._batch // recipe.schedule.shards
        self._places = range(shards.start * size, shards.stop * size)

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[list[Draw]]:
        drawn_for = -1
        for step in self._steps:
            epoch, within = divmod(step, self._per_epoch)
            if epoch != drawn_for:
                count = self._per_epoch * self._batch
                drawn_for = epoch
                chosen, painted = draws(self._recipe, self._samples, count, self._seed, epoch)
            start = within * self._batch
            yield [Draw(step, p, int(chosen[start + p]), bool(painted[start + p])) for p in self._places]


class _Item(NamedTuple):
    """One picture with the numbers that a shard holds of it."""

    crop: NDArray[np.uint8]
    label: int
    soft: float
    dataset: int
    species: int


class _Pictures(Dataset[_Item]):
    """Augmented crops, painted on where the draw says so."""

    def __init__(self, recipe: Recipe, data: LabelledWindows, seed: int) -> None:
        self._recipe, self._data, self._seed = recipe, data, seed
        species = sorted({sample.species for sample in data.samples} | {"", *SIMULATED})
        self._species = {name: number for number, name in enumerate(species)}
        self._datasets = {name: number for number, name in enumerate(dataset_names(data.samples))}

    def __getitem__(self, draw: Draw) -> _Item:
        rng = np.random.default_rng([self._seed, draw.step, draw.place])
        sample = self._data.samples[draw.sample]
        window, box = self._data.windows[draw.sample]
        species, soft = sample.species, float(self._data.soft[draw.sample])
        bona_fide = sample.label == "bona_fide"
        if draw.painted:
            clues = self._recipe.clues
            kind = clues.draw(rng)
            window = clues.paint_as(kind, window, box, rng)
            bona_fide, species, soft = False, kind, np.nan  # the teachers saw the face, not what it became
        crop = self._recipe.augmentation.crop(window, box, self._recipe.preprocess, rng)
        return _Item(crop, int(bona_fide), soft, self._datasets[sample.dataset], self._species[species])


@dataclass(frozen=True, slots=True)
class _Collate:
    recipe: Recipe
    shards: int
    watcher: Watcher | None

    def __call__(self, items: list[_Item]) -> list[Shard]:
        size = len(items) // self.shards
        return [self._shard(items[start : start + size]) for start in range(0, len(items), size)]

    def _shard(self, items: list[_Item]) -> Shard:
        crops, labels, soft, datasets, species = zip(*items, strict=True)
        pixels = np.stack(crops)
        targets = np.array(soft, np.float32) if self.watcher is None else self.watcher(pixels, datasets)
        return Shard(
            torch.from_numpy(self.recipe.preprocess.normalise(pixels)),
            torch.tensor(labels),
            torch.from_numpy(targets),
            torch.tensor(datasets),
            torch.tensor(species),
        )
