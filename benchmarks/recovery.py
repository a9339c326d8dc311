"""How much of a face embedding a linear regression reads out of theta, for an attacker who can enrol and learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from held_out import unit
from ostiary.errors import DataIndexError
from ostiary.metrics.bootstrap import subject_bootstrap
from ostiary.training.personal.batches import Enrollable

Rows = NDArray[np.float32]

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Of the ridge regression, in parts of the mean square of a row; chosen on people left out of the fit."""
LEFT_OUT = 5
"""Every so-manieth learnt person decides between the penalties."""


def recovery(
    cases: Mapping[str, tuple[Rows, Rows]], targets: Rows, truth: Rows, search: Rows, seed: int
) -> dict[str, Any]:
    """Embeddings read out of thetas, beside the best guess without any and the embeddings themselves.

    Args:
        cases: by name, thetas (N, P) to learn from and thetas (M, P) to read.
        targets: embeddings (N, D) that the first were made of.
        truth: embeddings (M, D) that the second were made of.
        search: embeddings (M, D) of the same people by another photo.
        seed: of the bootstrap over people.

    """
    read = {name: ridge(rows, targets, asked) for name, (rows, asked) in cases.items()}
    read["the mean embedding, without any template"] = np.repeat(targets.mean(0, keepdims=True), len(truth), 0)
    read["the embedding itself"] = truth
    return {name: told(rows, truth, search, seed) for name, rows in read.items()}


def one_picture_each(learnt: Enrollable, limit: int, seed: int) -> NDArray[np.int64]:
    """One picture of each learnt person, ``limit`` at most."""
    people, first = np.unique(learnt.people, return_index=True)
    known = np.random.default_rng(seed).permutation(first[people >= 0])[:limit]
    if len(known) < 2 * LEFT_OUT:
        raise DataIndexError(f"{len(known)} people are too few to learn how theta leads back to an embedding.")
    return known


def ridge(rows: Rows, targets: Rows, asked: Rows) -> Rows:
    """Targets (M, D) of ``asked`` (M, P) by linear ridge regression from ``rows`` (N, P) with ``targets`` (N, D).

    Each number is brought to deviation 1. The penalty is chosen by the cosine on rows left out of the fit.
    """
    varies = np.ptp(rows, 0) > 1e-7
    mean, deviation = rows[:, varies].mean(0), rows[:, varies].std(0)
    rows, asked = ((part[:, varies] - mean) / deviation for part in (rows, asked))
    judge = np.arange(len(rows)) % LEFT_OUT == 0
    best = max(
        PENALTIES,
        key=lambda penalty: _cosines(
            _fitted(rows[~judge], targets[~judge], rows[judge], penalty), targets[judge]
        ).mean(),
    )
    return _fitted(rows, targets, asked, best)


def _fitted(rows: Rows, targets: Rows, asked: Rows, penalty: float) -> Rows:
    """In the dual form where there are fewer rows than numbers."""
    middle, mean = rows.mean(0), targets.mean(0)
    rows, asked, targets = rows - middle, asked - middle, targets - mean
    count, width = rows.shape
    strength = penalty * float(np.square(rows).sum()) / count
    if width < count:
        weights = np.linalg.solve(rows.T @ rows + strength * np.eye(width), rows.T @ targets)
        return np.asarray(asked @ weights + mean, np.float32)
    duals = np.linalg.solve(rows @ rows.T + strength * np.eye(count), targets)
    return np.asarray(asked @ (rows.T @ duals) + mean, np.float32)


def _cosines(rows: Rows, others: Rows) -> NDArray[np.float64]:
    return np.einsum("nd,nd->n", unit(rows), unit(others)).astype(np.float64)


def told(read: Rows, truth: Rows, search: Rows, seed: int) -> dict[str, Any]:
    """Cosine with the embedding, and whether it finds its person among all, by the same and by another photo."""
    found: dict[str, Any] = {"cosine": _mean(_cosines(read, truth), seed)}
    for name, gallery in (("rank_1_same_photo", truth), ("rank_1_other_photo", search)):
        alike = unit(read) @ unit(gallery).T
        # A guess that is equally near to several people counts in part.
        best = alike >= alike.max(1, keepdims=True) - 1e-6
        found[name] = _mean(np.diag(best) / best.sum(1), seed)
    return found


def _mean(values: NDArray[np.float64], seed: int) -> dict[str, Any]:
    interval = subject_bootstrap(values, np.ones(len(values)), seed=seed)
    return {"value": float(values.mean()), "interval": [interval.low, interval.high]}
