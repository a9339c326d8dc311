"""What the plans of all studies share: arms that start from a recipe or from one another, seeds, and cells."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ostiary.errors import ConfigurationError
from ostiary.training.recipes import named

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_LONGEST_LINE = 4000

AnyRecipe = TypeVar("AnyRecipe", bound=BaseModel)
AnyPlan = TypeVar("AnyPlan", bound=BaseModel)


class Arm(BaseModel):
    """One way of doing it: a recipe with changes, or another arm with some more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str | None = None
    like: str | None = None
    """Another arm, whose recipe and changes this one starts from."""
    change: dict[str, Any] = Field(default_factory=dict)
    """Fields of the recipe that differ; records inside it may be changed in part."""
    seeds: tuple[int, ...] | None = None
    """Other seeds than the study's."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One training (or one scoring of peers) of a study."""

    arm: str
    held_out: tuple[str, ...]
    seed: int

    @property
    def name(self) -> str:
        """The cell's name in file names: arm, what is held out, seed."""
        parts = [self.arm, "+".join(self.held_out), str(self.seed)]
        return "-".join(part for part in parts if part)


def resolved(arms: Mapping[str, Arm], name: str, kind: type[AnyRecipe]) -> AnyRecipe | None:
    """The recipe of an arm with its changes and those of the arms it is like; None where there is none.

    Raises:
        ConfigurationError: recipe and changes do not fit together, or arms are like each other in a circle.

    """
    change: dict[str, Any] = {}
    seen: list[str] = []
    while (arm := arms[name]).like is not None:
        change = _merged(arm.change, change)
        seen.append(name)
        name = arm.like
        if name in seen:
            raise ConfigurationError(f"The arm {name!r} is like itself, by way of {' and '.join(seen)}.")
    if arm.recipe is None:
        return None
    try:
        return kind.model_validate(_merged(named(arm.recipe, kind).model_dump(), _merged(arm.change, change)))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"The recipe {arm.recipe!r} cannot be changed so: {place}: {first['msg']}."
        ) from None


def read_plan(path: Path, kind: type[AnyPlan]) -> AnyPlan:
    """Read a plan of a kind.

    Raises:
        ConfigurationError: the file cannot be read, or says something that there is not.

    """
    try:
        text = path.read_text(encoding="utf-8")
        if max(map(len, text.splitlines()), default=0) > _LONGEST_LINE:
            raise ValueError(f"it has a line of over {_LONGEST_LINE} characters")  # TOML takes its square in time
        said = tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"{path}: cannot be read as a study in TOML ({reason}).") from None
    try:
        return kind.model_validate(said)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the study"
        raise ConfigurationError(f"{path}: {place}: {first['msg']}.") from None


def _merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the values of ``change``; a record inside is merged, not replaced.

    ``words`` is a table of its own: a change of it replaces it.
    """
    merged = dict(base)
    for key, value in change.items():
        known = merged.get(key)
        whole = key == "words" or not (isinstance(value, Mapping) and isinstance(known, Mapping))
        merged[key] = value if whole else _merged(known, value)  # type: ignore[arg-type]
    return merged
