"""The liveness task: what the one loop (``fit.py``) learns when a liveness recipe is handed to it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ostiary.adaptive.configuration import blocks, configure
from ostiary.data.index import Sample
from ostiary.faces.crops import loose_crop
from ostiary.metrics.curve import auc, equal_error
from ostiary.metrics.trials import Trials
from ostiary.networks.mobilenet_v2 import MobileNetV2
from ostiary.training.batches import LabelledWindows, Shard, batches, dataset_names
from ostiary.training.dial import StepWords
from ostiary.training.losses import contrast_classes, contrast_loss, domain_loss, spectrum, verdict_loss
from ostiary.training.mixing import Mixture
from ostiary.training.recipe import Recipe
from ostiary.training.soft_targets import Watcher
from ostiary.training.trainee import Seen, Trainee


class LivenessTask:
    """Binary liveness: column 0 of the logits is attack, column 1 bona fide."""

    def __init__(
        self,
        recipe: Recipe,
        network: MobileNetV2,
        train: LabelledWindows,
        development: LabelledWindows,
        *,
        seed: int,
        workers: int = 2,
        watcher: Watcher | None = None,
    ) -> None:
        self.recipe = recipe
        self.network: nn.Module = Trainee(
            network,
            recipe.objective,
            recipe.style_mix,
            recipe.frozen_stages,
            datasets=len(dataset_names(train.samples)),
        )
        self.steps_per_epoch = (recipe.epoch_pictures or len(train.samples)) // recipe.schedule.batch
        self._train = train
        self._development = development
        self._seed = seed
        self._workers = workers
        self._watcher = watcher
        self._words_of = StepWords(recipe.dial, recipe.words, network, seed)
        self._all_heavy = "H" * len(blocks(network))
        self._words = [self._all_heavy]
        self._reversal = 0.0
        self._development_crops: NDArray[np.uint8] | None = None

    @property
    def passes(self) -> int:
        """Losses of each shard: one for each configuration word of the step."""
        return len(self._words)

    def batches(self, first_step: int, steps: int, shards: range) -> Iterator[list[Shard]]:
        """Batches from ``first_step`` on, prepared ahead by worker processes."""
        return batches(
            self.recipe,
            self._train,
            seed=self._seed,
            steps_per_epoch=self.steps_per_epoch,
            steps=range(first_step, steps),
            shards=shards,
            workers=self._workers,
            watcher=self._watcher,
        )

    def begin_step(self, step: int) -> str:
        """Draw the step's configuration words; several are joined by ``+`` in the log."""
        self._words = self._words_of(step)
        done = step / (self.steps_per_epoch * self.recipe.schedule.epochs)
        self._reversal = 2 / (1 + math.exp(-10 * done)) - 1  # Ganin et al. 2016, as SSDG has it
        return "+".join(self._words)

    def losses(self, network: nn.Module, shard: Shard, device: torch.device) -> Iterator[Tensor]:
        """The loss of each word in turn; a pass is made when its loss is asked for, so that one graph lives."""
        shard = shard.to(device)
        inputs = shard.inputs
        mixture = None
        if self.recipe.mixup:
            mixture = Mixture.draw(self.recipe.mixup, len(inputs), device)
            inputs = mixture(inputs)
        heavy: Tensor | None = None
        for word in self._words:
            follows = self.recipe.dial.distil and word != self._all_heavy
            if follows and heavy is None:
                configure(self.network, self._all_heavy)
                with torch.no_grad():
                    heavy = _bona_fide(network(inputs, shard.labels, self._reversal))
            configure(self.network, word)
            seen: Seen = network(inputs, shard.labels, self._reversal)
            if word == self._all_heavy:
                heavy = _bona_fide(seen)
            yield self._loss(seen, inputs, shard, mixture, heavy if follows else None)

    def _loss(
        self, seen: Seen, inputs: Tensor, shard: Shard, mixture: Mixture | None, heavy: Tensor | None
    ) -> Tensor:
        """All that the recipe's objective asks for, of one pass over the inputs (N, 3, S, S)."""
        objective = self.recipe.objective
        loss = self._verdict(seen.logits, shard.labels, shard.soft, mixture, heavy)
        if seen.patches is not None:
            share = objective.patch_weight
            loss = (1 - share) * loss + share * self._patches(seen.patches, shard, mixture, heavy)
        if seen.projected is not None:
            classes = contrast_classes(shard.labels, shard.datasets, shard.species, objective.alignment)
            contrast = contrast_loss(seen.projected, classes, objective.temperature)
            loss = loss + objective.contrast_weight * contrast
        if seen.domains is not None:
            adverse = domain_loss(seen.domains, shard.labels, shard.datasets, objective.alignment)
            loss = loss + objective.domain_weight * adverse
        if seen.spectra is not None:
            wanted = spectrum(inputs, seen.spectra.shape[-1])
            loss = loss + objective.spectrum_weight * functional.mse_loss(seen.spectra, wanted)
        return loss

    def _verdict(
        self, logits: Tensor, labels: Tensor, soft: Tensor, mixture: Mixture | None, heavy: Tensor | None
    ) -> Tensor:
        """Cross entropy with smoothed labels, mixed with teachers and all-heavy where there are any."""
        recipe = self.recipe

        def loss(labels: Tensor, soft: Tensor) -> Tensor:
            if recipe.teacher_trust == "where_right":
                soft = torch.where((soft > 0.5) == (labels == 1), soft, torch.nan)
            followed = [(soft, recipe.teacher_weight)] if recipe.teacher_weight else []
            if heavy is not None:
                followed.append((heavy, recipe.dial.distil))
            return verdict_loss(
                logits, labels, followed, smoothing=recipe.label_smoothing, focal=recipe.objective.focal
            )

        if mixture is None:
            return loss(labels, soft)
        others = mixture.others
        return mixture.share * loss(labels, soft) + (1 - mixture.share) * loss(labels[others], soft[others])

    def _patches(self, patches: Tensor, shard: Shard, mixture: Mixture | None, heavy: Tensor | None) -> Tensor:
        """The verdict's loss at every place: each is to answer as the whole picture is."""
        losses = [self._verdict(place, shard.labels, shard.soft, mixture, heavy) for place in patches.unbind(1)]
        return torch.stack(losses).mean()

    def validate(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """Mean over the development data sets of AUC and EER, for the words at both ends of the dial.

        One frame a recording: frames of one recording are near-duplicates.
        """
        network = cast(Trainee, network).network
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


def _bona_fide(seen: Seen) -> Tensor:
    """Probability of bona fide (N,), to be followed and not to be moved."""
    return torch.softmax(seen.logits.detach(), 1)[:, 1]
