"""The adaptive blocks of a network as If nodes, driven by the shape of one input.

Each block becomes two Ifs in sequence, so that letter B needs no second copy of a weight:
``y1 = If(light) {light(x)} else {x}``, then ``y = If(heavy) {h = heavy(x); If(light) {(y1 + h) / 2} else {h}}
else {y1}``. The letters come from the extents of the input ``sel`` along each axis (L = 1, H = 2, B = 3): feed
an array of that shape to choose per call, or fix the symbolic dimensions ``w0``, ``w1``, ... when the session is
created, and the runtime folds the choice, the Ifs and the tables of batch normalisation away.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from ostiary.adaptive import Adaptive, blocks
from ostiary.errors import ConfigurationError
from ostiary.export.graph import Emitter, Scope
from ostiary.export.tables import Affine
from ostiary.runtime.liveness import LETTER_EXTENT


class Switchboard:
    """Writes a whole network with its switches.

    Args:
        net: the network, in evaluation mode.
        affine: its batch normalisations, see tables.py.
        example: an input (1, 3, S, S).
    """

    def __init__(self, net: nn.Module, affine: Mapping[str, Affine], example: Tensor) -> None:
        self._blocks = blocks(net)
        self._shapes = _output_shapes(net, self._blocks, example)
        self._met = 0
        self._emitter = Emitter(net, affine, self._block, lambda letters: f"row_{letters}")
        self._affine = affine
        self._net = net

    def graph(self, example: Tensor) -> onnx.GraphProto:
        """The graph ``input`` (batch, 3, S, S) [, ``sel``] -> ``logits`` (batch, classes)."""
        scope = Scope()
        inputs = [_value("input", TensorProto.FLOAT, ["batch", *example.shape[1:]])]
        if self._blocks:
            axes = [f"w{block}" for block in range(len(self._blocks))]
            inputs.append(_value("sel", TensorProto.UINT8, axes))
            self._read_selector(scope)
        last = self._emitter.emit(self._net, scope, "input")
        scope.nodes.append(helper.make_node("Identity", [last], ["logits"], name="logits"))
        return scope.graph("ostiary", [_value("logits", TensorProto.FLOAT, ["batch", _classes(self._net, example)])], inputs)

    def _read_selector(self, scope: Scope) -> None:
        """Name the scalars ``light_k``, ``heavy_k`` (bool) of every block, and the rows of the tables in use."""
        extents = scope.node("Shape", ["sel"])
        heavy_only = scope.constant("extent_heavy", np.array(LETTER_EXTENT["H"], np.int64))
        light_only = scope.constant("extent_light", np.array(LETTER_EXTENT["L"], np.int64))
        three = scope.constant("letters", np.array(len(LETTER_EXTENT), np.int64))
        deepest = max((layer.upstream for layer in self._affine.values()), default=0)
        row = ""
        for block in range(len(self._blocks)):
            extent = scope.node("Gather", [extents, scope.constant(f"axis_{block}", np.array(block, np.int64))])
            is_heavy = scope.node("Equal", [extent, heavy_only])
            _name_last(scope, scope.node("Not", [is_heavy]), f"light_{block}")
            _name_last(scope, scope.node("Greater", [extent, light_only]), f"heavy_{block}")
            if block < deepest:
                digit = scope.node("Sub", [extent, light_only])
                if row:
                    digit = scope.node("Add", [scope.node("Mul", [row, three]), digit])
                row = _name_last(scope, digit, f"row_{block + 1}")

    def _block(self, block: Adaptive, scope: Scope, value: str) -> str:
        index = self._blocks.index(block)
        if index != self._met or scope.prefix:
            raise ConfigurationError("the export needs adaptive blocks that run in network order, none inside another.")
        self._met += 1
        shape = ["batch", *self._shapes[index][1:]]
        with_light = Scope(f"block{index}_light/")
        light = self._branch(with_light, self._emitter.emit(block.light, with_light, value), shape)
        without_light = self._unchanged(f"block{index}_no_light/", value, shape)
        light_or_input = scope.node("If", [f"light_{index}"], then_branch=light, else_branch=without_light)

        with_heavy = Scope(f"block{index}_heavy/")
        heavy = self._emitter.emit(block.heavy, with_heavy, value)
        both = Scope(f"block{index}_both/")
        total = both.node("Add", [light_or_input, heavy])
        half = both.node("Mul", [total, both.constant("half", np.array(0.5, np.float32))])
        heavy_or_mean = with_heavy.node(
            "If",
            [f"light_{index}"],
            then_branch=self._branch(both, half, shape),
            else_branch=self._unchanged(f"block{index}_heavy_only/", heavy, shape),
        )
        return scope.node(
            "If",
            [f"heavy_{index}"],
            then_branch=self._branch(with_heavy, heavy_or_mean, shape),
            else_branch=self._unchanged(f"block{index}_light_only/", light_or_input, shape),
        )

    @staticmethod
    def _branch(scope: Scope, output: str, shape: list[str | int]) -> onnx.GraphProto:
        return scope.graph(scope.prefix.rstrip("/"), [_value(output, TensorProto.FLOAT, shape)])

    def _unchanged(self, prefix: str, value: str, shape: list[str | int]) -> onnx.GraphProto:
        scope = Scope(prefix)
        return self._branch(scope, scope.node("Identity", [value]), shape)


def _value(name: str, kind: int, shape: list[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _name_last(scope: Scope, output: str, name: str) -> str:
    """Give the output of the node just written a name that subgraphs can refer to."""
    assert scope.nodes[-1].output[0] == output
    scope.nodes[-1].output[0] = name
    return name


def _classes(net: nn.Module, example: Tensor) -> int:
    with torch.no_grad():
        return int(net(example).shape[1])


def _output_shapes(net: nn.Module, adaptive: list[Adaptive], example: Tensor) -> list[torch.Size]:
    shapes: dict[int, torch.Size] = {}
    hooks = [
        block.register_forward_hook(lambda module, _, output: shapes.__setitem__(id(module), output.shape))
        for block in adaptive
    ]
    try:
        with torch.no_grad():
            net(example)
    finally:
        for hook in hooks:
            hook.remove()
    return [shapes[id(block)] for block in adaptive]
