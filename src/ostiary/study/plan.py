"""A study is a TOML file: arms x held-out parts x seeds. This file reads it and lists its cells.

::

    name = "ablation"
    protocol = "leave_out"                         # in_domain, leave_out, unseen_species
    held_out = [["msu_mfsd", "nuaa"], ["selfie_vn"]]
    judged_on = ["train", "development"]           # splits of the held-out rows; never "test" to choose by
    seeds = [0]
    words = ["HHH", "LLL"]
    baseline = "ours"

    [arms.ours]
    recipe = "strangers"

    [arms.no_teacher]
    recipe = "strangers"
    change = { teacher_weight = 0.0 }

    [arms.soup]
    average = ["ours", "no_teacher"]               # the mean of their weights; nothing is trained

    [arms.minifasnet]
    peers = ["minifasnet_v2", "minifasnet_v1se"]
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ostiary.study.arms import Arm, Cell, read_plan, resolved
from ostiary.training.recipe import PeerName, Recipe

Protocol = Literal["in_domain", "leave_out", "unseen_species"]
Split = Literal["train", "development", "test"]


class LivenessArm(Arm):
    """One way of doing it: a recipe with changes, the mean of other arms' weights, or networks of others."""

    peers: tuple[PeerName, ...] = ()
    """Names of ``reports/peers.py``; several are averaged."""
    average: tuple[str, ...] = ()
    """Arms whose networks are averaged, cell by cell."""
    extra: tuple[str, ...] = ()
    """Data sets of the study's ``extra`` that join this arm's training."""

    @model_validator(mode="after")
    def _one_kind(self) -> LivenessArm:
        if (self.recipe is not None) + (self.like is not None) + bool(self.peers) + bool(self.average) != 1:
            raise ValueError("an arm has one of: a recipe, another arm that it is like, an average, peers")
        if (self.peers or self.average) and (self.change or self.extra):
            raise ValueError("peers and averages are not trained: no change, no extra data")
        return self


class Study(BaseModel):
    """The whole plan, as its file says it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str = ""
    protocol: Protocol
    held_out: tuple[tuple[str, ...], ...] = ((),)
    """Each entry is held out together: data sets (leave_out) or beginnings of species' names (unseen_species)."""
    judged_on: tuple[Split, ...] = ("test",)
    seeds: tuple[int, ...] = (0,)
    words: tuple[str, ...] = ("HHH", "LLL")
    baseline: str | None = None
    """The arm that the table compares all others with."""
    extra: tuple[str, ...] = ()
    """Data sets that only the arms that name them learn from; never judged."""
    keep_scores: bool = False
    """Whether score files go to the results; otherwise they stay with the runs."""
    arms: dict[str, LivenessArm]

    @model_validator(mode="after")
    def _fits(self) -> Study:
        if (self.protocol == "in_domain") != (self.held_out == ((),)):
            raise ValueError("in_domain holds nothing out; the other protocols must name held_out")
        if self.baseline is not None and self.baseline not in self.arms:
            raise ValueError(f"the baseline {self.baseline!r} is not among the arms")
        for name, arm in self.arms.items():
            if arm.like is not None and (arm.like not in self.arms or self.arms[arm.like].peers):
                raise ValueError(f"arm {name!r} is like {arm.like!r}, which is no arm with a recipe")
            trained = {one for one, other in self.arms.items() if other.recipe or other.like}
            if not set(arm.average) <= trained:
                raise ValueError(f"arm {name!r} averages what is not trained: name arms with a recipe")
            unknown = sorted(set(arm.extra) - set(self.extra))
            if unknown:
                raise ValueError(
                    f"arm {name!r} wants the extra data {unknown[0]!r}, which the study does not list"
                )
        return self

    def recipe(self, name: str) -> Recipe | None:
        """The recipe of an arm with its changes, of the first where several are averaged; None for peers.

        Raises:
            ConfigurationError: recipe and changes do not fit together, or arms are like each other in a circle.

        """
        averaged = self.arms[name].average
        return resolved(self.arms, averaged[0] if averaged else name, Recipe)

    def cells(self) -> Iterator[Cell]:
        """Every cell, arm by arm in the plan's order: so that an idea is judged whole before the next begins."""
        for name, arm in self.arms.items():
            for held in self.held_out:
                for seed in (0,) if arm.peers else arm.seeds or self.seeds:
                    yield Cell(name, held, seed)


def read_study(path: Path) -> Study:
    """Read a plan.

    Raises:
        ConfigurationError: the file cannot be read, or says something that there is not.

    """
    study = read_plan(path, Study)
    for name in study.arms:
        study.recipe(name)
    return study
