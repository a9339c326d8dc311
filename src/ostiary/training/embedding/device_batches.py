"""Batches made where the network is trained: crops lie there, are changed there, and teachers see them there.

The same pictures in the same order as by worker processes (``batches.py``); all else that is drawn depends on
(seed, step) alone, so that a run that goes on does so on its curve.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ostiary.training.embedding.batches import FaceDraw, Faces, FaceShard, PictureOrder
from ostiary.training.embedding.live_teachers import LiveTeachers
from ostiary.training.embedding.margins import UNKNOWN
from ostiary.training.embedding.recipe import FaceRecipe
from ostiary.training.embedding.resident_crops import ResidentCrops, normalised
from ostiary.training.embedding.tensor_changes import Draws, changed_batch


def device_batches(
    recipe: FaceRecipe,
    faces: Faces,
    teachers: LiveTeachers | None,
    *,
    seed: int,
    steps: range,
    shards: range,
    device: torch.device,
) -> Iterator[list[FaceShard]]:
    """For each of ``steps``: these shards of its batch, on ``device``."""
    crops = ResidentCrops(faces.portraits, device)
    people = torch.from_numpy(faces.people).to(device)

    def shard(draws: Sequence[FaceDraw], number: int) -> FaceShard:
        numbers = [draw.picture for draw in draws]
        rng = Draws([seed, draws[0].step, number], device)
        seen = changed_batch(crops.of(numbers), recipe.augmentation, recipe.misalignment, rng)
        owners = people[torch.tensor(numbers, device=device)]
        if recipe.mixed:
            seen, owners = _mixed(seen, owners, recipe.mixed, rng)
        targets, maps = teachers(seen) if teachers is not None else (seen.new_empty(len(seen), 0), ())
        return FaceShard(normalised(seen, recipe.preprocess), owners, targets, maps)

    size = recipe.schedule.batch // recipe.schedule.shards
    for draws in PictureOrder(recipe, len(faces.people), seed, steps, shards):
        yield [shard(draws[place * size : (place + 1) * size], number) for place, number in enumerate(shards)]


def _mixed(seen: Tensor, people: Tensor, share: float, rng: Draws) -> tuple[Tensor, Tensor]:
    """Some pictures (N, 3, S, S) as double exposures with their neighbours, and whose (N,) each is then."""
    mixes = rng.chance(share, len(seen))
    other = rng.uniform(0, 1, len(seen), 1, 1, 1) * mixes
    return seen + (seen.roll(1, 0) - seen) * other, torch.where(mixes.flatten(), UNKNOWN, people)
