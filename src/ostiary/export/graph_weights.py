"""The initialisers of an ONNX graph by name, read and changed as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper


class GraphWeights:
    """Arrays that are written back to the graph they came from."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def __getitem__(self, name: str) -> NDArray[Any]:
        return np.asarray(numpy_helper.to_array(self._tensors[name]))

    def __setitem__(self, name: str, array: NDArray[Any]) -> None:
        """In the type that the initialiser has."""
        kept = array.astype(self[name].dtype)
        self._tensors[name].CopyFrom(numpy_helper.from_array(kept, name))

    def shape(self, name: str) -> tuple[int, ...]:
        """Empty where there is no such initialiser."""
        return tuple(self._tensors[name].dims) if name in self._tensors else ()

    def multiply(self, name: str, factors: NDArray[np.float64], axis: int = 0) -> None:
        """By a factor for each place along an axis."""
        old = self[name]
        shape = [1] * old.ndim
        shape[axis] = -1
        self[name] = old * factors.reshape(shape)


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """An attribute of a node."""
    found = next((entry for entry in node.attribute if entry.name == name), None)
    return default if found is None else onnx.helper.get_attribute_value(found)
