"""Uneven pairs of 1x1 convolutions as single ones with zeros, and the shuffle between them folded away.

More multiply-adds, a third of the nodes: right where convolutions are cheap and nodes are not, as with 8-bit
weights. The other forms begin here too, for the shuffle is gone: the channels after it keep the order that
they had before it, and the depthwise weights and the columns of what follows are put in that order instead.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn

from ostiary.export.rewrites.plain import SpelledShuffle, plain
from ostiary.export.rewrites.weights import channels_of, convolution, prelu, taken
from ostiary.networks.face_network import Block, ConvUnit, FaceNetwork, SqueezeExcite, UnevenPointwise


def dense(network: FaceNetwork) -> FaceNetwork:
    """Without shuffles and pairs; a network that has neither comes out as it went in, but for :func:`plain`."""
    network = plain(network)
    for block in network.modules():
        if isinstance(block, Block):
            block.add_module("expand", _filled(block.expand))
            block.add_module("project", _filled(block.project))
            if isinstance(block.mix, SpelledShuffle):
                _unshuffle(block, block.mix)
    return network


def _filled(pointwise: nn.Module) -> nn.Module:
    """A pair as one convolution whose weights are zero between the parts."""
    if not isinstance(pointwise, UnevenPointwise):
        return pointwise
    first, second = pointwise.first, pointwise.second
    weights = [first.conv.weight, second.conv.weight]
    out, into = (sum(weight.shape[dim] for weight in weights) for dim in (0, 1))
    corner = weights[0].shape
    filled = weights[0].new_zeros(out, into, 1, 1)
    filled[: corner[0], : corner[1]], filled[corner[0] :, corner[1] :] = weights
    assert first.conv.bias is not None
    assert second.conv.bias is not None
    whole = copy.deepcopy(first)
    whole.conv = convolution(filled, torch.cat([first.conv.bias, second.conv.bias]))
    if isinstance(getattr(first, "act", None), nn.PReLU):
        slopes: list[Tensor] = [cast(nn.PReLU, unit.act).weight for unit in (first, second)]
        whole.act = prelu(torch.cat(slopes))
    return whole


def _unshuffle(block: Block, shuffle: SpelledShuffle) -> None:
    """Put all behind a shuffle into the order before it."""
    groups, channels = shuffle.inside[:2]
    before = torch.arange(groups * channels).reshape(groups, channels).T.flatten()
    order = torch.argsort(before).tolist()  # place before the shuffle -> place behind it
    block.add_module("mix", nn.Identity())
    block.depthwise = cast(ConvUnit, channels_of(block.depthwise, order))
    if isinstance(block.squeeze, SqueezeExcite):
        block.squeeze.reduce = _columns(block.squeeze.reduce, order)
        restore = block.squeeze.restore
        assert restore.bias is not None
        block.squeeze.restore = convolution(taken(restore.weight, 0, order), taken(restore.bias, 0, order))
    project = cast(ConvUnit, block.project)
    project.conv = _columns(project.conv, order)


def _columns(conv: nn.Conv2d, order: list[int]) -> nn.Conv2d:
    return convolution(taken(conv.weight, 1, order), conv.bias)
