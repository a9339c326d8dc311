"""Which pictures make an epoch: a function of the seed and the epoch alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from ostiary.data.index import Sample


def shuffled(samples: Sequence[Sample], count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Every picture once, in random order (then again from the start, if ``count`` is larger)."""
    rng = np.random.default_rng([seed, epoch])
    rounds = -(-count // len(samples))
    return np.concatenate([rng.permutation(len(samples)) for _ in range(rounds)])[:count]


def balanced(samples: Sequence[Sample], count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Even draws: half bona fide, half attacks; then data sets, species, subjects and recordings evenly.

    A data set's share grows with the fourth root of its number of subjects: three people cannot teach as
    much as three hundred, but no set may drown the others.
    """
    rng = np.random.default_rng([seed, epoch])
    tree = _tree(samples)
    weights = {}
    for label, sets in tree.items():
        roots = np.array([len({samples[i].subject for i in _leaves(sets[name])}) for name in sets]) ** 0.25
        weights[label] = roots / roots.sum()
    labels = sorted(tree)
    chosen = np.empty(count, np.int64)
    for place in range(count):
        label = labels[place % len(labels)]
        sets = list(tree[label].values())
        node = sets[rng.choice(len(sets), p=weights[label])]
        while isinstance(node, dict):
            node = list(node.values())[rng.integers(len(node))]
        chosen[place] = node[rng.integers(len(node))]
    return rng.permutation(chosen)


SAMPLING = {"shuffled": shuffled, "balanced": balanced}


def _tree(samples: Sequence[Sample]) -> dict:  # type: ignore[type-arg]  # nested to a fixed depth of five
    def branch(indices: list[int], keys: tuple[str, ...]) -> object:
        if not keys:
            return indices
        groups: dict[Hashable, list[int]] = defaultdict(list)
        for i in indices:
            groups[getattr(samples[i], keys[0])].append(i)
        return {name: branch(members, keys[1:]) for name, members in sorted(groups.items())}

    return branch(list(range(len(samples))), ("label", "dataset", "species", "subject", "capture"))  # type: ignore[return-value]


def _leaves(node: object) -> list[int]:
    if isinstance(node, dict):
        return [i for child in node.values() for i in _leaves(child)]
    return node  # type: ignore[return-value]
