"""Figures of a matrix of logits, users by probes: how good it is, and by which way it would be worthless.

A generated network can fail while its loss falls: it may say the same of everybody, judge the probe and not the
person, or shift by who is enrolled. Each of these has a number here that shows it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHUFFLES = 100
FMR = 1e-2


def watches(logits: NDArray[np.float64], same: NDArray[np.bool_], seed: int = 0) -> dict[str, float]:
    """Figures of logits (M users, N probes), of which those where ``same`` (M, N) are mated.

    ``auc``, ``eer`` and ``fnmr`` (at an FMR of at most 1e-2) are those of one threshold for all.
    ``shuffled_auc`` is the mean over thetas dealt out to others: it should be 0.5. ``user_share``,
    ``probe_share`` and ``interaction_share`` part the variance of the logits; the last should be the largest, else
    the verifier looks at who enrolled or at who comes, not at both. ``spread`` is their deviation: near 0, and the
    verifier is a constant. ``user_fmr_spread`` and ``user_fmr_worst`` are deviation and maximum of single users'
    FMRs at the threshold of ``fnmr``.
    """
    ranks = _ranks(logits)
    rng = np.random.default_rng(seed)
    shuffled = [_auc(ranks, same[rng.permutation(len(same))]) for _ in range(SHUFFLES)]
    threshold = threshold_at(np.asarray(logits[~same]), FMR)
    wrong = (logits > threshold) & ~same
    fmr = wrong.sum(1) / np.maximum(1, (~same).sum(1))
    return {
        "auc": _auc(ranks, same),
        "eer": equal_error(logits[same], logits[~same])[0],
        "fnmr": float((logits[same] <= threshold).mean()),
        "shuffled_auc": float(np.mean(shuffled)),
        **_shares(logits),
        "spread": float(logits.std()),
        "user_fmr_spread": float(fmr.std()),
        "user_fmr_worst": float(fmr.max()),
    }


def threshold_at(others: NDArray[np.float64], fmr: float) -> float:
    """The highest logit of non-mated comparisons (K,) that must be refused for an FMR of at most ``fmr``."""
    ordered = np.sort(others)
    return float(ordered[len(ordered) - 1 - int(fmr * len(ordered))])


def equal_error(mated: NDArray[np.floating], others: NDArray[np.floating]) -> tuple[float, float]:
    """(rate, threshold) where both errors are closest; who reaches the threshold is accepted."""
    thresholds = np.unique(np.concatenate([mated, others]))
    fnmr = np.searchsorted(np.sort(mated), thresholds) / len(mated)
    fmr = 1 - np.searchsorted(np.sort(others), thresholds) / len(others)
    at = int(np.argmin(np.abs(fnmr - fmr)))
    return float((fnmr[at] + fmr[at]) / 2), float(thresholds[at])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1, of equal values their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2
    return np.asarray(middle[place].reshape(values.shape), np.float64)


def _auc(ranks: NDArray[np.float64], same: NDArray[np.bool_]) -> float:
    mated = int(same.sum())
    others = same.size - mated
    return float((ranks[same].sum() - mated * (mated + 1) / 2) / (mated * others))


def _shares(logits: NDArray[np.float64]) -> dict[str, float]:
    """Two-way analysis of variance without replication; nothing where the logits are all one number."""
    centred = logits - logits.mean()
    users, probes = centred.mean(1, keepdims=True), centred.mean(0, keepdims=True)
    parts = {"user": users, "probe": probes, "interaction": centred - users - probes}
    total = float(np.square(centred).mean())
    squares = {name: float(np.square(part).mean()) for name, part in parts.items()}
    return {f"{name}_share": square / total if total else 0.0 for name, square in squares.items()}
