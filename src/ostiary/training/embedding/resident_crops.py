"""Crops that lie where a network is trained, so that nothing is sent there but their numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ostiary.faces.preprocess import Preprocess
from ostiary.training.embedding.portraits import Portraits


class ResidentCrops:
    """All crops of some portraits on a GPU; on a CPU they stay in their file."""

    def __init__(self, portraits: Portraits, device: torch.device) -> None:
        self._portraits, self._device = portraits, device
        self._held: Tensor | None = None
        if device.type != "cpu":
            self._held = torch.from_numpy(portraits.crops(range(len(portraits)))).to(device)

    def of(self, numbers: Sequence[int]) -> Tensor:
        """RGB crops (N, 3, S, S) of 0 to 255."""
        if self._held is None:
            chosen = torch.from_numpy(self._portraits.crops(numbers))
        else:
            chosen = self._held[torch.tensor(numbers, device=self._device)]
        return chosen.permute(0, 3, 1, 2).float()


def normalised(crops: Tensor, preprocess: Preprocess) -> Tensor:
    """RGB crops (N, 3, S, S) of 0 to 255 -> what a network of this preprocessing is given."""
    mean, deviation = (
        torch.tensor(numbers).to(crops)[:, None, None] for numbers in (preprocess.mean, preprocess.std)
    )
    return (crops - mean) / deviation
