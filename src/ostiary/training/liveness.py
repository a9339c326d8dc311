"""The liveness task: what the one loop (``fit.py``) learns when a liveness recipe is handed to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, Sampler

from ostiary.adaptive.configuration import WordSampler, blocks, configure
from ostiary.data.index import Sample
from ostiary.faces.crops import loose_crop
from ostiary.metrics.curve import auc, equal_error
from ostiary.metrics.trials import Trials
from ostiary.training.recipe import Recipe
from ostiary.training.sampling import SAMPLING
from ostiary.training.windows import Windows


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of a batch: inputs (N, 3, S, S), labels (N,) with 1 = bona fide, soft targets (N,) or NaN."""

    inputs: Tensor
    labels: Tensor
    soft: Tensor


@dataclass(frozen=True, slots=True)
class LabelledWindows:
    """Windows beside their samples, and the teachers' probability of bona fide (NaN: none)."""

    windows: Windows
    samples: Sequence[Sample]
    soft: NDArray[np.float32]


class LivenessTask:
    """Binary liveness: column 0 of the logits is attack, column 1 bona fide."""

    def __init__(
        self,
        recipe: Recipe,
        network: nn.Module,
        train: LabelledWindows,
        development: LabelledWindows,
        *,
        seed: int,
        workers: int = 2,
    ) -> None:
        self.recipe = recipe
        self.network = network
        self.steps_per_epoch = (recipe.epoch_pictures or len(train.samples)) // recipe.schedule.batch
        self._train = train
        self._development = development
        self._seed = seed
        self._workers = workers
        self._words = WordSampler(recipe.words, seed) if blocks(network) else None
        self._development_crops: NDArray[np.uint8] | None = None

    def batches(self, first_step: int, steps: int, shards: range) -> Iterator[list[Shard]]:
        """Batches from ``first_step`` on, prepared ahead by worker processes."""
        order = _Order(
            self.recipe, self._train.samples, self._seed, self.steps_per_epoch, first_step, steps, shards
        )
        loader: DataLoader[Any] = DataLoader(
            _Crops(self.recipe, self._train, self._seed),
            batch_sampler=order,
            num_workers=self._workers,
            collate_fn=_Collate(self.recipe, len(shards)),
            prefetch_factor=4 if self._workers else None,
        )
        return iter(loader)

    def begin_step(self, step: int) -> str:
        """Draw the step's configuration word."""
        if self._words is None:
            return ""
        word = self._words.word(step)
        configure(self.network, word)
        return word

    def loss(self, network: nn.Module, shard: Shard, device: torch.device) -> Tensor:
        """Cross entropy with smoothed labels, mixed with the teachers' soft targets where there are any."""
        inputs = shard.inputs.to(device, non_blocking=True, memory_format=torch.channels_last)
        logits = network(inputs)
        smoothing = self.recipe.label_smoothing
        hard = functional.cross_entropy(
            logits, shard.labels.to(device), label_smoothing=smoothing, reduction="none"
        )
        if not self.recipe.teacher_weight:
            return hard.mean()
        soft = shard.soft.to(device)
        known = torch.isfinite(soft)
        odds = logits[:, 1] - logits[:, 0]
        taught = functional.binary_cross_entropy_with_logits(odds, soft.nan_to_num(0.5), reduction="none")
        share = self.recipe.teacher_weight * known
        return ((1 - share) * hard + share * taught).mean()

    def validate(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """Mean over the development data sets of AUC and EER, for the words at both ends of the dial.

        One frame a recording: frames of one recording are near-duplicates.
        """
        places = one_a_recording(self._development.samples)
        if self._development_crops is None:
            self._development_crops = np.stack(
                [loose_crop(*self._development.windows[i], self.recipe.preprocess) for i in places]
            )
        samples = [self._development.samples[i] for i in places]
        count = len(blocks(network))
        figures: dict[str, float] = {}
        for word in ("H" * count, "L" * count) if count else ("",):
            if word:
                configure(network, word)
            scores = predict(network, self._development_crops, self.recipe, device)
            areas, errors = by_dataset(samples, scores)
            name = f"_{word}" if word else ""
            figures[f"development_auc{name}"] = float(np.mean(areas))
            figures[f"development_eer{name}"] = float(np.mean(errors))
        quality = np.mean([value for name, value in figures.items() if "auc" in name])
        return {"development_quality": float(quality), **figures}


def predict(
    network: nn.Module, crops: NDArray[np.uint8], recipe: Recipe, device: torch.device, batch: int = 64
) -> NDArray[np.float32]:
    """Liveness in [0, 1] of crops (N, S, S, 3) by a network in eval mode."""
    scores = []
    with torch.inference_mode():
        for start in range(0, len(crops), batch):
            inputs = torch.from_numpy(recipe.preprocess.normalise(crops[start : start + batch]))
            logits = network(inputs.to(device, memory_format=torch.channels_last)).float()
            scores.append(torch.softmax(logits, 1)[:, 1].cpu().numpy())
    return np.concatenate(scores) if scores else np.empty(0, np.float32)


FEWEST = 10
"""Recordings of a class below which a data set's own AUC jumps by whole tenths."""


def one_a_recording(samples: Sequence[Sample]) -> list[int]:
    """Places of the first frame of each recording: its other frames are near-duplicates."""
    first: dict[tuple[str, str], int] = {}
    for place, sample in enumerate(samples):
        first.setdefault((sample.dataset, sample.capture or sample.path), place)
    return list(first.values())


def by_dataset(samples: Sequence[Sample], scores: NDArray[np.float32]) -> tuple[list[float], list[float]]:
    """AUC and EER of each data set with enough recordings of both classes for a mean over sets to be steady."""
    trials = Trials.from_columns(scores, [s.label == "bona_fide" for s in samples])
    names = np.array([s.dataset for s in samples])
    parts = [trials.select(names == name) for name in sorted(set(names))]
    complete = [part for part in parts if min(part.bona_fide.sum(), (~part.bona_fide).sum()) >= FEWEST]
    if not complete:
        complete = [trials]
    return [auc(part) for part in complete], [equal_error(part)[0] for part in complete]


class _Order(Sampler[list[tuple[int, int, int]]]):
    """(step, place in the batch, sample) for this process's shards of each step."""

    def __init__(
        self,
        recipe: Recipe,
        samples: Sequence[Sample],
        seed: int,
        per_epoch: int,
        first: int,
        steps: int,
        shards: range,
    ) -> None:
        self._draw = SAMPLING[recipe.sampling]
        self._samples, self._seed, self._per_epoch = samples, seed, per_epoch
        self._steps = range(first, steps)
        self._batch = recipe.schedule.batch
        size = self._batch // recipe.schedule.shards
        self._places = range(shards.start * size, shards.stop * size)

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[list[tuple[int, int, int]]]:
        drawn_for, chosen = -1, np.empty(0, np.int64)
        for step in self._steps:
            epoch, within = divmod(step, self._per_epoch)
            if epoch != drawn_for:
                count = self._per_epoch * self._batch
                drawn_for, chosen = epoch, self._draw(self._samples, count, self._seed, epoch)
            start = within * self._batch
            yield [(step, place, int(chosen[start + place])) for place in self._places]


class _Crops(Dataset[tuple[NDArray[np.uint8], int, float]]):
    """Augmented crops, each drawn from (seed, step, place) alone."""

    def __init__(self, recipe: Recipe, data: LabelledWindows, seed: int) -> None:
        self._recipe, self._data, self._seed = recipe, data, seed

    def __getitem__(self, key: tuple[int, int, int]) -> tuple[NDArray[np.uint8], int, float]:
        step, place, sample = key
        rng = np.random.default_rng([self._seed, step, place])
        window, box = self._data.windows[sample]
        crop = self._recipe.augmentation.crop(window, box, self._recipe.preprocess, rng)
        bona_fide = self._data.samples[sample].label == "bona_fide"
        return crop, int(bona_fide), float(self._data.soft[sample])


@dataclass(frozen=True, slots=True)
class _Collate:
    recipe: Recipe
    shards: int

    def __call__(self, items: list[tuple[NDArray[np.uint8], int, float]]) -> list[Shard]:
        size = len(items) // self.shards
        return [self._shard(items[start : start + size]) for start in range(0, len(items), size)]

    def _shard(self, items: list[tuple[NDArray[np.uint8], int, float]]) -> Shard:
        crops, labels, soft = zip(*items, strict=True)
        inputs = torch.from_numpy(self.recipe.preprocess.normalise(np.stack(crops)))
        return Shard(inputs, torch.tensor(labels), torch.tensor(soft, dtype=torch.float32))
