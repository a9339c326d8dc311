"""The table of operators that the export knows: one entry a layer, function or tensor method.

Convolution and batch normalisation are missing here because they are written together (graph.py).
Each entry writes nodes into a scope and returns the name of the result.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ostiary.errors import ConfigurationError

if TYPE_CHECKING:
    from ostiary.export.graph import Scope


def _pass(scope: Scope, layer: object, value: str, *_: Any) -> str:
    return value


def _clip6(scope: Scope, layer: object, value: str, *_: Any) -> str:
    # The bounds lie in the scope that uses them: only then does the runtime fuse Clip into the convolution.
    low = scope.constant("zero", np.array(0.0, np.float32))
    high = scope.constant("six", np.array(6.0, np.float32))
    return scope.node("Clip", [value, low, high])


def _simple(name: str, **attributes: Any) -> Callable[..., str]:
    def emit(scope: Scope, layer: object, value: str, *_: Any) -> str:
        return scope.node(name, [value], **attributes)

    return emit


def _linear(scope: Scope, layer: nn.Linear, value: str) -> str:
    name = f"linear_{len(scope.nodes)}"
    inputs = [value, scope.constant(f"{name}.weight", layer.weight.detach().cpu().numpy())]
    if layer.bias is not None:
        inputs.append(scope.constant(f"{name}.bias", layer.bias.detach().cpu().numpy()))
    return scope.node("Gemm", inputs, transB=1)


def _global_pool(scope: Scope, layer: nn.AdaptiveAvgPool2d, value: str) -> str:
    if layer.output_size not in (1, (1, 1)):
        raise ConfigurationError(
            f"the export knows adaptive average pooling to 1x1 only, not to {layer.output_size}."
        )
    return scope.node("GlobalAveragePool", [value])


def _max_pool(scope: Scope, layer: nn.MaxPool2d, value: str) -> str:
    kernel, stride, padding = _pair(layer.kernel_size), _pair(layer.stride), _pair(layer.padding)
    return scope.node("MaxPool", [value], kernel_shape=kernel, strides=stride, pads=padding * 2)


def _flatten_layer(scope: Scope, layer: nn.Flatten, value: str) -> str:
    return _flatten(scope, value, layer.start_dim, layer.end_dim)


def _flatten(scope: Scope, value: str, start_dim: int = 0, end_dim: int = -1) -> str:
    if (start_dim, end_dim) != (1, -1):
        raise ConfigurationError("the export knows flattening of all axes but the first only.")
    return scope.node("Flatten", [value], axis=1)


def _mean(scope: Scope, value: str, dim: Any = None, keepdim: bool = False) -> str:
    if sorted(axis % 4 for axis in dim) != [2, 3]:
        raise ConfigurationError("the export knows the mean over height and width only.")
    # Pooling, unlike ReduceMean, takes the runtime's blocked layout.
    pooled = scope.node("GlobalAveragePool", [value])
    return pooled if keepdim else _flatten(scope, pooled, 1)


def _prelu(scope: Scope, layer: nn.PReLU, value: str) -> str:
    slopes = layer.weight.detach().cpu().numpy()[:, None, None]
    return scope.node("PRelu", [value, scope.constant(f"prelu_{len(scope.nodes)}.slopes", slopes)])


def _silu(scope: Scope, layer: nn.SiLU, value: str) -> str:
    return scope.node("Mul", [value, scope.node("Sigmoid", [value])])


def _upsample(scope: Scope, layer: nn.Upsample, value: str) -> str:
    if layer.mode != "nearest" or layer.scale_factor is None:
        raise ConfigurationError("the export knows upsampling to the nearest pixel by a factor only.")
    factors = layer.scale_factor if isinstance(layer.scale_factor, tuple) else (layer.scale_factor,) * 2
    scales = scope.constant(f"upsample_{len(scope.nodes)}.scales", np.array([1, 1, *factors], np.float32))
    # The one way of counting pixels for which the runtime stays in its blocked layout.
    exact = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return scope.node("Resize", [value, "", scales], **exact)


def _split(scope: Scope, value: str, widths: list[int], dim: int = 0) -> list[str]:
    sizes = scope.constant(f"widths_{'_'.join(map(str, widths))}", np.array(widths, np.int64))
    return scope.fan_out("Split", [value, sizes], len(widths), axis=dim)


def _concatenate(scope: Scope, values: list[str], dim: int = 0) -> str:
    return scope.node("Concat", list(values), axis=dim)


def _reshape(scope: Scope, value: str, *shape: int) -> str:
    constant = scope.constant(f"shape_{'_'.join(map(str, shape))}", np.array(shape, np.int64))
    return scope.node("Reshape", [value, constant])


def _permute(scope: Scope, value: str, *axes: int) -> str:
    return scope.node("Transpose", [value], perm=axes)


def _normalise(scope: Scope, value: str, p: float = 2.0, dim: int = 1, **_: Any) -> str:
    return scope.node("LpNormalization", [value], axis=dim, p=int(p))


def _binary(name: str) -> Callable[..., str]:
    def emit(scope: Scope, left: Any, right: Any, **_: Any) -> str:
        return scope.node(name, [_value(scope, left), _value(scope, right)])

    return emit


def _value(scope: Scope, value: str | float) -> str:
    if isinstance(value, str):
        return value
    return scope.constant(f"number_{value}", np.array(value, np.float32))


def _pair(value: int | tuple[int, ...]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


#: Layer class -> (scope, layer, input) -> output.
MODULES: dict[type[nn.Module], Callable[..., str]] = {
    nn.ReLU6: _clip6,
    nn.ReLU: _simple("Relu"),
    nn.Sigmoid: _simple("Sigmoid"),
    nn.PReLU: _prelu,
    nn.SiLU: _silu,
    nn.Hardsigmoid: _simple("HardSigmoid", alpha=1 / 6, beta=0.5),
    nn.Hardswish: _simple("HardSwish"),
    nn.Identity: _pass,
    nn.Dropout: _pass,
    nn.Dropout2d: _pass,
    nn.AdaptiveAvgPool2d: _global_pool,
    nn.MaxPool2d: _max_pool,
    nn.Upsample: _upsample,
    nn.Flatten: _flatten_layer,
    nn.Linear: _linear,
}

#: Function -> (scope, *arguments) -> output, or the list of outputs.
FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    operator.add: _binary("Add"),
    operator.iadd: _binary("Add"),
    torch.add: _binary("Add"),
    operator.mul: _binary("Mul"),
    operator.truediv: _binary("Div"),
    operator.getitem: lambda scope, values, place: values[place],
    torch.split: _split,
    torch.cat: _concatenate,
    torch.flatten: _flatten,
    torch.relu: lambda scope, value, **_: scope.node("Relu", [value]),
    functional.relu: lambda scope, value, **_: scope.node("Relu", [value]),
    functional.relu6: lambda scope, value, **_: _clip6(scope, None, value),
    functional.normalize: _normalise,
}

#: Tensor method -> (scope, *arguments) -> output.
METHODS: dict[str, Callable[..., str]] = {
    "mean": _mean,
    "flatten": _flatten,
    "add": _binary("Add"),
    "reshape": _reshape,
    "permute": _permute,
}
