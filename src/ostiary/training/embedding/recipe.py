"""What a face recipe says: everything that decides a run, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from ostiary.adaptive.configuration import PAPER_SAMPLING, blocks
from ostiary.errors import ConfigurationError
from ostiary.faces.preprocess import Preprocess
from ostiary.networks.face_network import Activation, FaceNetwork
from ostiary.networks.registry import FACE, builder
from ostiary.training.augment import Augmentation
from ostiary.training.embedding.margins import Margin
from ostiary.training.embedding.pose import Misalignment
from ostiary.training.recipes import named, shipped
from ostiary.training.schedule import Schedule

TeacherName = Literal["sface", "foamliu"]
"""Deployed embedders that ``reports/embedders.py`` knows how to ask."""


class Teaching(BaseModel):
    """Follow the embeddings of other networks.

    The target of a picture is the teachers' unit embeddings one after the other, over the root of their
    number: cosines between targets are then the mean of the teachers' cosines. ``teachers`` are asked
    beforehand, but for recipes whose faces are prepared on the device: there they are live.
    With ``views`` they have seen the very pictures that the network sees, each picture changed in so many ways,
    fixed beforehand; with 0 they saw the unchanged picture alone, and every change of it is to give the same
    embedding. A ``watcher`` is asked during the training, about each picture just as the network sees it;
    its embedding joins the target if it is ``followed``.

    ``relations`` is the weight of a second loss: the cosines between the pictures of a batch are to be those
    between their targets (after Park et al. 2019); ``hints`` that of a third: the maps on the way are to tell
    those of the watcher (Romero et al. 2015).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    teachers: tuple[TeacherName, ...] = ("sface",)
    weight: float = Field(default=1.0, ge=0)
    relations: float = Field(default=0.0, ge=0)
    views: int = Field(default=0, ge=0)
    watcher: Literal["foamliu"] | None = None
    followed: bool = True
    hints: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _somebody_teaches(self) -> Teaching:
        if not self.teachers and (self.watcher is None or not self.followed):
            raise ValueError("a teaching needs teachers or a watcher that is followed")
        if self.watcher in self.teachers:
            raise ValueError("the watcher is a teacher already; name each once")
        if self.hints and self.watcher is None:
            raise ValueError("hints come from a watcher: name one")
        return self


class StyleChange(BaseModel):
    """The network with another activation everywhere, or with or without squeeze-and-excitation everywhere.

    For ablations: what trains so is no network of the registry.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    activation: Activation | None = None
    squeeze: bool | None = None

    @property
    def said(self) -> dict[str, Any]:
        """What is changed."""
        return self.model_dump(exclude_none=True)


class FaceRecipe(BaseModel):
    """The settings of one run of a face network; unknown names and impossible values are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    summary: str
    network: str
    style: StyleChange = StyleChange()
    dimension: PositiveInt = 512
    start: Literal["scratch", "watcher"] = "scratch"
    """``watcher``: the weights of the deployed network that watches, thinned to fit (``head_start.py``)."""
    preprocess: Preprocess = Preprocess(crop="aligned", size=112, mean=(127.5,) * 3, std=(127.5,) * 3)
    augmentation: Augmentation = Augmentation()
    misalignment: Misalignment = Misalignment()
    prepared: Literal["workers", "device"] = "workers"
    """Where pictures are changed: by worker processes, or where the network is trained, and every teacher is asked
    there about each picture as the network sees it. The second wants a GPU."""
    mixed: float = Field(default=0.0, ge=0, le=1)
    """Share of the pictures that are blended with another; nobody's, but teachers have an opinion of them."""
    words: dict[str, float] = Field(default_factory=lambda: dict(PAPER_SAMPLING))
    """Share of the steps that each configuration word gets; networks without adaptive blocks ignore it."""
    margin: Margin | None = Margin()
    teaching: Teaching | None = None
    epoch_pictures: PositiveInt | None = None
    """Pictures drawn in an epoch; None: as many as there are."""
    held_out: float = Field(default=0.1, gt=0, lt=1)
    """Share of the training people kept for the figures of each epoch; none of their pictures is learnt from."""
    schedule: Schedule

    @property
    def network_name(self) -> str:
        """As tables and cards call it: the registry's name, and what is changed of it."""
        changes = [f"{name}={value}" for name, value in self.style.said.items()]
        return " ".join([self.network, *changes])

    def untrained(self) -> FaceNetwork:
        """The network, at its initial weights.

        Raises:
            ConfigurationError: there is no such network, or a changed one is adaptive.

        """
        network = cast(FaceNetwork, builder(FACE, self.network)(self.dimension))
        if not self.style.said:
            return network
        if blocks(network):
            raise ConfigurationError(f"{self.network} is adaptive: the style of its blocks cannot be changed.")
        return FaceNetwork(network.layout, replace(network.style, **self.style.said), self.dimension)

    @model_validator(mode="after")
    def _something_is_learnt(self) -> FaceRecipe:
        if self.margin is None and self.teaching is None:
            raise ValueError("a recipe needs a margin or a teaching to learn from")
        if self.start == "watcher" and (self.teaching is None or self.teaching.watcher is None):
            raise ValueError("a start from the watcher needs a teaching with a watcher")
        if self.preprocess.crop != "aligned":
            raise ValueError("face networks see aligned crops")
        if self.mixed and self.prepared != "device":
            raise ValueError("pictures are mixed on the device: prepare them there")
        if self.prepared == "device" and self.teaching is not None and self.teaching.views:
            raise ValueError("teachers that are asked live have no views fixed beforehand")
        return self


def face_recipes() -> dict[str, FaceRecipe]:
    """All face recipes that come with the package, by name."""
    return shipped(FaceRecipe)


def face_recipe(name: str) -> FaceRecipe:
    """The face recipe of this name, or a ConfigurationError that lists what there is."""
    return named(name, FaceRecipe)


def altered(
    base: FaceRecipe, *, network: str | None = None, epochs: int | None = None, processes: int = 1
) -> FaceRecipe:
    """A recipe with another network or length, or with shards enough for several processes."""
    return FaceRecipe.model_validate(
        {
            **base.model_dump(),
            "network": network or base.network,
            "schedule": base.schedule.adjusted(epochs=epochs, processes=processes).model_dump(),
        }
    )
