"""From people to batches: who is enrolled, with which crops they are probed, and what each comparison counts.

As in the other trainings all is drawn from (seed, step, shard) alone. Within a shard everybody enrolled is
compared with every probe, so that P people with Q probes each give P * Q mated comparisons and P * (P - 1) * Q
others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, Sampler

from ostiary.training.embedding.batches import changed
from ostiary.training.embedding.portraits import Portraits
from ostiary.training.embedding.resident_crops import ResidentCrops, normalised
from ostiary.training.embedding.tensor_changes import Draws, changed_batch
from ostiary.training.personal.recipe import PersonalRecipe
from ostiary.training.personal.sampling import Drawn, PeopleSampler


@dataclass(frozen=True, slots=True, repr=False)
class PersonalShard:
    """A part of a batch: P people, N crops, and P x N comparisons.

    ``enrolled`` (P, D) and ``probes`` (N, D) are the backbone's embeddings, ``inputs`` (N, 3, S, S) the crops.
    ``same`` (P, N) is 1 where a crop shows that person; ``weights`` (P, N), of mean 1, balance the classes;
    ``kept`` (P, N) is 0 where a guard does not believe ``same``. ``distil`` and ``penalty`` (1,) are the phase's.
    """

    enrolled: Tensor
    probes: Tensor
    inputs: Tensor
    same: Tensor
    weights: Tensor
    kept: Tensor
    distil: Tensor
    penalty: Tensor

    def to(self, device: torch.device) -> PersonalShard:
        """The same on ``device``, the inputs channels last, which is faster."""
        parts = {name: getattr(self, name).to(device, non_blocking=True) for name in self.__slots__}
        parts["inputs"] = parts["inputs"].contiguous(memory_format=torch.channels_last)
        return PersonalShard(**parts)


@dataclass(frozen=True, slots=True, repr=False)
class Enrollable:
    """What a run learns from: crops, the number of each person (N,) or -1, the backbone's embeddings (N, D)."""

    portraits: Portraits
    people: NDArray[np.int64]
    embeddings: NDArray[np.float32]


class ShardDraw(NamedTuple):
    """The pictures of one shard, and where in the run it stands."""

    step: int
    shard: int
    drawn: Drawn


def personal_batches(
    recipe: PersonalRecipe,
    learnt: Enrollable,
    *,
    seed: int,
    steps: range,
    shards: range,
    workers: int,
    device: torch.device,
) -> Iterator[list[PersonalShard]]:
    """For each of ``steps``: these shards of its batch, prepared ahead by worker processes or on ``device``.

    Raises:
        DataIndexError: see :class:`PeopleSampler`.

    """
    order = _Order(recipe, learnt, seed, steps, shards)
    if recipe.prepared == "device":
        return _on_device(recipe, learnt, seed, order, device)
    loader: DataLoader[Any] = DataLoader(
        _Shards(recipe, learnt, seed),
        batch_sampler=order,
        num_workers=workers,
        collate_fn=list,
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)


def _on_device(
    recipe: PersonalRecipe, learnt: Enrollable, seed: int, order: _Order, device: torch.device
) -> Iterator[list[PersonalShard]]:
    crops, shards = ResidentCrops(learnt.portraits, device), _Shards(recipe, learnt, seed)
    size = recipe.shape.size

    def shard(draw: ShardDraw) -> PersonalShard:
        rng = Draws([seed, draw.step, draw.shard], device)
        seen = changed_batch(crops.of(draw.drawn.probes.tolist()), recipe.augmentation, recipe.misalignment, rng)
        if size != seen.shape[-1]:
            seen = functional.interpolate(seen, size, mode="bilinear", antialias=True)
        return shards.compared(draw, normalised(seen, recipe.shape.preprocess))

    for draws in order:
        yield [shard(draw) for draw in draws]


def class_weights(same: NDArray[np.float32], positive: float) -> NDArray[np.float32]:
    """Weights of mean 1 for comparisons ``same`` (P, N); all mated ones weigh ``positive`` times all others.

    Where a class is missing, every comparison weighs 1.
    """
    mated = float(same.sum())
    others = same.size - mated
    if not mated or not others:
        return np.ones_like(same)
    weights = np.where(same > 0, positive * others / mated, 1)
    return np.asarray(weights / weights.mean(), np.float32)


def sized(crops: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Crops (N, S, S, 3) with another side, as the stored ones become those of a smaller verifier."""
    if crops.shape[1] == size:
        return crops
    smaller = [Image.fromarray(crop).resize((size, size), Image.Resampling.BILINEAR) for crop in crops]
    return np.stack([np.asarray(crop) for crop in smaller])


class _Order(Sampler[list[ShardDraw]]):
    """Batch for batch. A static network needs no comparisons: it gets all pictures in turn."""

    def __init__(self, recipe: PersonalRecipe, learnt: Enrollable, seed: int, steps: range, shards: range) -> None:
        self._recipe, self._seed, self._steps, self._shards = recipe, seed, steps, shards
        self._pictures = len(learnt.people)
        self._people = None
        if recipe.form != "static":
            self._people = PeopleSampler(learnt.people, learnt.embeddings, recipe, seed)

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[list[ShardDraw]]:
        for step in self._steps:
            yield [ShardDraw(step, shard, self._drawn(step, shard)) for shard in self._shards]

    def _drawn(self, step: int, shard: int) -> Drawn:
        if self._people is not None:
            return self._people.draw(step, shard, self._recipe.phase(step))
        size = self._recipe.schedule.batch // self._recipe.schedule.shards
        start = step * self._recipe.schedule.batch + shard * size
        return Drawn(np.empty(0, np.int64), np.array([self._turn(start + place) for place in range(size)]))

    def _turn(self, position: int) -> int:
        """The picture at a position of the endless sequence of shuffled rounds through all pictures."""
        turn, within = divmod(position, self._pictures)
        if turn != getattr(self, "_current", None):
            self._current = turn
            self._shuffled = np.random.default_rng([self._seed, turn]).permutation(self._pictures)
        return int(self._shuffled[within])


class _Shards(Dataset[PersonalShard]):
    """A whole shard an item: its comparisons belong together."""

    def __init__(self, recipe: PersonalRecipe, learnt: Enrollable, seed: int) -> None:
        self._recipe, self._learnt, self._seed = recipe, learnt, seed
        self._faces = recipe.faces()

    def __getitem__(self, draw: ShardDraw) -> PersonalShard:
        crops = [
            changed(
                self._faces,
                self._learnt.portraits.crop(picture),
                np.random.default_rng([self._seed, draw.step, draw.shard, place]),
            )
            for place, picture in enumerate(draw.drawn.probes.tolist())
        ]
        shape = self._recipe.shape
        inputs = shape.preprocess.normalise(sized(np.stack(crops), shape.size))
        return self.compared(draw, torch.from_numpy(inputs))

    def compared(self, draw: ShardDraw, inputs: Tensor) -> PersonalShard:
        """The shard of a draw, whose probes are ``inputs`` (N, 3, S, S)."""
        learnt, recipe = self._learnt, self._recipe
        enrolled, probes, alone = draw.drawn
        phase = recipe.phase(draw.step)
        own = enrolled[:, None] == probes
        person = (learnt.people[enrolled][:, None] == learnt.people[probes]) & (learnt.people[probes] >= 0)
        same = (own if alone else person).astype(np.float32)
        cosines = learnt.embeddings[enrolled] @ learnt.embeddings[probes].T
        believed = self._itself(cosines, own, person) if alone else self._believed(cosines, same > 0)
        return PersonalShard(
            enrolled=torch.from_numpy(learnt.embeddings[enrolled]),
            probes=torch.from_numpy(learnt.embeddings[probes]),
            inputs=inputs,
            same=torch.from_numpy(same),
            weights=torch.from_numpy(class_weights(same, phase.positive)),
            kept=torch.from_numpy(believed),
            distil=torch.tensor([phase.distil]),
            penalty=torch.tensor([phase.penalty]),
        )

    def _itself(
        self, cosines: NDArray[np.float32], own: NDArray[np.bool_], person: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """A picture is known to be of its own person, and of nobody else who is not much like that person."""
        return (own | (~person & (cosines < self._recipe.sampling.duplicates))).astype(np.float32)

    def _believed(self, cosines: NDArray[np.float32], same: NDArray[np.bool_]) -> NDArray[np.float32]:
        guards = self._recipe.sampling
        mated = (cosines >= guards.mislabels) & (cosines < guards.copies)
        return np.where(same, mated, cosines < guards.duplicates).astype(np.float32)
