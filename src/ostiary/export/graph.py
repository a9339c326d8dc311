"""From a torch network to ONNX nodes, by way of torch.fx and a small table of operators.

The usual exporters lift weights out of control flow, which costs the runtime's blocked layout (a factor of
more than two), and leave traces of the machine in the file. This one writes only what it is told to: each
branch's weights go into the graph that uses them, and batch normalisation is folded into the convolution
before it unless its statistics depend on the configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor, fx, nn

from ostiary.adaptive import Adaptive
from ostiary.errors import ConfigurationError
from ostiary.export.operators import FUNCTIONS, METHODS, MODULES
from ostiary.export.tables import Affine


@dataclass
class Scope:
    """Nodes and initialisers of one graph or subgraph; the prefix keeps its names apart from all others'."""

    prefix: str = ""
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initialisers: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Store an array under a name (once) and return its full name."""
        full = f"{self.prefix}{name}"
        tensor = numpy_helper.from_array(np.array(value, order="C"), full)
        if self.initialisers.setdefault(full, tensor) != tensor:
            raise ConfigurationError(
                f"{name} is used twice and normalised in two ways: the export cannot share it."
            )
        return full

    def node(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        """Append a node with one output and return that output's name."""
        name = f"{self.prefix}{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def fan_out(self, operator: str, inputs: list[str], count: int, **attributes: Any) -> list[str]:
        """Append a node with several outputs and return their names."""
        name = f"{self.prefix}{operator}_{len(self.nodes)}"
        outputs = [f"{name}_{place}" for place in range(count)]
        self.nodes.append(helper.make_node(operator, inputs, outputs, name=name, **attributes))
        return outputs

    def graph(
        self, name: str, outputs: list[onnx.ValueInfoProto], inputs: list[onnx.ValueInfoProto] | None = None
    ) -> onnx.GraphProto:
        """Close the scope into a graph."""
        return helper.make_graph(self.nodes, name, inputs or [], outputs, list(self.initialisers.values()))


#: Writes an adaptive block: (block, scope, name of its input) -> name of its output.
EmitAdaptive = Callable[[Adaptive, Scope, str], str]


class Emitter:
    """Writes the nodes of modules of one network.

    Args:
        net: the whole network; its layer names are the keys of ``affine``.
        affine: every batch normalisation, see tables.py.
        emit_adaptive: called for each adaptive block met.
        outer: the scope of the whole graph, in which the scalars ``row_k`` (row of a table for the first k
            letters) must be named where a batch normalisation needs them.

    """

    def __init__(
        self, net: nn.Module, affine: Mapping[str, Affine], emit_adaptive: EmitAdaptive, outer: Scope
    ) -> None:
        self._names = {id(module): name for name, module in net.named_modules()}
        self._affine = affine
        self._emit_adaptive = emit_adaptive
        self._outer = outer
        self._constants: dict[tuple[int, float], str] = {}

    def emit(self, module: nn.Module, scope: Scope, value: str, *, trunk: Scope | None = None) -> str:
        """Write a module of one input and one output into a scope; returns the output's name.

        Args:
            module: what to write.
            scope: where to write it.
            value: name of its input.
            trunk: a scope of its own for what comes before the first adaptive block (see trunk.py).

        Raises:
            ConfigurationError: an operator that operators.py does not list.

        """
        layers, graph = traced(module)
        values: dict[fx.Node, Any] = {}
        place = scope if trunk is None else trunk
        for node in graph.nodes:
            arguments = fx.node.map_arg(node.args, lambda argument: values[argument])
            if adaptive_at(node, layers):
                place = scope
            if node.op == "placeholder":
                values[node] = value
            elif node.op == "call_module":
                values[node] = self._layer(node, layers, place, arguments[0])
            elif node.op == "output":
                value = arguments[0]
            else:
                values[node] = _operation(node, place, arguments)
        return value

    def _layer(self, node: fx.Node, layers: Mapping[str, nn.Module], scope: Scope, value: str) -> str:
        layer = layers[str(node.target)]
        if isinstance(layer, Adaptive):
            return self._emit_adaptive(layer, scope, value)
        if isinstance(layer, nn.Conv2d):
            # A batch normalisation that follows writes the convolution with itself.
            return value if _is_normalised(node, layers) else self._convolution(layer, scope, value)
        if isinstance(layer, nn.BatchNorm2d):
            before = node.args[0]
            assert isinstance(before, fx.Node)
            conv = layers[str(before.target)] if _is_normalised(before, layers) else None
            return self._batch_norm(layer, conv, scope, value)
        if type(layer) not in MODULES:
            raise ConfigurationError(
                f"the export does not know the layer {type(layer).__name__} ({self._names[id(layer)]}): "
                "add it to ostiary/export/operators.py."
            )
        return MODULES[type(layer)](scope, layer, value)

    def _batch_norm(self, layer: nn.BatchNorm2d, conv: nn.Module | None, scope: Scope, value: str) -> str:
        name = self._names[id(layer)]
        affine = self._affine[name]
        if isinstance(conv, nn.Conv2d):
            if not affine.varies:
                return self._convolution(conv, scope, value, affine)
            if conv.bias is not None:  # a bias before the scale is a shift after it, in every row
                bias = _array(conv.bias)
                affine = Affine(affine.scale, affine.shift + affine.scale * bias, affine.upstream)
            value = self._convolution(conv, scope, value, bias=False)
        factors = []
        for part, rows in (("scale", affine.scale), ("shift", affine.shift)):
            table = scope.constant(f"{name}.{part}", rows if affine.varies else rows[0])
            row = [table, f"row_{affine.upstream}"]
            factors.append(scope.node("Gather", row, axis=0) if affine.varies else table)
        width = affine.scale.shape[1]
        factors += [self._filled(width, 0.0), self._filled(width, 1.0)]
        return scope.node("BatchNormalization", [value, *factors], epsilon=0.0)

    def _filled(self, width: int, number: float) -> str:
        """Mean 0 or variance 1 for a batch normalisation: made when the file is loaded, not stored."""
        if (width, number) not in self._constants:
            shape = self._outer.constant(f"width_{width}", np.array([width], np.int64))
            filling = numpy_helper.from_array(np.array([number], np.float32))
            self._constants[width, number] = self._outer.node("ConstantOfShape", [shape], value=filling)
        return self._constants[width, number]

    def _convolution(
        self, conv: nn.Conv2d, scope: Scope, value: str, affine: Affine | None = None, *, bias: bool = True
    ) -> str:
        """Write a convolution, with a one-row affine map folded into weights and bias if there is one."""
        name = self._names[id(conv)]
        if isinstance(conv.padding, str) or conv.padding_mode != "zeros":
            raise ConfigurationError(f"the export knows zero padding by number only; {name} has another.")
        weight = _array(conv.weight)
        shift = _array(conv.bias) if conv.bias is not None and bias else None
        if affine is not None:
            weight = weight * affine.scale[0][:, None, None, None]
            shift = affine.shift[0] + (affine.scale[0] * shift if shift is not None else 0)
        inputs = [value, scope.constant(f"{name}.weight", weight)]
        if shift is not None:
            inputs.append(scope.constant(f"{name}.bias", shift))
        shape = {"strides": list(conv.stride), "pads": list(conv.padding) * 2}
        if conv.dilation != (1, 1):
            shape["dilations"] = list(conv.dilation)
        return scope.node("Conv", inputs, **shape, group=conv.groups)


def traced(module: nn.Module) -> tuple[dict[str, nn.Module], fx.Graph]:
    """The layers of a module by the names that its trace calls them, and the trace; blocks stay whole."""
    root = nn.Sequential(module)  # so that a lone layer is a leaf of the trace like any other
    return dict(root.named_modules()), _Tracer().trace(root)


def adaptive_at(node: fx.Node, layers: Mapping[str, nn.Module]) -> bool:
    """Whether a node of a trace is an adaptive block."""
    return node.op == "call_module" and isinstance(layers[str(node.target)], Adaptive)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, Adaptive) or super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        # Not by way of __call__: its hooks (such as the check of a crop's size) look at numbers, not at a trace.
        return super().call_module(m, m.forward, args, kwargs)


def _is_normalised(node: fx.Node, layers: Mapping[str, nn.Module]) -> bool:
    """Whether a node is a convolution whose only user is a batch normalisation."""
    if node.op != "call_module" or not isinstance(layers[str(node.target)], nn.Conv2d) or len(node.users) != 1:
        return False
    user = next(iter(node.users))
    return user.op == "call_module" and isinstance(layers[str(user.target)], nn.BatchNorm2d)


def _operation(node: fx.Node, scope: Scope, arguments: tuple[Any, ...]) -> Any:
    emit = METHODS.get(str(node.target)) if node.op == "call_method" else FUNCTIONS.get(node.target)  # type: ignore[arg-type]
    if emit is None:
        raise ConfigurationError(
            f"the export does not know the operation {node.target} ({node.op}): "
            "add it to ostiary/export/operators.py."
        )
    return emit(scope, *arguments, **node.kwargs)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().cpu().numpy()
    return array
