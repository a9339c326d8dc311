"""The personal task: what the one loop (``fit.py``) learns when a personal recipe is handed to it."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ostiary.errors import ConfigurationError
from ostiary.networks.hypernetwork import Hypernetwork
from ostiary.networks.static_verifier import StaticVerifier
from ostiary.networks.verifier import verifier
from ostiary.runtime.verifier_layers import Architecture
from ostiary.training.personal.batches import Enrollable, PersonalShard, class_weights, personal_batches, sized
from ostiary.training.personal.recipe import Distillation, PersonalRecipe
from ostiary.training.personal.sampling import pictures_of
from ostiary.training.personal.watches import equal_error, watches

BATCH = 64
CENTRE = 0.28
"""A cosine about which face networks are undecided."""
_CPU = torch.device("cpu")


class Judged(NamedTuple):
    """What one pass over P people and N crops gives: logits (P, N), and the norm penalty."""

    logits: Tensor
    penalty: Tensor


class Generator(nn.Module):
    """A hypernetwork together with the verifiers that it makes."""

    def __init__(self, network: Hypernetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, enrolled: Tensor, inputs: Tensor) -> Judged:
        """Embeddings (P, D) and crops (N, 3, S, S)."""
        generated = self.network(enrolled)
        return Judged(verifier(inputs, generated.layers, self.network.architecture), generated.penalty)


class Rival(nn.Module):
    """A static network: a person is no more than an embedding, with which its own numbers are compared."""

    def __init__(self, network: StaticVerifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, enrolled: Tensor, inputs: Tensor) -> Judged:
        """As :class:`Generator`; with the identity as ``enrolled``, the logits are the numbers themselves."""
        followed = self.network(inputs)
        return Judged(enrolled @ followed.T, followed.new_zeros(()))


class PersonalTask:
    """Verifiers that know their own person, made of one embedding."""

    passes = 1

    def __init__(
        self,
        recipe: PersonalRecipe,
        network: Hypernetwork | StaticVerifier,
        learnt: Enrollable,
        development: Enrollable,
        *,
        seed: int,
        workers: int = 2,
        centre: float = CENTRE,
        device: torch.device = _CPU,
    ) -> None:
        self.recipe = recipe
        self.network: nn.Module = Rival(network) if isinstance(network, StaticVerifier) else Generator(network)
        self.steps_per_epoch = recipe.steps_per_epoch
        self._learnt, self._development = learnt, development
        self._seed, self._workers, self._centre = seed, workers, centre
        self._device = device

    def batches(self, first_step: int, steps: int, shards: range) -> Iterator[list[PersonalShard]]:
        """Batches from ``first_step`` on, prepared ahead by worker processes."""
        return personal_batches(
            self.recipe,
            self._learnt,
            seed=self._seed,
            steps=range(first_step, steps),
            shards=shards,
            workers=self._workers,
            device=self._device,
        )

    def begin_step(self, step: int) -> str:
        """The number of the phase, for the log."""
        return str(self.recipe.phases.index(self.recipe.phase(step)))

    def losses(self, network: nn.Module, shard: PersonalShard, device: torch.device) -> Iterator[Tensor]:
        """Cross entropy, distillation and penalty; of a static network, the distance to the embeddings."""
        shard = shard.to(device)
        if self.recipe.form == "static":
            axes = torch.eye(shard.probes.shape[1], device=device)
            yield following_loss(network(axes, shard.inputs).logits.T, shard.probes)
        else:
            yield personal_loss(network(shard.enrolled, shard.inputs), shard, self.recipe, self._centre)

    def validate(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """Figures over people held out: one picture of each is enrolled, others of all of them are probes."""
        enrolled, probes = held_comparisons(self._development, self.recipe)
        people, embeddings = self._development.people, self._development.embeddings
        same = people[enrolled][:, None] == people[probes]
        judged = judge(network, self._development, enrolled, probes, self.recipe.shape, device)
        ceiling = watches((embeddings[enrolled] @ embeddings[probes].T).astype(np.float64), same)
        figures = {f"development_{name}": value for name, value in watches(judged, same).items()}
        return {
            "development_quality": figures["development_auc"],
            **figures,
            "development_loss_over_constant": over_constant(judged, same, self.recipe.phases[-1].positive),
            "development_backbone_auc": ceiling["auc"],
            "development_backbone_eer": ceiling["eer"],
        }


def make_network(
    recipe: PersonalRecipe, dimension: int, start: StaticVerifier | None = None
) -> Hypernetwork | StaticVerifier:
    """What the recipe trains, for embeddings of ``dimension`` numbers.

    Raises:
        ConfigurationError: ``start`` is of another architecture or follows embeddings of another length.

    """
    if recipe.form == "static":
        return StaticVerifier(recipe.shape, dimension)
    if start is None:
        return Hypernetwork(recipe.form, recipe.shape, dimension=dimension)
    if start.architecture != recipe.shape or start.projection.out_features != dimension:
        raise ConfigurationError(
            f"The start is of the verifier {start.architecture.name} and follows {start.projection.out_features} "
            f"numbers, but the recipe is of {recipe.architecture} and the backbone gives {dimension}: train a "
            "static network of the same."
        )
    return Hypernetwork(
        recipe.form,
        recipe.shape,
        dimension=dimension,
        start=start.start(),
        projection=start.projection.weight,
    )


def personal_loss(judged: Judged, shard: PersonalShard, recipe: PersonalRecipe, centre: float) -> Tensor:
    """The weighted cross entropy, that with the backbone's opinion, and the penalty.

    A comparison that a guard does not believe counts in the second alone: there, nobody asks for its label.
    """
    logits = judged.logits.float()
    soft = opinion(shard.enrolled @ shard.probes.T, recipe.distillation, centre)
    believed = shard.weights * shard.kept
    hard = functional.binary_cross_entropy_with_logits(logits, shard.same, believed, reduction="sum")
    distilled = functional.binary_cross_entropy_with_logits(logits, soft, shard.weights)
    loss: Tensor = hard / believed.sum().clamp_min(1) + shard.distil[0] * distilled
    return loss + shard.penalty[0] * judged.penalty


def following_loss(followed: Tensor, embeddings: Tensor) -> Tensor:
    """Mean square of the distance to unit embeddings (N, D) times the root of D; 1 for one that says nothing.

    At that length a number is as large as a fresh network makes it, and the product with an embedding as a logit.
    """
    loss: Tensor = (followed.float() - sqrt(embeddings.shape[1]) * embeddings).square().mean()
    return loss


def opinion(cosines: Tensor, distillation: Distillation, centre: float) -> Tensor:
    """What the backbone thinks, as a probability."""
    return torch.sigmoid(distillation.scale * (cosines - centre))


def over_constant(logits: NDArray[np.float64], same: NDArray[np.bool_], positive: float) -> float:
    """Cross entropy of logits (M, N), less that of the best constant: not below 0, and nothing has been learnt.

    Mated comparisons weigh ``positive`` times all others. The loss of a constant depends on that, so that a loss
    which falls from phase to phase means nothing by itself.
    """
    labels = same.astype(np.float32)
    losses = np.logaddexp(0, np.where(same, -logits, logits))
    share = positive / (1 + positive)
    constant = -share * np.log(share) - (1 - share) * np.log(1 - share)
    return float((class_weights(labels, positive) * losses).mean() - constant)


def calibrated(learnt: Enrollable, limit: int = 2000) -> float:
    """The cosine at which the backbone errs equally often either way, over every two of some pictures.

    The pictures are those of the first people of the list, ``limit`` at most: all of a person belong together.
    Where there are not two people with several pictures, it is the usual cosine.
    """
    pictures = pictures_of(learnt.people)
    if len(pictures) < 2:
        return CENTRE
    places = np.concatenate(pictures)[:limit]
    people, embeddings = learnt.people[places], learnt.embeddings[places]
    first, second = np.triu_indices(len(places), 1)
    cosines, same = (embeddings @ embeddings.T)[first, second], people[first] == people[second]
    return equal_error(cosines[same], cosines[~same])[1] if not same.all() else CENTRE


def held_comparisons(
    development: Enrollable, recipe: PersonalRecipe
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pictures of people held out: one of each is enrolled (M,), some others are probes (N,)."""
    pictures = pictures_of(development.people)[: recipe.judged]
    enrolled = np.array([of_person[0] for of_person in pictures])
    return enrolled, np.concatenate([of_person[1 : 1 + recipe.judged_pictures] for of_person in pictures])


def judge(
    network: nn.Module,
    faces: Enrollable,
    enrolled: NDArray[np.int64],
    probes: NDArray[np.int64],
    shape: Architecture,
    device: torch.device,
) -> NDArray[np.float64]:
    """Logits (M, N) of M enrolled pictures and N probes by a network in eval mode."""
    embeddings = torch.from_numpy(faces.embeddings[enrolled]).to(device)
    parts = []
    with torch.inference_mode():
        for begin in range(0, len(probes), BATCH):
            crops = sized(faces.portraits.crops(probes[begin : begin + BATCH].tolist()), shape.size)
            inputs = torch.from_numpy(shape.preprocess.normalise(crops)).to(device)
            inputs = inputs.contiguous(memory_format=torch.channels_last)
            parts.append(network(embeddings, inputs).logits.double().cpu().numpy())
    return np.concatenate(parts, axis=1)
