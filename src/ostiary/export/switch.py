"""The adaptive blocks of a network as If nodes, driven by the shape of one input.

Each block becomes two Ifs in sequence, so that letter B needs no second copy of a weight:
``y1 = If(light) {light(x)} else {x}``, then
``y = If(heavy) {h = heavy(x); If(light) {(y1 + h) / 2} else {h}} else {y1}``.

The letters come from the extents of the input ``sel`` along each axis (L = 1, H = 2, B = 3): feed an array of
that shape to choose per call, or fix the symbolic dimensions ``w0``, ``w1``, ... when the session is created,
and the runtime folds the choice, the Ifs and the tables of batch normalisation away.

The trunk, which all words share, stands in an If as well. Its activations are a second output, and an extent of
3 more along the first axis of ``sel`` takes them from the input ``trunk`` instead of computing them. That input
has an empty default, so that whoever does not ask for this need not feed it.
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
from ostiary.export.trunk import Trunk, has_trunk
from ostiary.runtime.liveness import GIVEN, LETTER_EXTENT


class Switchboard:
    """Writes a whole network with its switches.

    Args:
        net: the network, in evaluation mode.
        affine: its batch normalisations, see tables.py.
        example: an input (1, 3, S, S).

    """

    def __init__(self, net: nn.Module, affine: Mapping[str, Affine], example: Tensor) -> None:
        self._net = net
        self._example = example
        self._affine = affine
        self._blocks = blocks(net)
        self._shapes = _output_shapes(net, self._blocks, example)
        self._trunk = Scope("trunk/") if has_trunk(net) else None
        self._met = 0
        self._scope = Scope()
        self._emitter = Emitter(net, affine, self._block, self._scope)

    def graph(self) -> onnx.GraphProto:
        """The graph ``input`` (batch, 3, S, S) [, ``sel``] [, ``trunk``] -> ``logits`` [, ``activations``]."""
        with torch.no_grad():
            classes = self._net(self._example).shape[1]
        inputs = [_value("input", TensorProto.FLOAT, ["batch", *self._example.shape[1:]])]
        outputs = [_value("logits", TensorProto.FLOAT, ["batch", classes])]
        if self._blocks:
            axes: list[str | int] = [f"w{block}" for block in range(len(self._blocks))]
            inputs.append(_value("sel", TensorProto.UINT8, axes))
            self._read_selector(self._scope)
        if self._trunk is not None:
            shape = self._trunk_shape()
            inputs.append(_value("trunk", TensorProto.FLOAT, ["given", *shape]))
            outputs.append(_value("activations", TensorProto.FLOAT, ["batch", *shape]))
            self._scope.constant("trunk", np.zeros((0, *shape), np.float32))
        logits = self._emitter.emit(self._net, self._scope, "input", trunk=self._trunk)
        _name_last(self._scope, logits, "logits")
        return self._scope.graph("ostiary", outputs, inputs)

    def _read_selector(self, scope: Scope) -> None:
        """Name the bool scalars ``light_k`` and ``heavy_k`` of every block, and the rows of the tables."""
        extents = scope.node("Shape", ["sel"])
        heavy_only = scope.constant("extent_heavy", np.array(LETTER_EXTENT["H"], np.int64))
        light_only = scope.constant("extent_light", np.array(LETTER_EXTENT["L"], np.int64))
        deepest = max((layer.upstream for layer in self._affine.values()), default=0)
        row = ""
        for block in range(len(self._blocks)):
            extent = scope.node("Gather", [extents, scope.constant(f"axis_{block}", np.array(block, np.int64))])
            if block == 0 and self._trunk is not None:
                shift = scope.constant("given", np.array(GIVEN, np.int64))
                given = _name_last(scope, scope.node("Greater", [extent, shift]), "is_given")
                extent = scope.node("Where", [given, scope.node("Sub", [extent, shift]), extent])
            is_heavy = scope.node("Equal", [extent, heavy_only])
            _name_last(scope, scope.node("Not", [is_heavy]), f"light_{block}")
            _name_last(scope, scope.node("Greater", [extent, light_only]), f"heavy_{block}")
            if block < deepest:
                digit = scope.node("Sub", [extent, light_only])
                if row:
                    three = scope.constant("letters", np.array(len(LETTER_EXTENT), np.int64))
                    digit = scope.node("Add", [scope.node("Mul", [row, three]), digit])
                row = _name_last(scope, digit, f"row_{block + 1}")

    def _block(self, block: Adaptive, scope: Scope, value: str) -> str:
        index = self._blocks.index(block)
        if index != self._met or scope.prefix:
            raise ConfigurationError(
                "the export needs adaptive blocks that run in network order, none inside another."
            )
        self._met += 1
        if index == 0 and self._trunk is not None:
            value = self._computed_or_given(self._trunk, value)
        shape: list[str | int] = ["batch", *self._shapes[index][1:]]
        with_light = Scope(f"light{index}/")
        light = self._emitter.emit(block.light, with_light, _blocked(with_light, value, shape))
        light_or_input = scope.node(
            "If",
            [f"light_{index}"],
            then_branch=self._branch(with_light, light, shape),
            else_branch=self._unchanged(f"no_light{index}/", value, shape),
        )
        with_heavy = Scope(f"heavy{index}/")
        heavy = self._emitter.emit(block.heavy, with_heavy, _blocked(with_heavy, value, shape))
        both = Scope(f"both{index}/")
        total = both.node("Add", [light_or_input, heavy])
        mean = both.node("Mul", [total, both.constant("half", np.array(0.5, np.float32))])
        heavy_or_mean = with_heavy.node(
            "If",
            [f"light_{index}"],
            then_branch=self._branch(both, mean, shape),
            else_branch=self._unchanged(f"heavy_only{index}/", heavy, shape),
        )
        return scope.node(
            "If",
            [f"heavy_{index}"],
            then_branch=self._branch(with_heavy, heavy_or_mean, shape),
            else_branch=self._unchanged(f"light_only{index}/", light_or_input, shape),
        )

    def _computed_or_given(self, trunk: Scope, computed: str) -> str:
        shape: list[str | int] = ["batch", *self._trunk_shape()]
        activations = self._scope.node(
            "If",
            ["is_given"],
            then_branch=self._unchanged("given/", "trunk", shape),
            else_branch=self._branch(trunk, computed, shape),
        )
        return _name_last(self._scope, activations, "activations")

    def _trunk_shape(self) -> list[int]:
        with torch.no_grad():
            return list(Trunk(self._net)(self._example).shape[1:])

    def _branch(self, scope: Scope, output: str, shape: list[str | int]) -> onnx.GraphProto:
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


def _blocked(scope: Scope, value: str, shape: list[str | int]) -> str:
    """An identity that brings a branch's input into the runtime's blocked layout once, for all who read it.

    Without it the residual additions of a branch stay outside that layout: 2 to 4 % of a switched call.
    """
    return scope.node("MaxPool", [value], kernel_shape=[1, 1]) if len(shape) == 4 else value
