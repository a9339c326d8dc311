"""What a personal recipe says: form, sampling, and the phases of the objective; each part can be switched off.

After Rozner et al. 2023 (arXiv 2312.13240), who name a weighted cross entropy, a norm penalty, hard negatives by
clusters and a schedule of objectives. Numbers of phases, weights and sizes are ours: the text could not be read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from ostiary.errors import ConfigurationError
from ostiary.faces.preprocess import Preprocess
from ostiary.runtime.verifier_layers import Architecture, architecture_named
from ostiary.training.augment import Augmentation
from ostiary.training.embedding.pose import Misalignment
from ostiary.training.embedding.recipe import FaceRecipe
from ostiary.training.recipes import named, shipped
from ostiary.training.schedule import Schedule

STORED = 112
"""Side of the crops as they lie on disk; a verifier that sees fewer pixels gets them made smaller."""

Trained = Literal["direct", "basis", "modulation", "late", "head", "static"]
"""A form of the hypernetwork, or ``static``: one network for everybody that follows the backbone's embedding.

It is the rival of equal cost, and the start from which a generator learns best.
"""


class Phase(BaseModel):
    """One stretch of the run, up to the share ``until`` of its steps.

    ``anybody`` is the share of batches in which every picture stands for itself, also of people who have no
    other: it enrols, and is probed with as it was changed. ``hard`` is the share, of these and of the others, that
    are one neighbourhood (of people: K-means Centered Sampling);
    ``positive`` what all mated comparisons of a batch weigh together, over what all others do; ``distil`` the
    weight of the cross entropy with what the backbone thinks, ``penalty`` that of the norm penalty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    until: float = Field(gt=0, le=1)
    anybody: float = Field(default=0.0, ge=0, le=1)
    hard: float = Field(default=0.0, ge=0, le=1)
    positive: float = Field(default=1.0, gt=0)
    distil: float = Field(default=0.0, ge=0)
    penalty: float = Field(default=1e-2, ge=0)


class Sampling(BaseModel):
    """Who meets whom in a batch, and which comparisons are not believed.

    ``pictures`` are the probes a person; there is one more for the enrolment. A cluster holds ``cluster`` people
    on average; ``noise`` is the largest number added to squared distances from its centre. Embeddings of a frozen
    backbone do not move, but clusters are found anew every ``reclustered`` steps, so that no border stays.

    Three guards take single comparisons out of the cross entropy, by the backbone's cosine: mated ones from
    ``copies`` on (one picture twice) and below ``mislabels``, non-mated ones from ``duplicates`` on (one person
    under two names, whom a neighbourhood would bring together again and again).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pictures: PositiveInt = 2
    cluster: PositiveInt = 24
    noise: float = Field(default=0.15, ge=0)
    reclustered: PositiveInt = 1000
    copies: float = 0.98
    mislabels: float = 0.0
    duplicates: float = 0.6


class Distillation(BaseModel):
    """The backbone's cosine as a probability: 1 / (1 + exp(-scale * (cosine - centre))).

    A ``centre`` of None is the cosine at which the backbone errs equally often either way on people learnt from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scale: float = Field(default=14.0, gt=0)
    centre: float | None = Field(default=None, gt=-1, lt=1)


class PersonalRecipe(BaseModel):
    """The settings of one run; unknown names and impossible values are refused.

    The people of a batch are its pictures, ``schedule.batch``, over ``sampling.pictures``; each shard of it is a
    neighbourhood of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    summary: str
    form: Trained = "head"
    architecture: str = "f112"
    start: Literal["static", "noise"] = "static"
    """Where shared weights begin: at a trained static network, or nowhere. A static network begins at noise."""
    augmentation: Augmentation = Augmentation()
    misalignment: Misalignment = Misalignment()
    prepared: Literal["workers", "device"] = "workers"
    """Where pictures are changed, as of face recipes."""
    sampling: Sampling = Sampling()
    distillation: Distillation = Distillation()
    phases: tuple[Phase, ...]
    steps_per_epoch: PositiveInt = 500
    held_out: float = Field(default=0.1, gt=0, lt=1)
    """Share of the training people kept for the figures of each epoch; none of their pictures is learnt from."""
    judged: PositiveInt = 100
    """People held out who are enrolled for these figures, at most."""
    judged_pictures: PositiveInt = 5
    """Probes of each of them, at most."""
    schedule: Schedule

    @model_validator(mode="after")
    def _parts_fit(self) -> PersonalRecipe:
        try:
            architecture_named(self.architecture)
        except ConfigurationError as error:
            raise ValueError(str(error)) from None
        ends = [phase.until for phase in self.phases]
        if not ends or sorted(set(ends)) != ends or ends[-1] != 1:
            raise ValueError("each phase must end after the one before, and the last one at 1")
        if self.people < 2 or self.people * self.sampling.pictures * self.schedule.shards != self.schedule.batch:
            raise ValueError(
                f"a batch of {self.schedule.batch} in {self.schedule.shards} shards cannot be made of "
                f"{self.sampling.pictures} pictures each of two people or more"
            )
        return self

    @property
    def people(self) -> int:
        """How many people meet in one shard."""
        return self.schedule.batch // self.schedule.shards // self.sampling.pictures

    @property
    def shape(self) -> Architecture:
        """The layers of the verifier."""
        return architecture_named(self.architecture)

    def phase(self, step: int) -> Phase:
        """The phase of a step, counted from 0."""
        share = step / (self.schedule.epochs * self.steps_per_epoch)
        return next((phase for phase in self.phases if share < phase.until), self.phases[-1])

    def faces(self) -> FaceRecipe:
        """The same settings for what prepares faces for all trainings: decoding, holding out, changing."""
        return FaceRecipe(
            name=self.name,
            summary=self.summary,
            network=self.architecture,
            preprocess=Preprocess(crop="aligned", size=STORED),
            augmentation=self.augmentation,
            misalignment=self.misalignment,
            prepared=self.prepared,
            held_out=self.held_out,
            schedule=self.schedule,
        )


def personal_recipes() -> dict[str, PersonalRecipe]:
    """All personal recipes that come with the package, by name."""
    return shipped(PersonalRecipe)


def personal_recipe(name: str) -> PersonalRecipe:
    """The personal recipe of this name, or a ConfigurationError that lists what there is."""
    return named(name, PersonalRecipe)


def changed(
    base: PersonalRecipe,
    *,
    form: str | None = None,
    architecture: str | None = None,
    start: str | None = None,
    epochs: int | None = None,
    processes: int = 1,
    without: Sequence[str] = (),
) -> PersonalRecipe:
    """A recipe with another form, architecture, start or length, or ``without`` some of its parts.

    Raises:
        ConfigurationError: there is no such form, architecture, start or part, or the length is impossible.

    """
    for value, known, what in (
        (form, get_args(Trained), "form"),
        (start, ("static", "noise"), "start"),
        *((part, tuple(PARTS), "part") for part in without),
    ):
        if value is not None and value not in known:
            raise ConfigurationError(f"There is no {what} {value!r}; choose one of: {', '.join(known)}.")
    phases = base.phases
    for part in without:
        phases = PARTS[part](phases)
    return PersonalRecipe.model_validate(
        {
            **base.model_dump(),
            "form": form or base.form,
            "architecture": architecture_named(architecture or base.architecture).name,
            "start": start or base.start,
            "phases": [phase.model_dump() for phase in phases],
            "schedule": base.schedule.adjusted(epochs=epochs, processes=processes).model_dump(),
        }
    )


Phases = tuple[Phase, ...]


def _each(**change: float) -> Callable[[Phases], Phases]:
    return lambda phases: tuple(phase.model_copy(update=change) for phase in phases)


def _patience(phases: Phases) -> Phases:
    """The hardest batches from the first step on."""
    return _each(hard=max(phase.hard for phase in phases))(phases)


def _early(phases: Phases) -> Phases:
    """Hard batches in the last phase alone."""
    return tuple(phase.model_copy(update={"hard": 0.0}) for phase in phases[:-1]) + phases[-1:]


def _schedule(phases: Phases) -> Phases:
    """One phase with the mean of all settings, each phase by its length."""
    starts = [0.0, *(phase.until for phase in phases)]
    lengths = [phase.until - start for phase, start in zip(phases, starts, strict=False)]
    names = [name for name in Phase.model_fields if name != "until"]
    means = {
        name: sum(length * getattr(phase, name) for phase, length in zip(phases, lengths, strict=True))
        for name in names
    }
    return (Phase(until=1, **means),)


PARTS: dict[str, Callable[[Phases], Phases]] = {
    "anybody": _each(anybody=0.0),
    "hard": _each(hard=0.0),
    "early_hard": _early,
    "patience": _patience,
    "schedule": _schedule,
    "penalty": _each(penalty=0.0),
    "distillation": _each(distil=0.0),
    "weights": _each(positive=1.0),
}
"""What a run can be made without, to see what it is worth.

Without ``anybody`` only people with several pictures are met. Without ``hard`` there are no neighbourhoods,
without ``early_hard`` only in the last phase, without ``patience`` from the first step on. Without ``schedule``
one phase has the means of all. ``weights``: classes stay balanced.
"""
