"""The activations of a face network whose readers are all convolutions.

There a factor of each channel can be moved: into the rows of the convolution before, out of the columns of those
that read it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from ostiary.export.rewrites.weights import multiply_columns
from ostiary.networks.face_network import Block, ConvUnit, FaceNetwork, SqueezeExcite


@dataclass(frozen=True, slots=True)
class Place:
    """An activation at the end of a unit, and everything that reads what it gives.

    ``next_depthwise`` is the unit of its only reader, where that is a depthwise convolution.
    """

    unit: ConvUnit
    readers: tuple[nn.Conv2d, ...]
    next_depthwise: ConvUnit | None = None

    def read_times(self, factors: Tensor) -> None:
        """Multiply each channel where it is read."""
        for reader in self.readers:
            multiply_columns(reader, factors)


def places(network: FaceNetwork, *kinds: type[nn.Module]) -> list[Place]:
    """The activations of these kinds in a network in dense form.

    All of the chain: not those on a shortcut, nor before a shortcut that pools, nor in squeeze-and-excitation.
    """
    blocks = [block for block in network.modules() if isinstance(block, Block)]
    found = [
        Place(network.stem, (network.stem_depthwise.conv,), network.stem_depthwise),
        Place(network.last, (network.global_depthwise.conv,), network.global_depthwise),
    ]
    entry, skip = cast(ConvUnit, blocks[0].expand).conv, blocks[0].skip
    last_of_stem = network.stem_depthwise
    if isinstance(network.stem_pointwise, ConvUnit):
        found.append(Place(last_of_stem, (network.stem_pointwise.conv,)))
        last_of_stem = network.stem_pointwise
    if skip is None:
        found.append(Place(last_of_stem, (entry,)))
    elif isinstance(skip, ConvUnit):
        found.append(Place(last_of_stem, (entry, skip.conv)))
    for block in blocks:
        expand, project = cast(ConvUnit, block.expand), cast(ConvUnit, block.project)
        gates = [block.squeeze.reduce] if isinstance(block.squeeze, SqueezeExcite) else []
        found.append(Place(expand, (block.depthwise.conv,), block.depthwise))
        found.append(Place(block.depthwise, (project.conv, *gates)))
    return [place for place in found if isinstance(place.unit.act, kinds)]
