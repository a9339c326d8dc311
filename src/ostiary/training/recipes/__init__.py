"""The recipes that come with the package: one file each, found by the class of its ``RECIPE``."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, TypeVar

from pydantic import BaseModel

from ostiary.errors import ConfigurationError

Kind = TypeVar("Kind", bound=BaseModel)


def shipped(kind: type[Kind]) -> dict[str, Kind]:
    """All recipes of a class, by name."""
    names = [f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)]
    recipes: list[Any] = [importlib.import_module(name).RECIPE for name in names]
    mine: list[Any] = [recipe for recipe in recipes if isinstance(recipe, kind)]
    return {recipe.name: recipe for recipe in mine}


def named(name: str, kind: type[Kind]) -> Kind:
    """The recipe of this name and class, or a ConfigurationError that lists what there is."""
    known = shipped(kind)
    if name not in known:
        raise ConfigurationError(f"There is no recipe {name!r}; choose one of: {', '.join(sorted(known))}.")
    return known[name]
