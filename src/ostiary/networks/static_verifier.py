"""The verifier's layers as one ordinary network for everybody, trained with batch normalisation.

It serves twice: distilled, it is the shared start of a hypernetwork, which from noise hardly finds one; and it is
the rival that a generated network has to beat, since a last layer made of an embedding turns it into a personal
verifier of the same cost. Batch normalisation is folded before anything personal is added: its statistics are
those of the training pictures, never those of a user's.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostiary.networks.verifier import join
from ostiary.runtime.verifier_layers import F112, Architecture


class StaticVerifier(nn.Module):
    """Crops (N, 3, S, S), normalised -> numbers (N, dimension) that are to follow the embeddings of a teacher."""

    def __init__(self, architecture: Architecture = F112, dimension: int = 128) -> None:
        super().__init__()
        self.architecture = architecture
        *body, last = architecture.layers
        modules: OrderedDict[str, nn.Module] = OrderedDict()
        for layer in body:
            shape = layer.channels, layer.out, layer.kernel, layer.stride, layer.padding
            modules[layer.name] = nn.Conv2d(*shape, groups=layer.groups, bias=False)
            modules[f"{layer.name}_norm"] = nn.BatchNorm2d(layer.out)
            if layer.relu:
                modules[f"{layer.name}_act"] = nn.ReLU(inplace=True)
        modules["flatten"] = nn.Flatten()
        self.features = nn.Sequential(modules)
        self.projection = nn.Linear(last.channels, dimension, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, dimension)."""
        followed: Tensor = self.projection(self.features(x))
        return followed

    def start(self) -> Tensor:
        """Theta (P,) with batch normalisation folded, and a last layer of zeros: a hypernetwork's start."""
        last = self.architecture.layers[-1]
        device = self.projection.weight.device
        layers = {last.name: (torch.zeros(last.shape, device=device), torch.zeros(last.out, device=device))}
        for layer in self.architecture.layers[:-1]:
            conv = self.features.get_submodule(layer.name)
            norm = self.features.get_submodule(f"{layer.name}_norm")
            assert isinstance(conv, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            assert norm.running_mean is not None
            assert norm.running_var is not None
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            weight = conv.weight * scale[:, None, None, None]
            layers[layer.name] = weight.detach(), (norm.bias - scale * norm.running_mean).detach()
        return join(layers, self.architecture)

    def theta(self, embeddings: Tensor) -> Tensor:
        """Verifiers (M, P) whose logit is the product of an embedding, at unit length, and what this gives."""
        unit = functional.normalize(embeddings, dim=1)
        last = (unit @ self.projection.weight).detach()
        shared = self.start()[: -self.architecture.layers[-1].parameters]
        return torch.cat([shared.expand(len(last), -1), last, last.new_zeros(len(last), 1)], 1)
