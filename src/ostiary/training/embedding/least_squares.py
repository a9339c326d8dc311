"""Least squares for networks: a linear map between activations, and which of them it can do without."""

from __future__ import annotations

import torch
from torch import Tensor

from ostiary.networks.unfolding import Folded


def telling(seen: Tensor, wanted: Tensor, count: int) -> Tensor:
    """The ``count`` columns of (N, C) from which least squares tell ``wanted`` (N, D) best, dropped one by one."""
    kept = list(range(seen.shape[1]))
    centred, target = (seen - seen.mean(0)).double(), (wanted - wanted.mean(0)).double()
    gram, cross = centred.T @ centred, centred.T @ target
    gram += 1e-6 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    while len(kept) > count:
        inverse = torch.linalg.inv(gram[kept][:, kept])
        solution = inverse @ cross[kept]
        losses = solution.square().sum(1) / inverse.diagonal()  # what the sum of squares grows by without a column
        kept.pop(int(losses.argmin()))
    return torch.tensor(kept)


def ridge(seen: Tensor, wanted: Tensor, penalty: float = 1e-6) -> Folded:
    """Weight (D, C) and bias (D,) of the linear map from (N, C) to (N, D)."""
    mean, middle = seen.double().mean(0), wanted.double().mean(0)
    centred = seen.double() - mean
    gram = centred.T @ centred
    gram += penalty * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    weight = torch.linalg.solve(gram, centred.T @ (wanted.double() - middle)).T
    return Folded(weight.float(), (middle - weight @ mean).float())
