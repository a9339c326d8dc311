"""What a recipe says: everything that decides a run, and nothing else."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from ostiary.adaptive.configuration import PAPER_SAMPLING
from ostiary.faces.preprocess import Preprocess
from ostiary.training.augment import Augmentation
from ostiary.training.clues import Clues
from ostiary.training.dial import Dial
from ostiary.training.losses import Objective
from ostiary.training.mixing import StyleMix
from ostiary.training.recipes import named, shipped
from ostiary.training.schedule import Schedule

PeerName = Literal["minifasnet_v2", "minifasnet_v1se", "facenox"]
"""Deployed networks that ``reports/peers.py`` knows how to ask."""


class Recipe(BaseModel):
    """The settings of one liveness run; unknown names and impossible values are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    summary: str
    network: str
    start: Literal["scratch", "imagenet", "trained"] = "scratch"
    """``trained``: a network of an earlier run, or of a weights file (``start.py``)."""
    preprocess: Preprocess
    augmentation: Augmentation
    sampling: Literal["shuffled", "balanced"] = "shuffled"
    words: dict[str, float] = Field(default_factory=lambda: dict(PAPER_SAMPLING))
    """Share of the steps that each configuration word gets; networks without adaptive blocks ignore it."""
    epoch_pictures: PositiveInt | None = None
    """Pictures drawn in an epoch; None: as many as the training split holds."""
    schedule: Schedule
    dropout: float = Field(default=0.2, ge=0, lt=1)
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    teacher_weight: float = Field(default=0.0, ge=0, le=1)
    """Share of the loss that follows the teachers' soft targets instead of the labels."""
    teacher: Literal["beforehand", "watching"] = "beforehand"
    """Teachers asked once about each unchanged picture, or such as see every crop as the network does."""
    watchers: tuple[PeerName, ...] = Field(default=("facenox",), min_length=1)
    """Who watches; several are averaged, the two MiniFASNets as one."""
    teacher_level: Literal["own", "data_set"] = "own"
    """Answers of those who watch as they are, or shifted so that each training data set parts at even odds."""
    teacher_trust: Literal["always", "where_right"] = "always"
    """Follow the teachers everywhere, or the label alone where they stand on its wrong side."""
    objective: Objective = Objective()
    dial: Dial = Dial()
    simulated: float = Field(default=0.0, ge=0, le=1)
    """Share of the attacks drawn whose place a bona fide face with painted ``clues`` takes (``batches.py``)."""
    clues: Clues = Clues()
    style_mix: StyleMix = StyleMix()
    mixup: float = Field(default=0.0, ge=0)
    """Strength of mixup (Zhang et al. 2018): pictures and losses mixed by a share from Beta(mixup, mixup)."""
    frozen_stages: int = Field(default=0, ge=0, le=3)
    """The stem and so many stages keep the weights they start with; the fourth holds the first adaptive block."""
    blend: float = Field(default=0.0, ge=0, le=1)
    """After training, the weights go back towards those they started from by this share (WiSE-FT)."""

    @model_validator(mode="after")
    def _parts_agree(self) -> Recipe:
        if self.mixup and (self.objective.contrast_weight or self.objective.domain_weight):
            raise ValueError("mixed pictures have no class or data set: use mixup, or contrast and domain losses")
        if self.start == "scratch" and (self.frozen_stages or self.blend):
            raise ValueError(
                "frozen_stages and blend keep what the start knows: start from 'imagenet' or 'trained'"
            )
        return self


def recipes() -> dict[str, Recipe]:
    """All liveness recipes that come with the package, by name."""
    return shipped(Recipe)


def recipe(name: str) -> Recipe:
    """The liveness recipe of this name, or a ConfigurationError that lists what there is."""
    return named(name, Recipe)


def changed(
    base: Recipe,
    *,
    network: str | None = None,
    epochs: int | None = None,
    processes: int = 1,
    trained: bool = False,
) -> Recipe:
    """A recipe with another network or length, with shards for several processes, or from a trained network."""
    schedule = base.schedule.adjusted(epochs=epochs, processes=processes)
    start = "trained" if trained else base.start
    return Recipe.model_validate(
        {
            **base.model_dump(),
            "network": network or base.network,
            "start": start,
            "schedule": schedule.model_dump(),
        }
    )
