"""What is trained: the network, and around it what training alone needs.

The heads of auxiliary losses lie beside the network, not in it. The loop trains, averages and checkpoints the
whole, so that a resumed run walks the same curve; what is saved as a model is ``network``, which knows nothing
of them.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostiary.networks.mobilenet_v2 import InvertedResidual, MobileNetV2
from ostiary.training.losses import Objective, reversed_gradient
from ostiary.training.mixing import StyleMix

PROJECTED = 128
HIDDEN = 512
SPECTRUM_STAGE = 3
"""The stage at an eighth of the picture's side, whose maps tell the spectrum: fine enough to see grids."""


class Seen(NamedTuple):
    """What one pass over N pictures gives; None where no loss asks for it.

    ``logits`` (N, 2); ``patches`` (N, places, 2), the verdict at every place of the last feature map;
    ``projected`` (N, 128), of length 1, for contrasts; ``domains`` (N, data sets), logits of the discriminator;
    ``spectra`` (N, 1, S/8, S/8), what the maps on the way say of the picture's spectrum.
    """

    logits: Tensor
    patches: Tensor | None = None
    projected: Tensor | None = None
    domains: Tensor | None = None
    spectra: Tensor | None = None


class Trainee(nn.Module):
    """A MobileNetV2, adaptive or not, with its training-only heads, mixed styles and frozen stages.

    The heads' own initial weights come from torch's generator after the network's: without heads nothing is
    drawn. A frozen stage keeps its weights and its BatchNorm statistics, whatever mode the rest is in, and
    no gradient is computed for it.
    """

    def __init__(
        self,
        network: MobileNetV2,
        objective: Objective | None = None,
        style_mix: StyleMix | None = None,
        frozen_stages: int = 0,
        datasets: int = 1,
    ) -> None:
        super().__init__()
        self.network = network
        self._objective = objective or Objective()
        self._style_mix = style_mix or StyleMix()
        self._frozen_stages = frozen_stages
        width = network.classifier.in_features
        self.projection = _head(width, PROJECTED) if self._objective.contrast_weight else None
        self.discriminator = _head(width, datasets) if self._objective.domain_weight else None
        self.analyst: nn.Module | None = None
        if self._objective.spectrum_weight:
            last = cast(InvertedResidual, cast(nn.Sequential, network.blocks[SPECTRUM_STAGE - 1])[-1])
            inside = last.conv_pwl.out_channels
            self.analyst = nn.Sequential(
                nn.Conv2d(inside, inside, 3, padding=1), nn.ReLU(), nn.Conv2d(inside, 1, 1), nn.Sigmoid()
            )
        for part in self._frozen():
            part.requires_grad_(False)

    def train(self, mode: bool = True) -> Trainee:
        """Training mode for all but the frozen stages."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        return self

    def forward(self, inputs: Tensor, labels: Tensor, reversal: float = 0.0) -> Seen:
        """RGB (N, 3, S, S) and labels (N,), which style mixing asks for -> what the losses need.

        ``reversal`` is the strength of the reversed gradient that the discriminator sends to the network.
        """
        network = self.network
        trunk, on_the_way = self._trunk(inputs, labels)
        maps = network.act2(network.bn2(network.conv_head(trunk)))
        features: Tensor = network.global_pool(maps).flatten(1)
        logits: Tensor = network.classifier(network.drop(features))
        patches = projected = domains = None
        if self._objective.patch_weight:
            patches = network.classifier(network.drop(maps.permute(0, 2, 3, 1).flatten(1, 2)))
        if self.projection is not None:
            projected = functional.normalize(self.projection(features))
        if self.discriminator is not None:
            domains = self.discriminator(reversed_gradient(features, reversal))
        spectra = None if self.analyst is None else self.analyst(on_the_way)
        return Seen(logits, patches, projected, domains, spectra)

    def _trunk(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Stem and stages: RGB (N, 3, S, S) -> (N, 320, S/32, S/32), and the maps after the spectrum's stage."""
        network, mix = self.network, self._style_mix
        learning = torch.is_grad_enabled()
        with torch.set_grad_enabled(learning and not self._frozen_stages):
            x = network.act1(network.bn1(network.conv_stem(x)))
        for number, stage in enumerate(network.blocks, start=1):
            with torch.set_grad_enabled(learning and number > self._frozen_stages):
                x = stage(x)
            if number == SPECTRUM_STAGE:
                on_the_way = x
            if mix.probability and number <= mix.stages and self.training:
                x = mix(x, labels)
        return x, on_the_way

    def _frozen(self) -> list[nn.Module]:
        if not self._frozen_stages:
            return []
        return [self.network.conv_stem, self.network.bn1, *list(self.network.blocks)[: self._frozen_stages]]


def _head(width: int, out: int) -> nn.Sequential:
    """Two layers, as SSDG and the contrastive losses use them."""
    return nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, out))
