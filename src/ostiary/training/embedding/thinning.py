"""A chain of inverted residuals filled from a wider and longer one, by channel pruning (He, Zhang, Sun 2017).

Of a layer's channels stay those from which least squares rebuild best what the next layer made of all. Of blocks
that are too many go those that add least to the map they are added to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor
from torch.nn import functional

from ostiary.errors import ConfigurationError, WeightsError
from ostiary.faces.preprocess import Preprocess
from ostiary.networks.face_network import ConvUnit, FaceNetwork, Style
from ostiary.networks.mobilefacenet import LAYOUT
from ostiary.networks.unfolding import Folded, Layer, fill, unfold
from ostiary.training.embedding.least_squares import ridge, telling
from ostiary.training.embedding.watcher import load_peer

BATCH = 32
"""Pictures that are measured together."""
PIXELS = 24
"""Places of each map that the least squares look at; neighbours tell much the same."""


def start_from(
    path: Path,
    theirs: Preprocess,
    network: FaceNetwork,
    preprocess: Preprocess,
    crops: NDArray[np.uint8],
    seed: int = 0,
) -> None:
    """Fill a network from a deployed one, all but its last linear layer, in place.

    Args:
        path: ONNX file of a MobileFaceNet with a 1x1 convolution after the stem, BatchNorm folded.
        theirs: how it wants its crops normalised.
        network: a chain of the same rows, nowhere wider or longer, with such a stem and ReLU6.
        preprocess: how the network's crops are normalised.
        crops: RGB (N, 112, 112, 3) to measure by; some hundreds.
        seed: of the places that are looked at.

    Raises:
        WeightsError: the file cannot be read, or is no such network.
        ConfigurationError: the network is no such chain.

    """
    folded = _read(path)
    if not folded:
        raise WeightsError(f"{path} has no convolutions: nothing can start from it.")
    donor = FaceNetwork(replace(LAYOUT, pointwise=LAYOUT.stem), Style("relu6"), len(folded[-1].bias)).eval()
    folded[0] = _renormalised(folded[0], theirs, preprocess)
    if [layer.weight.shape for layer, _ in _layers(donor)] != [one.weight.shape for one in folded]:
        raise WeightsError(f"{path} has other layers than MobileFaceNet: nothing can start from it.")
    fill(_layers(donor), folded)
    _check(network, donor)
    was_training = network.training
    network.eval()
    batches = [torch.from_numpy(preprocess.normalise(crops[i : i + BATCH])) for i in range(0, len(crops), BATCH)]
    with torch.no_grad():
        _Thinning(network, donor, batches, torch.Generator().manual_seed(seed)).run()
        for own, given in ((network.last, donor.last), (network.global_depthwise, donor.global_depthwise)):
            fill([_layer(own)], [_folded(given)])
    unfold(_layers(network)[:-1], lambda batch: network.pool(network.maps(batch)[-1]), batches)
    network.train(was_training)


class _Thinning:
    """Walks both chains side by side, so that each layer makes good what those before it lost."""

    def __init__(
        self, network: FaceNetwork, donor: FaceNetwork, batches: Sequence[Tensor], generator: torch.Generator
    ) -> None:
        self._network: Any = network
        self._donor: Any = donor
        self._generator = generator
        self._batches = list(batches)

    def run(self) -> None:
        network, donor = self._network, self._donor
        gains = _gains(donor, self._batches)
        first: Folded | None = self._thin_stem()
        mine = [network.begin(batch) for batch in self._batches]
        theirs = [donor.begin(batch) for batch in self._batches]
        for own, given, gained in zip(network.groups, donor.groups, gains, strict=True):
            spare = sorted(range(1, len(given)), key=lambda place: -gained[place])[: len(own) - 1]
            blocks = dict(zip([0, *sorted(spare)], own, strict=True))
            for place, block in enumerate(given):
                theirs = [block(x) for x in theirs]
                if place in blocks:
                    expand = first if first is not None else _folded(block.expand)
                    self._thin(blocks[place], block, expand, mine, theirs)
                    mine = [blocks[place](x) for x in mine]
                    first = None

    def _thin_stem(self) -> Folded:
        """The stem of what tells most; and how the first block reads it."""
        network, donor = self._network, self._donor
        pointwise, expand = donor.stem_pointwise, donor.groups[0][0].expand
        seen: list[Tensor] = []
        before: list[Tensor] = []
        expanded: list[Tensor] = []
        for batch in self._batches:
            stem = donor.stem_depthwise(donor.stem(batch))
            inner = pointwise(stem)
            rows = self._rows([stem, pointwise.norm(pointwise.conv(stem)), expand.norm(expand.conv(inner))])
            for part, found in zip((seen, before, expanded), rows, strict=True):
                part.append(found)
        stem, raw, wanted = torch.cat(seen), torch.cat(before), torch.cat(expanded)
        told = telling(stem, raw, network.layout.stem)
        for own, given in ((network.stem, donor.stem), (network.stem_depthwise, donor.stem_depthwise)):
            fill([_layer(own)], [_only(_folded(given), told)])
        refitted = ridge(stem[:, told], raw)
        inner = functional.relu6(functional.linear(stem[:, told], *refitted))
        told = telling(inner, wanted, network.layout.pointwise)
        fill([_layer(network.stem_pointwise)], [_only(_pointwise(refitted), told)])
        return _pointwise(ridge(inner[:, told], wanted))

    def _thin(
        self, own: Any, given: Any, expand: Folded, mine: Sequence[Tensor], theirs: Sequence[Tensor]
    ) -> None:
        """Fill a block so that what it makes of ``mine`` is what the donor's made, ``theirs``."""
        depthwise = _folded(given.depthwise)
        conv = given.depthwise.conv
        seen, wanted = [], []
        for x, y in zip(mine, theirs, strict=True):
            inner = functional.relu6(functional.conv2d(x, *expand))
            inner = functional.relu6(
                functional.conv2d(inner, *depthwise, stride=conv.stride, padding=1, groups=conv.groups)
            )
            found, target = self._rows([inner, y if given.skip is None else y - x])
            seen.append(found)
            wanted.append(target)
        inner, target = torch.cat(seen), torch.cat(wanted)
        kept = telling(inner, target, own.depthwise.conv.out_channels)
        project = _pointwise(ridge(inner[:, kept], target))
        layers = [_layer(unit) for unit in (own.expand, own.depthwise, own.project)]
        fill(layers, [_only(expand, kept), _only(depthwise, kept), project])

    def _rows(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The same places of maps (N, C, H, W) of one size, as rows (M, C)."""
        places = torch.randint(maps[0].shape[2] * maps[0].shape[3], (PIXELS,), generator=self._generator)
        return [each.flatten(2)[:, :, places].transpose(1, 2).flatten(0, 1) for each in maps]


def _check(network: FaceNetwork, donor: FaceNetwork) -> None:
    own, given = network.layout, donor.layout
    fits = (
        len(own.rows) == len(given.rows)
        and all(
            (a.channels, a.stride) == (b.channels, b.stride) and a.wide <= b.wide and a.repeats <= b.repeats
            for a, b in zip(own.rows, given.rows, strict=True)
        )
        and 0 < own.pointwise <= given.pointwise
        and own.stem <= given.stem
        and own.last == given.last
        and _kinds(network) == _kinds(donor)
    )
    if not fits:
        raise ConfigurationError(
            "Only a chain of MobileFaceNet's rows, nowhere wider or longer, with whole 1x1 convolutions, ReLU6 "
            "and a 1x1 convolution after the stem can start from a deployed MobileFaceNet."
        )


def _kinds(network: FaceNetwork) -> list[list[type]]:
    """What the first block of each row is made of."""
    groups: Any = network.groups
    return [[type(module) for module in group[0].modules()] for group in groups]


def _gains(donor: FaceNetwork, batches: Sequence[Tensor]) -> list[list[float]]:
    """How much each block adds to its map, relative to the map; 0 for those that are added to nothing."""
    groups: Any = donor.groups
    gains = [[0.0] * len(group) for group in groups]
    for batch in batches[:_GAUGED]:
        x = donor.begin(batch)
        for row, group in enumerate(groups):
            for place, block in enumerate(group):
                y = block(x)
                if block.skip is not None:
                    gains[row][place] += float((y - x).norm() / x.norm())
                x = y
    return gains


_GAUGED = 4
"""Batches that tell which blocks add least."""


def _layers(network: FaceNetwork) -> list[Layer]:
    units = [unit for unit in network.modules() if isinstance(unit, ConvUnit)]
    return [*map(_layer, units), (network.linear, network.norm)]


def _layer(unit: Any) -> Layer:
    return unit.conv, unit.norm


def _folded(unit: Any) -> Folded:
    """Of a unit that :func:`ostiary.networks.unfolding.fill` has filled."""
    return Folded(unit.conv.weight.clone(), unit.norm.bias.clone())


def _only(folded: Folded, kept: Tensor) -> Folded:
    return Folded(folded.weight[kept], folded.bias[kept])


def _pointwise(fitted: Folded) -> Folded:
    return Folded(fitted.weight[:, :, None, None], fitted.bias)


def _renormalised(first: Folded, theirs: Preprocess, ours: Preprocess) -> Folded:
    """The first convolution for crops that are normalised our way; at the border, zero is another grey."""
    mean, std = (torch.tensor(theirs.mean), torch.tensor(theirs.std))
    middle, spread = (torch.tensor(ours.mean), torch.tensor(ours.std))
    weight = first.weight * (spread / std)[:, None, None]
    shift = (first.weight * ((middle - mean) / std)[:, None, None]).sum((1, 2, 3))
    return Folded(weight, first.bias + shift)


def _read(path: Path) -> list[Folded]:
    """The convolutions in the order of computation; the last one, 1x1 on one pixel, as a linear layer."""
    graph = load_peer(path).graph
    arrays = {tensor.name: tensor for tensor in graph.initializer}
    found = []
    for node in graph.node:
        if node.op_type == "Conv":
            if len(node.input) != 3 or not {*node.input[1:]} <= arrays.keys():
                raise WeightsError(f"{path} has a convolution without a bias: nothing can start from it.")
            weight, bias = (
                torch.from_numpy(numpy_helper.to_array(arrays[name]).copy()) for name in node.input[1:]
            )
            found.append(Folded(weight, bias))
    if found:
        found[-1] = Folded(found[-1].weight.flatten(1), found[-1].bias)
    return found
