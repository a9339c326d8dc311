"""A plain ONNX graph as a torch module, for the converters that start from torch.

The weights file is what was checked and what runs everywhere else. So the way to torch starts at the file, and not
at a training's checkpoint, which whoever packs a phone's application does not have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from ostiary.errors import ConfigurationError

Attributes = dict[str, Any]


class TorchGraph(nn.Module):
    """The network of a plain graph (plain.py): pictures (N, 3, S, S) -> its answer.

    Raises:
        ConfigurationError: an operator that is not in the table.

    """

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__()
        graph = model.graph
        self._input, self._output = graph.input[0].name, graph.output[0].name
        self._places: dict[str, str] = {}
        for place, tensor in enumerate(graph.initializer):
            self._places[tensor.name] = f"weight_{place}"
            self.register_buffer(f"weight_{place}", torch.from_numpy(numpy_helper.to_array(tensor).copy()))
        self._nodes: list[tuple[Callable[..., Tensor], list[str], str, Attributes]] = []
        for node in graph.node:
            if node.op_type not in _OPERATORS:
                raise ConfigurationError(
                    f"the export by torch does not know {node.op_type} ({node.name}): "
                    "add it to ostiary/export/devices/torch_graph.py."
                )
            asked = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
            if node.op_type == "Clip":  # its bounds are numbers, not tensors, to every later stage
                bounds = [
                    numpy_helper.to_array(tensor).item()
                    for name in node.input[1:]
                    for tensor in graph.initializer
                    if tensor.name == name
                ]
                asked, inputs = {"low": bounds[0], "high": bounds[1]}, [node.input[0]]
            else:
                inputs = [name for name in node.input if name]
            self._nodes.append((_OPERATORS[node.op_type], inputs, node.output[0], asked))

    def forward(self, pictures: Tensor) -> Tensor:
        """Run the nodes in order."""
        values = {name: getattr(self, place) for name, place in self._places.items()}
        values[self._input] = pictures
        for operator, inputs, output, asked in self._nodes:
            values[output] = operator(asked, *(values[name] for name in inputs))
        answer: Tensor = values[self._output]
        return answer


def _convolution(asked: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    top, left, bottom, right = asked.get("pads", (0, 0, 0, 0))
    if (top, left) != (bottom, right):
        x, top, left = functional.pad(x, (left, right, top, bottom)), 0, 0
    strides, dilations = tuple(asked.get("strides", (1, 1))), tuple(asked.get("dilations", (1, 1)))
    return functional.conv2d(x, weight, bias, strides, (top, left), dilations, asked.get("group", 1))


def _clip(asked: Attributes, x: Tensor) -> Tensor:
    # The quantiser of ExecuTorch knows hardtanh, and leaves clamp in floating point.
    return functional.hardtanh(x, asked["low"], asked["high"])


def _linear(asked: Attributes, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    if (
        not asked.get("transB")
        or asked.get("transA")
        or {asked.get("alpha", 1.0), asked.get("beta", 1.0)} != {1.0}
    ):
        raise ConfigurationError("the export by torch knows a Gemm as a linear layer only (transB).")
    return functional.linear(x, weight, bias)


def _resize(asked: Attributes, x: Tensor, scales: Tensor) -> Tensor:
    factors = [float(factor) for factor in scales.tolist()[2:]]
    return functional.interpolate(x, scale_factor=factors, mode="nearest")


#: Operator of ONNX -> (attributes, *inputs) -> output.
_OPERATORS: dict[str, Callable[..., Tensor]] = {
    "Conv": _convolution,
    "Gemm": _linear,
    "Clip": _clip,
    "Relu": lambda asked, x: functional.relu(x),
    "Sigmoid": lambda asked, x: torch.sigmoid(x),
    "HardSwish": lambda asked, x: functional.hardswish(x),
    "PRelu": lambda asked, x, slopes: functional.prelu(x, slopes.flatten()),
    "Add": lambda asked, x, y: x + y,
    "Mul": lambda asked, x, y: x * y,
    "Concat": lambda asked, *parts: torch.cat(parts, asked["axis"]),
    "GlobalAveragePool": lambda asked, x: x.mean((2, 3), keepdim=True),
    "Flatten": lambda asked, x: torch.flatten(x, asked.get("axis", 1)),
    "Resize": _resize,
    "LpNormalization": lambda asked, x: functional.normalize(x, float(asked.get("p", 2)), asked.get("axis", -1)),
}
