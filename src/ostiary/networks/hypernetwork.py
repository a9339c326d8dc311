"""From the embedding of a face to the weights of that person's own verifier.

The backbone is frozen, so its embeddings are made beforehand; what learns is the generator here. Its forms differ
in how much of f is personal, from every layer to the last one alone. Whatever the form, enrolment folds it into
the same row of numbers, and f cannot tell where they came from.

Initialisation is that of Chang et al. 2020 (hyperfan-in): an emitted weight is a sum of ``width`` products with a
code z of mean square 1, so that heads of variance g / (fan_in * width) give weights of variance g / fan_in; g is 2
before a ReLU, else 1. The embedding enters at a constant length (Gonzalez Ortiz et al. 2024). The sizes, the
forms besides ``direct`` and the shape of the norm penalty are ours: of Rozner et al. 2023 (arXiv 2312.13240) only
the abstract could be read.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from math import sqrt
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostiary.errors import ConfigurationError
from ostiary.networks.verifier import Layers, join
from ostiary.runtime.verifier_layers import F112, Architecture, Layer

Form = Literal["direct", "basis", "modulation", "late", "head"]
"""How the layers before the last become personal.

``direct``: every number is a linear map of z. ``basis``: shared weights plus a personal mixture of a few
directions. ``modulation``: shared filters, each with a personal gain and offset. ``late``: ``direct`` from the
pointwise layer after the last halving on, shared before. ``head``: not at all. The last layer is personal in
all: a linear map of the embedding, plus a small one of z.
"""

FORMS: tuple[Form, ...] = get_args(Form)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Generated:
    """The layers of M users' verifiers, and how far they stray.

    ``penalty`` is the mean square of the last layer's weights, plus: of layers emitted from nothing, the mean
    (|filter| - 1)^2; of those that change shared ones, the mean square of the change over that of the shared.
    """

    layers: Layers
    penalty: Tensor


class Hypernetwork(nn.Module):
    """Embeddings (M, dimension) of any length -> the verifiers of M people.

    Args:
        form: which layers are personal, and how.
        architecture: of f.
        dimension: of the embeddings.
        width: of the code z.
        directions: of the form ``basis``.
        start: theta (P,) of a verifier that already sees faces (its last layer is not used). Without one, the
            generator starts from noise, and every filter is brought to unit length times a learned gain.
        projection: with ``start``: (dimension, C), such that ``projection @ features`` follows the embedding. The
            logit then starts as the product of both, less 2.
        spread: of what the forms add to shared weights at the beginning, over those; default 0.1 with a
            ``start``, else 0.3.

    Raises:
        ConfigurationError: no such form, or a ``start`` or ``projection`` of another shape.

    """

    def __init__(
        self,
        form: Form,
        architecture: Architecture = F112,
        *,
        dimension: int = 128,
        width: int = 128,
        directions: int = 16,
        start: Tensor | None = None,
        projection: Tensor | None = None,
        spread: float | None = None,
    ) -> None:
        super().__init__()
        if form not in FORMS:
            raise ConfigurationError(f"There is no generator {form!r}; choose one of: {', '.join(FORMS)}.")
        if start is not None and start.shape != (architecture.parameters,):
            raise ConfigurationError(
                f"A start of shape {tuple(start.shape)} is no theta of {architecture.name}: it has "
                f"{architecture.parameters} parameters."
            )
        self.form, self.architecture, self.dimension = form, architecture, dimension
        *body, last = architecture.layers
        into, on = nn.Linear(dimension, width), nn.Linear(width, width)
        for linear in (into, on):
            _filled(linear, torch.full((width,), sqrt(2 / linear.in_features)))
        self.trunk = nn.Sequential(into, nn.ReLU(inplace=True), on, nn.ReLU(inplace=True))
        first = _first_personal(body) if form == "late" else 0
        self._common, self._emitted = (body[:first], body[first:]) if form in ("direct", "late") else (body, [])
        shared = _noise(body) if start is None else start[: -last.parameters].detach().clone()
        kept = _numbers(self._common)
        self.shared = nn.Parameter(shared[:kept])
        self.gains = nn.Parameter(_gains(body)) if start is None else None
        spread = spread if spread is not None else (0.3 if start is None else 0.1)
        if self._emitted:
            self.emit = nn.Linear(width, _numbers(self._emitted))
            scale = _hyperfan(self._emitted) if start is None else spread * _scales(shared[kept:], self._emitted)
            _filled(self.emit, scale / sqrt(width), None if start is None else shared[kept:])
        if form == "basis":
            self.mix = nn.Linear(width, directions)
            _filled(self.mix, torch.full((directions,), 1 / sqrt(width)))
            scale = spread * _scales(shared, body) / sqrt(directions)
            self.directions = nn.Parameter(torch.randn(directions, len(shared)) * scale)
        if form == "modulation":
            self.modulate = nn.Linear(width, 2 * sum(layer.out for layer in body))
            _filled(self.modulate, torch.full((self.modulate.out_features,), _MODULATION))
        self._make_last(last.channels, width, projection)

    def forward(self, embeddings: Tensor) -> Generated:
        """The verifiers of M people; those of one do not depend on who else is in the batch.

        Raises:
            ConfigurationError: embeddings of another shape.

        """
        if embeddings.dim() != 2 or embeddings.shape[1] != self.dimension:
            raise ConfigurationError(
                f"The generator takes embeddings (M, {self.dimension}); got {tuple(embeddings.shape)}."
            )
        unit = functional.normalize(embeddings, dim=1) * sqrt(self.dimension)
        code = self.trunk(unit)
        layers: dict[str, tuple[Tensor, Tensor]] = {}
        terms: list[Tensor] = []
        if self.form == "basis":
            change = self.mix(code) @ self.directions
            layers |= _parts(self.shared + change, self._common)
            terms.append(change.square().sum(1).mean() / self.shared.square().sum())
        else:
            layers |= _parts(self.shared, self._common)
        if self._emitted:
            layers |= _parts(self.emit(code), self._emitted)
            terms.append(self._strayed(code, layers))
        if self.gains is not None:
            layers = self._normed(layers)
        if self.form == "modulation":
            shared, layers = layers, self._modulated(layers, code)
            terms.append(_distance(layers, shared))
        weight, bias = self._last(unit, code)
        layers[self.architecture.layers[-1].name] = weight[:, None, :, None, None], bias
        return Generated(layers, torch.stack([weight.square().mean(), *terms]).sum())

    def theta(self, embeddings: Tensor) -> Tensor:
        """What enrolment stores: (M, P), everything folded, nothing left of the form."""
        return join(self(embeddings).layers, self.architecture)

    def digest(self, backbone: str) -> bytes:
        """16 bytes that name this generator together with its backbone, whose SHA-256 or name is given."""
        digest = hashlib.sha256(f"{self.form} {self.architecture.digest.hex()} {backbone}".encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
        return digest.digest()[:16]

    def _make_last(self, channels: int, width: int, projection: Tensor | None) -> None:
        """The last layer: a linear map of the embedding, a tenth as much of the code, a logit's bias of -2."""
        self.last_of_embedding = nn.Linear(self.dimension, channels, bias=False)
        self.last_of_code = nn.Linear(width, channels + 1)
        scale = torch.full((channels + 1,), 0.1 / sqrt(channels * width))
        scale[-1] = 0
        offset = torch.zeros(channels + 1)
        offset[-1] = _OFFSET
        if projection is None:
            nn.init.normal_(self.last_of_embedding.weight, std=1 / sqrt(channels * self.dimension))
        elif projection.shape != (self.dimension, channels):
            raise ConfigurationError(
                f"A projection of shape {tuple(projection.shape)} does not lead from {channels} features to "
                f"{self.dimension} numbers."
            )
        else:
            self.last_of_embedding.weight = nn.Parameter(projection.detach().T.clone() / sqrt(self.dimension))
            scale = torch.zeros_like(scale)
        _filled(self.last_of_code, scale, offset)

    def _last(self, unit: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        small = self.last_of_code(code)
        return self.last_of_embedding(unit) + small[:, :-1], small[:, -1:]

    def _strayed(self, code: Tensor, layers: Layers) -> Tensor:
        """The norm penalty of emitted layers."""
        if self.gains is None:
            change = functional.linear(code, self.emit.weight)
            return change.square().sum(1).mean() / self.emit.bias.square().sum()
        lengths = [_lengths(layers[layer.name][0]).flatten(1) for layer in self._emitted]
        return (torch.cat(lengths, 1) - 1).square().mean()

    def _normed(self, layers: Layers) -> dict[str, tuple[Tensor, Tensor]]:
        """Each filter at unit length times its gain; a bias as it is."""
        assert self.gains is not None
        body = self.architecture.layers[:-1]
        gains = torch.split(self.gains, [layer.out for layer in body])
        normed = {}
        for layer, gain in zip(body, gains, strict=True):
            weight, bias = layers[layer.name]
            normed[layer.name] = weight / _lengths(weight) * gain[:, None, None, None], bias
        return normed

    def _modulated(self, layers: Layers, code: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        body = self.architecture.layers[:-1]
        parts = torch.split(self.modulate(code), [layer.out for layer in body for _ in range(2)], 1)
        modulated = {}
        for layer, gain, offset in zip(body, parts[::2], parts[1::2], strict=True):
            weight, bias = layers[layer.name]
            modulated[layer.name] = weight * (1 + gain[:, :, None, None, None]), bias + offset
        return modulated


_MODULATION = 0.02
_OFFSET = -2.0
_SHORTEST = 1e-6
"""No filter is divided by less."""


def _first_personal(body: list[Layer]) -> int:
    """Place of the pointwise layer after the last depthwise of stride 2."""
    return max(place for place, layer in enumerate(body) if layer.stride == 2) + 1


def _numbers(layers: list[Layer]) -> int:
    return sum(layer.parameters for layer in layers)


def _sizes(layers: list[Layer]) -> list[int]:
    """Numbers of the weight and of the bias of each layer."""
    return [number for layer in layers for number in (layer.weights, layer.out)]


def _parts(flat: Tensor, layers: list[Layer]) -> dict[str, tuple[Tensor, Tensor]]:
    """Numbers (n,) or (M, n) -> weight and bias of each of some layers in a row."""
    parts = torch.split(flat, _sizes(layers), -1)
    return {
        layer.name: (weight.reshape(*flat.shape[:-1], *layer.shape), bias)
        for layer, weight, bias in zip(layers, parts[::2], parts[1::2], strict=True)
    }


def _lengths(weight: Tensor) -> Tensor:
    """Of each filter, (.., out, 1, 1, 1)."""
    lengths: Tensor = torch.linalg.vector_norm(weight.flatten(-3), dim=-1)
    return lengths.clamp_min(_SHORTEST)[..., None, None, None]


def _distance(layers: Layers, shared: Layers) -> Tensor:
    """Mean square of the difference from shared layers, over theirs."""
    pairs = [(layers[name][part], shared[name][part]) for name in layers for part in (0, 1)]
    apart = torch.stack([(one - other).flatten(1).square().sum(1) for one, other in pairs]).sum(0).mean()
    return apart / torch.stack([other.square().sum() for _, other in pairs]).sum()


def _gain(layer: Layer) -> float:
    """g: what keeps the mean square of what a layer gives, 2 before a ReLU."""
    return 2.0 if layer.relu else 1.0


def _gains(layers: list[Layer]) -> Tensor:
    return torch.cat([torch.full((layer.out,), sqrt(_gain(layer))) for layer in layers])


def _hyperfan(layers: list[Layer]) -> Tensor:
    """Wanted deviation of every number: that of the weights by their fan-in, none of the biases."""
    parts = []
    for layer in layers:
        parts += [torch.full((layer.weights,), sqrt(_gain(layer) / layer.fan_in)), torch.zeros(layer.out)]
    return torch.cat(parts)


def _noise(layers: list[Layer]) -> Tensor:
    scales = _hyperfan(layers)
    return torch.randn(len(scales)) * scales


def _scales(flat: Tensor, layers: list[Layer]) -> Tensor:
    """Of every number, the root mean square of the weight or the bias that it is a part of."""
    parts = torch.split(flat, _sizes(layers))
    return torch.cat([part.square().mean().sqrt().expand(len(part)) for part in parts])


def _filled(linear: nn.Linear, deviations: Tensor, bias: Tensor | None = None) -> None:
    """Rows of normal noise, each of its own deviation, and a bias."""
    with torch.no_grad():
        linear.weight.normal_().mul_(deviations[:, None])
        if bias is None:
            linear.bias.zero_()
        else:
            linear.bias.copy_(bias)
