"""The face task: what the one loop (``fit.py``) learns when a face recipe is handed to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ostiary.adaptive.configuration import WordSampler, blocks, configure
from ostiary.networks.face_network import SIDE, FaceNetwork
from ostiary.training.embedding.batches import Faces, FaceShard, face_batches
from ostiary.training.embedding.device_batches import device_batches
from ostiary.training.embedding.live_teachers import LiveTeachers
from ostiary.training.embedding.margins import MarginHead
from ostiary.training.embedding.portraits import Portraits
from ostiary.training.embedding.recipe import FaceRecipe, Teaching
from ostiary.training.embedding.sharded import Part, ShardedMarginHead
from ostiary.training.embedding.watcher import MAPS, WATCHED, FaceWatcher, Hints


class Seen(NamedTuple):
    """What one pass over N faces gives: what is compared with the teachers (N, D), and two losses."""

    followed: Tensor
    margin: Tensor | None
    hints: Tensor | None


_ALL = Part(0, 1)
_CPU = torch.device("cpu")


class FaceTrainee(nn.Module):
    """The network and what training alone needs: the people's vectors, and bridges to the teachers' spaces.

    There is no bridge where the embedding is as long as the teachers' together: then it becomes theirs.
    """

    def __init__(
        self, network: FaceNetwork, recipe: FaceRecipe, people: int, taught: int, part: Part = _ALL
    ) -> None:
        super().__init__()
        self.network = network
        dimension = network.linear.out_features
        self.people: MarginHead | ShardedMarginHead | None = None
        self.local_names: frozenset[str] = frozenset()
        if recipe.margin and people:
            if recipe.margin.sharded and part.of > 1:
                self.people = ShardedMarginHead(people, dimension, recipe.margin, part)
                self.local_names = frozenset({"people.weight"})
                # What DistributedDataParallel looks for: it would else make all processes' parts the first one's.
                self._ddp_params_and_buffers_to_ignore = list(self.local_names)
            else:
                self.people = MarginHead(people, dimension, recipe.margin)
        self.bridge = nn.Linear(dimension, taught) if taught not in (0, dimension) else None
        ends = group_ends(network)
        hinted = recipe.teaching is not None and recipe.teaching.hints > 0
        self.hints = Hints([network.layout.rows[end].channels for end in ends], MAPS) if hinted else None
        self._ends = ends

    @property
    def heads(self) -> list[nn.Parameter]:
        """The last linear layer and the people's vectors, which the paper decays ten times as much."""
        last: Any = self.network.linear
        return [last.weight, *([] if self.people is None else [self.people.weight])]

    def forward(self, inputs: Tensor, people: Tensor, targets: Sequence[Tensor] = ()) -> Seen:
        """Crops (N, 3, S, S), people (N,) and the watcher's maps -> what the losses need."""
        maps = self.network.maps(inputs)
        embeddings = self.network.head(maps[-1])
        followed = embeddings if self.bridge is None else functional.normalize(self.bridge(embeddings))
        margin = None if self.people is None else self.people(embeddings, people)
        hints = None if self.hints is None else self.hints([maps[end] for end in self._ends], targets)
        return Seen(followed, margin, hints)


class FaceTask:
    """Embeddings whose cosine says whether two pictures show one person."""

    def __init__(
        self,
        recipe: FaceRecipe,
        network: FaceNetwork,
        faces: Faces,
        development: Portraits,
        *,
        seed: int,
        workers: int = 2,
        part: Part = _ALL,
        watcher: FaceWatcher | None = None,
        live: LiveTeachers | None = None,
        device: torch.device = _CPU,
    ) -> None:
        self.recipe = recipe
        people = int(faces.people.max(initial=-1)) + 1
        taught = faces.targets.shape[-1] + (WATCHED if watcher is not None and watcher.followed else 0)
        taught = live.length if live is not None else taught
        self.network: nn.Module = FaceTrainee(network, recipe, people, taught, part)
        self._watcher, self._live, self._device = watcher, live, device
        self.steps_per_epoch = (recipe.epoch_pictures or len(faces.people)) // recipe.schedule.batch
        self.passes = 1
        self._sampler = WordSampler(recipe.words, seed) if blocks(network) else None
        self._faces, self._development = faces, development
        self._seed, self._workers = seed, workers

    def batches(self, first_step: int, steps: int, shards: range) -> Iterator[list[FaceShard]]:
        """Batches from ``first_step`` on, prepared ahead by worker processes or made on the device."""
        wanted = range(first_step, steps)
        if self.recipe.prepared == "device":
            return device_batches(
                self.recipe,
                self._faces,
                self._live,
                seed=self._seed,
                steps=wanted,
                shards=shards,
                device=self._device,
            )
        return face_batches(
            self.recipe,
            self._faces,
            seed=self._seed,
            steps=wanted,
            shards=shards,
            workers=self._workers,
            watcher=self._watcher,
        )

    def begin_step(self, step: int) -> str:
        """Draw the step's configuration word; empty for a network without adaptive blocks."""
        if self._sampler is None:
            return ""
        word = self._sampler.word(step)
        configure(self.network, word)
        return word

    def losses(self, network: nn.Module, shard: FaceShard, device: torch.device) -> Iterator[Tensor]:
        """The margin's loss and the distance to the teachers, each by its weight."""
        shard = shard.to(device)
        seen: Seen = network(shard.inputs, shard.people, shard.maps)
        parts = []
        if seen.margin is not None and self.recipe.margin is not None:
            parts.append(self.recipe.margin.weight * seen.margin)
        if self.recipe.teaching is not None:
            parts.append(teaching_loss(seen.followed, shard.targets, self.recipe.teaching))
            if seen.hints is not None:
                parts.append(self.recipe.teaching.hints * seen.hints)
        yield torch.stack(parts).sum()

    def validate(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """FNMR over the comparisons of every two pictures of the people held out, at both ends of a dial."""
        network = cast(FaceTrainee, network).network
        people = ["/".join(portrait.person or ()) for portrait in self._development.portraits]
        count = len(blocks(network))
        figures: dict[str, float] = {}
        for word in ("H" * count, "L" * count) if count else ("",):
            if word:
                configure(network, word)
            found = every_two(embed(network, self._development, self.recipe, device), people)
            figures |= {f"{name}_{word}" if word else name: value for name, value in found.items()}
        judged = [value for name, value in figures.items() if "1e-2" not in name]
        return {"development_quality": 1 - float(np.mean(judged)), **figures}


def group_ends(network: FaceNetwork) -> list[int]:
    """The last group of blocks at 28, at 14 and at 7 pixels."""
    side, ends = SIDE // 2, {}
    for number, row in enumerate(network.layout.rows):
        side //= row.stride
        ends[side] = number
    return list(ends.values())


def teaching_loss(embeddings: Tensor, targets: Tensor, teaching: Teaching) -> Tensor:
    """Squared distance of unit embeddings (N, D) to targets (N, D), and that of their cosines in the batch."""
    targets = functional.normalize(targets)
    loss = teaching.weight * (embeddings - targets).square().sum(1).mean()
    if teaching.relations:
        difference = embeddings @ embeddings.T - targets @ targets.T
        loss = loss + teaching.relations * difference.square().mean()
    return loss


def embed(
    network: nn.Module, portraits: Portraits, recipe: FaceRecipe, device: torch.device, batch: int = 64
) -> NDArray[np.float32]:
    """Embeddings (N, D) of N unchanged portraits by a network in eval mode."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(portraits), batch):
            crops = portraits.crops(range(start, min(start + batch, len(portraits))))
            inputs = torch.from_numpy(recipe.preprocess.normalise(crops))
            inputs = inputs.to(device, memory_format=torch.channels_last)
            parts.append(network(inputs).float().cpu().numpy())
    return np.concatenate(parts)


def every_two(embeddings: NDArray[np.float32], people: Sequence[str]) -> dict[str, float]:
    """FNMR at FMRs of at most 1e-3 and 1e-2 over the comparisons of every two of N pictures."""
    names = np.array(people)
    first, second = np.triu_indices(len(names), 1)
    cosines = (embeddings @ embeddings.T)[first, second]
    same = names[first] == names[second]
    others = np.sort(cosines[~same])

    def fnmr(fmr: float) -> float:
        highest_refused = others[len(others) - 1 - int(fmr * len(others))]
        return float((cosines[same] <= highest_refused).mean())

    return {"development_fnmr": fnmr(1e-3), "development_fnmr_1e-2": fnmr(1e-2)}
