"""From a plain ONNX graph to LiteRT's operators: one entry a kind, channels last throughout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from ostiary.errors import ConfigurationError

if TYPE_CHECKING:
    from ostiary.export.devices.litert import Subgraph


def copy_nodes(subgraph: Subgraph) -> None:
    """Write all nodes of the subgraph's ONNX graph into it, an activation together with what it follows.

    Raises:
        ConfigurationError: an operator or a form of it that is not known here.

    """
    uses = Counter(name for node in subgraph.graph.node for name in node.input)
    uses.update(entry.name for entry in subgraph.graph.output)
    nodes = list(subgraph.graph.node)
    readers = {name: node for node in nodes for name in node.input}
    done: set[str] = set()
    for node in nodes:
        if node.output[0] in done:
            continue
        if node.op_type not in _OPERATORS:
            raise refusal(node)
        output, fused = node.output[0], "NONE"
        follower = readers.get(output)
        if node.op_type in _FUSED and follower is not None and uses[output] == 1:
            activation = _activation(subgraph, follower)
            if activation is not None:
                output, fused = follower.output[0], activation
                done.add(output)
        _OPERATORS[node.op_type](subgraph, node, output, fused)


def refusal(node: onnx.NodeProto) -> ConfigurationError:
    """What is said of a node that cannot be written."""
    return ConfigurationError(
        f"the export to LiteRT does not know this use of {node.op_type} ({node.name}): "
        "add it to ostiary/export/devices/litert_operators.py."
    )


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """The attributes of a node by name."""
    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}


def padding(
    size: tuple[int, int], kernel: tuple[int, int], strides: tuple[int, int], pads: tuple[int, int, int, int]
) -> str | None:
    """The name of LiteRT's rule that gives these pads (top, left, bottom, right); None if neither does.

    SAME pads as little as gives ``ceil(size / stride)`` answers, and the odd pixel at the end: an even picture
    under a stride of 2 gets one row less than torch gives it.
    """
    if not any(pads):
        return "VALID"
    needed = [
        max((-(-extent // step) - 1) * step + width - extent, 0)
        for extent, width, step in zip(size, kernel, strides, strict=True)
    ]
    same = [needed[0] // 2, needed[1] // 2, needed[0] - needed[0] // 2, needed[1] - needed[1] // 2]
    return "SAME" if same == list(pads) else None


def _activation(subgraph: Subgraph, node: onnx.NodeProto) -> str | None:
    if node.op_type == "Relu":
        return "RELU"
    if node.op_type == "Clip":
        low, high = (float(subgraph.constants.get(name, np.nan)) for name in node.input[1:])
        return "RELU6" if (low, high) == (0, 6) else None
    return None


def _convolution(subgraph: Subgraph, node: onnx.NodeProto, output: str, fused: str) -> None:
    schema, asked = subgraph.schema, attributes(node)
    source, weights = node.input[0], subgraph.constants[node.input[1]]
    channels, group = subgraph.shapes[source][1], asked.get("group", 1)
    kernel, strides = tuple(weights.shape[2:]), tuple(asked.get("strides", (1, 1)))
    dilations = tuple(asked.get("dilations", (1, 1)))
    pads = tuple(asked.get("pads", (0, 0, 0, 0)))
    if group not in (1, channels) or asked.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise refusal(node)
    span = tuple((width - 1) * step + 1 for width, step in zip(kernel, dilations, strict=True))
    rule = padding(tuple(subgraph.shapes[source][2:]), span, strides, pads)
    picture = subgraph.activation(source)
    if rule is None:
        picture, rule = _padded(subgraph, source, pads), "VALID"
    is_depthwise = group > 1
    options = schema.DepthwiseConv2DOptionsT() if is_depthwise else schema.Conv2DOptionsT()
    options.padding = getattr(schema.Padding, rule)
    options.strideH, options.strideW = strides
    options.dilationHFactor, options.dilationWFactor = dilations
    options.fusedActivationFunction = getattr(schema.ActivationFunctionType, fused)
    if is_depthwise:
        options.depthMultiplier = len(weights) // channels
    laid = weights.transpose(1, 2, 3, 0) if is_depthwise else weights.transpose(0, 2, 3, 1)
    bias = subgraph.constants[node.input[2]] if len(node.input) > 2 else np.zeros(len(weights), np.float32)
    inputs = [
        picture,
        subgraph.tensor(node.input[1], laid.shape, laid),
        _bias(subgraph, node.input[2] if len(node.input) > 2 else f"{output}.bias", bias),
    ]
    kind = "DEPTHWISE_CONV_2D" if is_depthwise else "CONV_2D"
    subgraph.operator(kind, inputs, [subgraph.activation(output)], options)


def _padded(subgraph: Subgraph, source: str, pads: tuple[int, ...]) -> int:
    top, left, bottom, right = pads
    shape = subgraph.shapes[source]
    wider = [shape[0], shape[2] + top + bottom, shape[3] + left + right, shape[1]]
    borders = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
    name = f"{source}.padded_{'_'.join(map(str, pads))}"
    made = subgraph.tensor(name, wider)
    inputs = [subgraph.activation(source), subgraph.tensor(f"{name}.borders", borders.shape, borders)]
    subgraph.operator("PAD", inputs, [made], subgraph.schema.PadOptionsT())
    return made


def _bias(subgraph: Subgraph, name: str, values: NDArray[np.float32]) -> int:
    return subgraph.tensor(name, values.shape, values)


def _linear(subgraph: Subgraph, node: onnx.NodeProto, output: str, fused: str) -> None:
    asked = attributes(node)
    if (
        not asked.get("transB")
        or asked.get("transA")
        or {asked.get("alpha", 1.0), asked.get("beta", 1.0)} != {1.0}
    ):
        raise refusal(node)
    options = subgraph.schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = getattr(subgraph.schema.ActivationFunctionType, fused)
    inputs = [subgraph.activation(node.input[0])]
    inputs += [
        subgraph.tensor(name, subgraph.constants[name].shape, subgraph.constants[name]) for name in node.input[1:]
    ]
    subgraph.operator("FULLY_CONNECTED", inputs, [subgraph.activation(output)], options)


def _arithmetic(kind: str, options: str) -> Callable[[Subgraph, onnx.NodeProto, str, str], None]:
    def write(subgraph: Subgraph, node: onnx.NodeProto, output: str, fused: str) -> None:
        made = getattr(subgraph.schema, options)()
        made.fusedActivationFunction = getattr(subgraph.schema.ActivationFunctionType, fused)
        inputs = [_operand(subgraph, name) for name in node.input]
        subgraph.operator(kind, inputs, [subgraph.activation(output)], made)

    return write


def _operand(subgraph: Subgraph, name: str) -> int:
    values = subgraph.constants.get(name)
    if values is None:
        return subgraph.activation(name)
    if values.ndim >= 3:
        values = np.moveaxis(values, -3, -1)
    return subgraph.tensor(name, values.shape, values)


def _mean(subgraph: Subgraph, node: onnx.NodeProto, output: str, fused: str) -> None:
    options = subgraph.schema.ReducerOptionsT()
    options.keepDims = True
    axes = np.array([1, 2], np.int32)
    inputs = [subgraph.activation(node.input[0]), subgraph.tensor("picture_axes", axes.shape, axes)]
    subgraph.operator("MEAN", inputs, [subgraph.activation(output)], options)


def _flatten(subgraph: Subgraph, node: onnx.NodeProto, output: str, fused: str) -> None:
    if attributes(node).get("axis", 1) != 1 or subgraph.shapes[node.input[0]][2:] not in ([1, 1], []):
        raise refusal(node)  # several pixels would come out in another order, channels last
    shape = np.array(subgraph.shapes[output], np.int32)
    options = subgraph.schema.ReshapeOptionsT()
    options.newShape = shape.tolist()
    inputs = [subgraph.activation(node.input[0]), subgraph.tensor(f"{output}.shape", shape.shape, shape)]
    subgraph.operator("RESHAPE", inputs, [subgraph.activation(output)], options)


def _concatenate(subgraph: Subgraph, node: onnx.NodeProto, output: str, fused: str) -> None:
    if attributes(node)["axis"] != 1:
        raise refusal(node)
    options = subgraph.schema.ConcatenationOptionsT()
    options.axis = len(subgraph.shapes[output]) - 1
    subgraph.operator(
        "CONCATENATION", [subgraph.activation(n) for n in node.input], [subgraph.activation(output)], options
    )


def _resize(subgraph: Subgraph, node: onnx.NodeProto, output: str, fused: str) -> None:
    asked = attributes(node)
    exact = (asked.get("mode"), asked.get("coordinate_transformation_mode"), asked.get("nearest_mode"))
    if exact != (b"nearest", b"asymmetric", b"floor"):
        raise refusal(node)
    size = np.array(subgraph.shapes[output][2:], np.int32)
    inputs = [subgraph.activation(node.input[0]), subgraph.tensor(f"{output}.size", size.shape, size)]
    options = subgraph.schema.ResizeNearestNeighborOptionsT()
    subgraph.operator("RESIZE_NEAREST_NEIGHBOR", inputs, [subgraph.activation(output)], options)


def _unit(subgraph: Subgraph, node: onnx.NodeProto, output: str, fused: str) -> None:
    asked = attributes(node)
    last = len(subgraph.shapes[output]) - 1
    if asked.get("p", 2) != 2 or asked.get("axis", -1) not in (-1, last) or last != 1:
        raise refusal(node)
    source, made = subgraph.activation(node.input[0]), subgraph.activation(output)
    subgraph.operator("L2_NORMALIZATION", [source], [made], subgraph.schema.L2NormOptionsT())


def _prelu(subgraph: Subgraph, node: onnx.NodeProto, output: str, fused: str) -> None:
    inputs = [subgraph.activation(node.input[0]), _operand(subgraph, node.input[1])]
    subgraph.operator("PRELU", inputs, [subgraph.activation(output)], None)


def _clip(subgraph: Subgraph, node: onnx.NodeProto, output: str, fused: str) -> None:
    activation = _activation(subgraph, node)
    if activation is None:
        raise refusal(node)
    subgraph.operator(activation, [subgraph.activation(node.input[0])], [subgraph.activation(output)], None)


def _simple(kind: str) -> Callable[[Subgraph, onnx.NodeProto, str, str], None]:
    def write(subgraph: Subgraph, node: onnx.NodeProto, output: str, fused: str) -> None:
        subgraph.operator(kind, [subgraph.activation(node.input[0])], [subgraph.activation(output)], None)

    return write


_FUSED = {"Conv", "Gemm", "Add", "Mul"}
"""Kinds whose operator takes an activation into itself."""

#: Operator of ONNX -> (subgraph, node, name of its output, activation to take in).
_OPERATORS: dict[str, Callable[[Subgraph, onnx.NodeProto, str, str], None]] = {
    "Conv": _convolution,
    "Gemm": _linear,
    "Add": _arithmetic("ADD", "AddOptionsT"),
    "Mul": _arithmetic("MUL", "MulOptionsT"),
    "GlobalAveragePool": _mean,
    "Flatten": _flatten,
    "Concat": _concatenate,
    "Resize": _resize,
    "LpNormalization": _unit,
    "PRelu": _prelu,
    "Clip": _clip,
    "Relu": _clip,
    "Sigmoid": _simple("LOGISTIC"),
    "HardSwish": _simple("HARD_SWISH"),
}
