"""The trunk: the layers before the first adaptive block, which compute the same in every configuration.

What they gave in one configuration is therefore good for any other. The export gives them a place of their
own in the file, where nothing behind the first block looks past it.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ostiary.adaptive import blocks
from ostiary.export.graph import adaptive_at, traced


class Trunk(nn.Module):
    """The trunk of an adaptive network as a module: pictures (N, 3, S, S) -> what the first block takes in."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """Run the network and leave it at the door of its first block."""
        hook = blocks(self.net)[0].register_forward_pre_hook(_stop)
        try:
            self.net(x)
        except _Reached as reached:
            return reached.activations
        finally:
            hook.remove()
        raise AssertionError("a network that does not run its first adaptive block has no trunk")


def has_trunk(net: nn.Module) -> bool:
    """Whether there are layers before the first adaptive block, and all behind it depends on its input alone.

    A skip connection around the block, from the trunk or the picture, makes the answer no.
    """
    layers, graph = traced(net)
    nodes = list(graph.nodes)
    first = next((place for place, node in enumerate(nodes) if adaptive_at(node, layers)), None)
    if first is None:
        return False
    (entry,) = nodes[first].all_input_nodes
    before = set(nodes[:first]) - {entry}
    return entry.op != "placeholder" and not any(before & set(node.all_input_nodes) for node in nodes[first:])


class _Reached(Exception):  # noqa: N818  not an error: the way out of a forward pass
    def __init__(self, activations: Tensor) -> None:
        super().__init__()
        self.activations = activations


def _stop(_block: nn.Module, inputs: tuple[Any, ...]) -> None:
    raise _Reached(inputs[0])
