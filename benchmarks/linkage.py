"""Attackers who hold two templates and ask whether they are of one person, and how far they are right.

Two ways to look at a theta: the numbers as they lie, and brought into an order that does not depend on how it was
issued (``canonical``). The second undoes everything that ``ostiary.runtime.reissue`` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostiary.metrics.bootstrap import DRAWS
from ostiary.metrics.verification_measure import Measure, curve_statistic
from ostiary.metrics.verification_trials import Comparisons
from ostiary.runtime.verifier_layers import Architecture

SHUFFLES = 20


def canonical(theta: NDArray[np.float32], architecture: Architecture) -> NDArray[np.float32]:
    """The same function with its channels sorted, each filter at unit length, signs and last offsets undone.

    Channels are sorted by numbers of their own filter that no reissue changes. Two issues of one theta come out
    equal to rounding; verifiers of two people whose first layers are shared come out in the same order.
    """
    layers = {name: (weight.astype(np.float64), bias.astype(np.float64))
              for name, (weight, bias) in architecture.parts(theta).items()}  # fmt: skip
    parts: list[NDArray[np.float64]] = []
    order, scales = np.arange(3), np.ones(3)
    *hidden, last = architecture.layers
    offsets = np.zeros(last.channels)
    for layer in hidden:
        weight, bias = layers[layer.name]
        if layer.groups == 1:
            weight = weight[:, order] * scales[:, None, None]
            lengths = _lengths(weight)
            order = np.argsort(_marks(weight, bias, lengths), kind="stable")
            weight, bias, scales = weight[order], bias[order], lengths[order]
        else:
            weight, bias = weight[order] * scales[:, None, None, None], bias[order]
            scales = _lengths(weight)
        if not layer.relu:
            scales = scales * np.where(_strongest(weight) < 0, -1, 1)
            offsets, bias = bias, np.zeros_like(bias)
        weight, bias = weight / scales[:, None, None, None], bias / scales
        parts += [weight.ravel(), bias]
    weight, bias = layers[last.name]
    moved = weight.ravel()[order] @ offsets
    weight = weight[:, order] * scales[:, None, None]
    parts += [weight.ravel(), bias + moved]
    return np.concatenate(parts).astype(np.float32)


def linked(
    first: NDArray[np.float32], second: NDArray[np.float32], architecture: Architecture, seed: int
) -> dict[str, Any]:
    """How well the cosine tells (first[i], second[i]), of one person, from (first[i], second[j]), of two.

    The mean of all templates is taken off both, as whoever holds several of them can do.

    Args:
        first: thetas (rounds, people, P); those of one round are compared with each other.
        second: others of the same people, in the same order.
        architecture: of theta.
        seed: of the bootstrap over people.

    Returns:
        For the whole ``theta`` and under ``layers`` for each layer: ``auc`` with ``interval``, ``linkability``
        (:func:`system_linkability`) and the same by chance. A layer that is alike in all templates is left out.

    """
    middle = np.concatenate([first, second]).mean((0, 1))
    first, second = first - middle, second - middle
    found: dict[str, Any] = {"theta": _told(first, second, seed), "layers": {}}
    for layer, weight, bias in architecture.places():
        part = slice(weight.start, bias.stop)
        if max(np.abs(first[..., part]).max(), np.abs(second[..., part]).max()) > _EQUAL:
            found["layers"][layer.name] = _told(first[..., part], second[..., part], seed)
    return found


def system_linkability(mated: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """The global measure D_sys of Gomez-Barrero et al. 2018, by histograms, for equal priors.

    0 where templates of one person look like those of two, 1 where they can all be told apart. Few comparisons
    make it larger than it is: compare it with what labels dealt at random give.
    """
    bins = int(np.clip(len(mated) // 10, 2, 100))
    edges = np.histogram_bin_edges(np.concatenate([mated, others]), bins)
    same, different = (np.histogram(values, edges)[0] / len(values) for values in (mated, others))
    ratios = np.divide(same, different, out=np.full(bins, np.inf), where=different > 0)
    local = np.where(ratios > 1, 1 - 2 / (1 + ratios), 0)
    return float((same * local).sum())


_EQUAL = 1e-6
"""Differences that rounding leaves between equal layers."""


def _told(first: NDArray[np.float32], second: NDArray[np.float32], seed: int) -> dict[str, Any]:
    cosines = _directions(first) @ _directions(second).swapaxes(1, 2)
    values = cosines.astype(np.float64).ravel().round(_DIGITS)
    people = np.arange(first.shape[1])
    pairs = np.stack(np.broadcast_arrays(people[:, None], people, cosines)[:2], -1).reshape(-1, 2)
    same = pairs[:, 0] == pairs[:, 1]
    ranks = np.unique(values, return_inverse=True)[1].astype(np.float64)
    compared = Comparisons(
        ranks / max(1.0, ranks.max()), same, None, pairs.astype(np.intp), np.full(len(same), "")
    )
    measured = Measure.of(compared, [curve_statistic(compared, {})], draws=DRAWS, seed=seed, level=0.95)
    auc = measured.derived("auc")
    assert auc is not None, "both classes are there"
    random, chance = np.random.default_rng(seed), []
    for _ in range(SHUFFLES):
        dealt = random.permutation(same)
        chance.append(system_linkability(values[dealt], values[~dealt]))
    return {
        "auc": auc.value,
        "interval": [auc.interval.low, auc.interval.high],
        "linkability": system_linkability(values[same], values[~same]),
        "linkability_by_chance": float(np.mean(chance)),
    }


_DIGITS = 6
"""Cosines that differ in the last bits only are equal."""


def furthest(found: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The layer whose AUC is furthest from a guess."""
    name = max(found["layers"], key=lambda layer: abs(found["layers"][layer]["auc"] - 0.5))
    return name, found["layers"][name]


def _directions(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def _lengths(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each filter; 1 for one of zeros."""
    lengths = np.linalg.norm(weight.reshape(len(weight), -1), axis=1)
    return np.where(lengths > 0, lengths, 1)


def _marks(
    weight: NDArray[np.float64], bias: NDArray[np.float64], lengths: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A number for each filter that depends neither on the order of its inputs nor on its scale."""
    filters = weight.reshape(len(weight), -1) / lengths[:, None]
    return np.asarray(bias / lengths + np.abs(filters).sum(1) + np.power(filters, 3).sum(1))


def _strongest(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each filter the number of largest size."""
    filters = weight.reshape(len(weight), -1)
    return np.take_along_axis(filters, np.abs(filters).argmax(1)[:, None], 1)[:, 0]
