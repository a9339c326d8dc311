"""What a step is punished for: the verdict on each picture, and what helps the features to be right elsewhere.

Functions of tensors alone; ``Objective`` says how much of each. Column 0 of the logits is attack, column 1
bona fide; labels are 1 for bona fide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional


class Objective(BaseModel):
    """What is added to plain cross entropy; zero means nothing.

    ``focal`` is the exponent by which sure pictures count less (Lin et al. 2017). ``patch_weight`` is the
    share of the verdict's loss that is taken at every place of the last feature map, each of which sees a part
    of the face, instead of once for the whole (George and Marcel 2019). ``contrast_weight`` adds the supervised
    contrastive loss (Khosla et al. 2020) at ``temperature``, ``domain_weight`` that of a discriminator of data
    sets behind a gradient reversal (SSDG, Jia et al. 2020). ``spectrum_weight`` adds the squared error of a head
    that tells the picture's spectrum from the maps on the way (the Fourier branch of Silent-Face-Anti-Spoofing):
    the grids of screens and prints stand there.

    ``alignment`` is SSDG's question. "single_side": bona fide faces of all data sets belong together, attacks
    stay apart by data set and species, and only bona fide features must not tell their data set. "both":
    attacks are treated as bona fide faces are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    focal: float = Field(default=0.0, ge=0)
    patch_weight: float = Field(default=0.0, ge=0, le=1)
    contrast_weight: float = Field(default=0.0, ge=0)
    temperature: float = Field(default=0.1, gt=0)
    domain_weight: float = Field(default=0.0, ge=0)
    spectrum_weight: float = Field(default=0.0, ge=0)
    alignment: Literal["single_side", "both"] = "single_side"


def verdict_loss(
    logits: Tensor,
    labels: Tensor,
    followed: Sequence[tuple[Tensor, float]] = (),
    *,
    smoothing: float = 0.0,
    focal: float = 0.0,
) -> Tensor:
    """Mean over pictures of cross entropy with smoothed labels, mixed with what others think of the picture.

    Args:
        logits: (N, 2).
        labels: (N,) of 0 and 1.
        followed: pairs of soft targets, probabilities of bona fide (N,) or NaN where there is none, and the
            share of the loss that follows them instead of what came before.
        smoothing: share of the label that is spread over both classes.
        focal: each picture counts by the distance of answer and target to this power. For hard labels that
            is the focal loss of Lin et al. 2017, for soft ones that of Li et al. 2020.

    """
    loss = functional.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")
    if not followed and not focal:
        return loss.mean()
    odds = logits[:, 1] - logits[:, 0]
    target = labels * (1 - smoothing) + smoothing / 2
    for soft, weight in followed:
        share = weight * torch.isfinite(soft)
        soft = soft.nan_to_num(0.5)
        loss = (1 - share) * loss + share * functional.binary_cross_entropy_with_logits(
            odds, soft, reduction="none"
        )
        target = (1 - share) * target + share * soft
    if focal:
        # Not down to nothing: a root has no gradient there.
        loss = loss * (target - odds.sigmoid()).abs().clamp(min=1e-4) ** focal
    return loss.mean()


def contrast_classes(labels: Tensor, datasets: Tensor, species: Tensor, alignment: str) -> Tensor:
    """The class (N,) of each picture for `contrast_loss`: 0 is bona fide."""
    apart = 1 + datasets * (species.max() + 1) + species if alignment == "single_side" else 1
    return torch.where(labels == 1, 0, apart)


def contrast_loss(projected: Tensor, classes: Tensor, temperature: float) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020, equation 2) of (N, D) features of length 1.

    Mean over the pictures that have another one of their class in the batch; zero where none has.
    """
    similar = projected @ projected.T / temperature
    others = ~torch.eye(len(projected), dtype=torch.bool, device=projected.device)
    log_share = similar - similar.masked_fill(~others, -1e9).logsumexp(1, keepdim=True)
    positive = (classes[:, None] == classes[None, :]) & others
    counts = positive.sum(1)
    each = (log_share * positive).sum(1) / counts.clamp(min=1)
    return -each.sum() / (counts > 0).sum().clamp(min=1)


def domain_loss(domains: Tensor, labels: Tensor, datasets: Tensor, alignment: str) -> Tensor:
    """Cross entropy of a discriminator's logits (N, data sets), over bona fide pictures alone if single-sided."""
    counted = labels == 1 if alignment == "single_side" else torch.ones_like(labels, dtype=torch.bool)
    each = functional.cross_entropy(domains, datasets, reduction="none")
    return (each * counted).sum() / counted.sum().clamp(min=1)


def spectrum(inputs: Tensor, side: int) -> Tensor:
    """Log amplitudes of pictures (N, 3, S, S): (N, 1, side, side) from 0 to 1, slow waves in the middle.

    The mean is taken out before: it says how light a picture is.
    """
    grey = inputs.mean(1, keepdim=True)
    waves = torch.fft.fft2(grey - grey.mean((2, 3), keepdim=True), norm="ortho")
    amplitudes = functional.adaptive_avg_pool2d(torch.fft.fftshift(waves, (2, 3)).abs().log1p(), side)
    least, most = amplitudes.amin((2, 3), keepdim=True), amplitudes.amax((2, 3), keepdim=True)
    return (amplitudes - least) / (most - least).clamp(min=1e-6)


def reversed_gradient(features: Tensor, strength: float) -> Tensor:
    """The features themselves; backwards, their gradient times minus ``strength`` (Ganin et al. 2016)."""
    reversed_: Tensor = _Reversal.apply(features, strength)  # type: ignore[no-untyped-call]
    return reversed_


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, features: Tensor, strength: float) -> Tensor:
        context.strength = strength
        return features.view_as(features)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -context.strength * gradients[0], None
