"""A study of face networks: arms x seeds, judged on one list of pairs of people that nobody learnt from.

::

    name = "face_ablation"
    seeds = [0]
    baseline = "ours"

    [arms.ours]
    recipe = "few_people"
    change = { schedule = { epochs = 4 } }

    [arms.no_margin]
    like = "ours"
    without = ["margin"]

    [arms.sface]
    peers = ["sface"]
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ostiary.study.arms import Arm, Cell, read_plan, resolved
from ostiary.training.embedding.recipe import FaceRecipe, TeacherName


class FaceArm(Arm):
    """One way of doing it: a recipe with changes, or deployed networks of others, which are not trained."""

    peers: tuple[TeacherName, ...] = ()
    """Names of ``reports/embedders.py``; the cosines of several are averaged."""
    without: tuple[str, ...] = ()
    """Parts of the recipe that are left out: "margin", "teaching", "watcher" (with its hints). An arm that is like
    this one goes without them, too."""

    @model_validator(mode="after")
    def _one_kind(self) -> FaceArm:
        if (self.recipe is not None) + (self.like is not None) + bool(self.peers) != 1:
            raise ValueError("an arm has one of: a recipe, another arm that it is like, peers")
        if self.peers and (self.change or self.without):
            raise ValueError("peers are not trained: nothing can be changed")
        if set(self.without) - {"margin", "teaching", "watcher"}:
            raise ValueError("only margin, teaching and watcher can be left out")
        return self


class FaceStudy(BaseModel):
    """The whole plan, as its file says it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str = ""
    seeds: tuple[int, ...] = (0,)
    baseline: str | None = None
    """The arm that the table compares all others with."""
    arms: dict[str, FaceArm]

    @model_validator(mode="after")
    def _fits(self) -> FaceStudy:
        if self.baseline is not None and self.baseline not in self.arms:
            raise ValueError(f"the baseline {self.baseline!r} is not among the arms")
        for name, arm in self.arms.items():
            if arm.like is not None and (arm.like not in self.arms or self.arms[arm.like].peers):
                raise ValueError(f"arm {name!r} is like {arm.like!r}, which is no arm with a recipe")
        return self

    def recipe(self, name: str) -> FaceRecipe | None:
        """The recipe of an arm with its changes; None for peers.

        Raises:
            ConfigurationError: recipe and changes do not fit together, or arms are like each other in a circle.

        """
        recipe = resolved(self.arms, name, FaceRecipe)
        left_out = self._left_out(name)
        if recipe is None or not left_out:
            return recipe
        fields = recipe.model_dump()
        for part in left_out:
            if part == "watcher":
                fields["teaching"] |= {"watcher": None, "hints": 0.0}
            else:
                fields[part] = None
        return FaceRecipe.model_validate(fields)

    def _left_out(self, name: str | None) -> set[str]:
        """What an arm goes without, and what the arms do that it is like; these are in no circle."""
        parts: set[str] = set()
        while name is not None:
            parts |= set(self.arms[name].without)
            name = self.arms[name].like
        return parts

    def cells(self) -> Iterator[Cell]:
        """Every cell, arm by arm in the plan's order."""
        for name, arm in self.arms.items():
            for seed in (0,) if arm.peers else arm.seeds or self.seeds:
                yield Cell(name, (), seed)


def read_face_study(path: Path) -> FaceStudy:
    """Read a plan.

    Raises:
        ConfigurationError: the file cannot be read, or says something that there is not.

    """
    study = read_plan(path, FaceStudy)
    for name in study.arms:
        study.recipe(name)
    return study
