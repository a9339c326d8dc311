"""Mixing the pictures of a batch with each other: their styles, or all of them.

Both draw from torch's own generator, which the loop sets from (seed, step, shard), as for drop-out. On the
CPU on purpose: the same draws whatever the network runs on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.distributions import Beta


class StyleMix(BaseModel):
    """MixStyle (Zhou et al. 2021): feature maps of a picture in the style of another one.

    The style of a picture is the mean and the standard deviation of each channel: camera, light and colours
    more than shape. With ``probability``, after each of the first ``stages`` stages of the trunk, it becomes
    a mixture with that of a picture drawn from the batch; the share is drawn from Beta(strength, strength).

    ``among`` says which pictures: "label" draws from the same class, as Zhou et al. 2023 do for faces
    (categorical style assembly), since the style also carries what betrays an attack (a screen's colours,
    flat contrast) and must not be given to a bona fide face; "batch" draws from all, as in the first paper.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    probability: float = Field(default=0.0, ge=0, le=1)
    stages: int = Field(default=3, ge=1, le=7)
    strength: float = Field(default=0.1, gt=0)
    among: Literal["label", "batch"] = "label"

    def __call__(self, maps: Tensor, labels: Tensor) -> Tensor:
        """Feature maps (N, C, H, W) and labels (N,) -> feature maps, mixed or as they were."""
        if torch.rand(()) >= self.probability:
            return maps
        count = len(maps)
        share = Beta(self.strength, self.strength).sample((count, 1, 1, 1)).to(maps)
        others = (partners(labels) if self.among == "label" else torch.randperm(count)).to(maps.device)
        with torch.no_grad():  # a style is given, not learnt, as in the paper
            variance, mean = torch.var_mean(maps, dim=(2, 3), keepdim=True)
            deviation = (variance + 1e-6).sqrt()
            new_mean = torch.lerp(mean[others], mean, share)
            new_deviation = torch.lerp(deviation[others], deviation, share)
        return (maps - mean) / deviation * new_deviation + new_mean


@dataclass(frozen=True, slots=True)
class Mixture:
    """mixup (Zhang et al. 2018): ``share`` of each picture, and the rest of the one at its place in ``others``."""

    share: float
    others: Tensor

    @classmethod
    def draw(cls, strength: float, count: int, device: torch.device) -> Mixture:
        """A share from Beta(strength, strength) for all, and a permutation of ``count`` pictures."""
        return cls(float(Beta(strength, strength).sample()), torch.randperm(count).to(device))

    def __call__(self, values: Tensor) -> Tensor:
        """Mix pictures (N, ...) with each other."""
        return torch.lerp(values[self.others], values, self.share)


def partners(labels: Tensor) -> Tensor:
    """For each of (N,) pictures, the place of one of the same label: a permutation within each label."""
    labels = labels.cpu()
    places = torch.empty(len(labels), dtype=torch.long)
    for label in (0, 1):
        members = torch.nonzero(labels == label).flatten()
        places[members] = members[torch.randperm(len(members))]
    return places
