"""Whom the pictures of a list show, as far as their folders tell.

Lists of pairs name pictures, not people, but most sets keep each person in a folder of his own. That is not
believed blindly: a level of folders is taken for people only if every pair of one person stays within a folder
and every pair of two people leaves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from ostiary.data.pairs import Pair


def people_of_pairs(pairs: Sequence[Pair]) -> list[tuple[str, str]] | None:
    """The two people of each pair, or None where the folders do not tell.

    Of several levels that fit the upper one is taken, so that a person with several folders stays one person.
    A list of one kind of pairs only fits too easily, and tells nothing.
    """
    if len({pair.same for pair in pairs}) < 2:
        return None
    folders = [(_folders(pair.path_a), _folders(pair.path_b)) for pair in pairs]
    deepest = min(len(each) for both in folders for each in both)
    for depth in range(1, deepest + 1):
        people = [("/".join(first[:depth]), "/".join(second[:depth])) for first, second in folders]
        if all((first == second) == pair.same for (first, second), pair in zip(people, pairs, strict=True)):
            return people
    return None


def _folders(path: str) -> tuple[str, ...]:
    return PurePosixPath(path).parts[:-1]
