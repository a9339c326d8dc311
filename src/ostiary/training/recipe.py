"""What a recipe says: everything that decides a run, and nothing else."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from ostiary.adaptive.configuration import PAPER_SAMPLING
from ostiary.errors import ConfigurationError
from ostiary.faces.preprocess import Preprocess
from ostiary.training.augment import Augmentation
from ostiary.training.schedule import Schedule


class Recipe(BaseModel):
    """The settings of one liveness run; unknown names and impossible values are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    summary: str
    network: str
    start: Literal["scratch", "imagenet"] = "scratch"
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


def recipes() -> dict[str, Recipe]:
    """All recipes that come with the package, by name."""
    package = importlib.import_module("ostiary.training.recipes")
    found = {}
    for module in pkgutil.iter_modules(package.__path__):
        recipe = importlib.import_module(f"{package.__name__}.{module.name}").RECIPE
        found[recipe.name] = recipe
    return found


def recipe(name: str) -> Recipe:
    """The recipe of this name, or a ConfigurationError that lists what there is."""
    known = recipes()
    if name not in known:
        raise ConfigurationError(f"There is no recipe {name!r}; choose one of: {', '.join(sorted(known))}.")
    return known[name]


def changed(base: Recipe, *, network: str | None = None, epochs: int | None = None, processes: int = 1) -> Recipe:
    """A recipe with another network or length, or with shards enough for several processes."""
    schedule = base.schedule.model_dump()
    schedule["epochs"] = epochs or base.schedule.epochs
    if base.schedule.shards % processes:
        schedule["shards"] = processes
    try:
        return Recipe.model_validate(
            {**base.model_dump(), "network": network or base.network, "schedule": schedule}
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigurationError(f"The recipe {base.name!r} cannot be changed so: {first['msg']}.") from None
