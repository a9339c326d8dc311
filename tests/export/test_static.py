"""8-bit models: the mean of each channel is that of the model in floating point."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ostiary.errors import ConfigurationError
from ostiary.export.static import made_ready, quantised
from ostiary.runtime.session import make_session

CHANNELS = 16


@pytest.fixture(scope="module")
def pictures() -> NDArray[np.float32]:
    """Never negative, as behind a ReLU: there a rounded weight moves the mean."""
    return np.random.default_rng(0).random((24, 3, 16, 16), np.float32)


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    """Two convolutions whose channels hold one huge weight each, so that the others are rounded coarsely."""
    rng = np.random.default_rng(1)
    arrays: dict[str, NDArray[np.float32]] = {}
    for layer, inside in (("first", 3), ("second", CHANNELS)):
        weight = rng.normal(0, 0.05, (CHANNELS, inside, 3, 3)).astype(np.float32)
        weight[:, 0, 0, 0] = 4.0
        arrays |= {f"{layer}.weight": weight, f"{layer}.bias": rng.normal(0, 1, CHANNELS).astype(np.float32)}
    nodes = [
        helper.make_node("Conv", ["input", "first.weight", "first.bias"], ["a"], "first", kernel_shape=[3, 3]),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("Conv", ["b", "second.weight", "second.bias"], ["output"], "second", kernel_shape=[3, 3]),
    ]
    graph = helper.make_graph(
        nodes,
        "two",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, 16, 16])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", CHANNELS, 12, 12])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize("in_float", [[], ["first"]])
def test_rounding_moves_no_mean(
    model: onnx.ModelProto, pictures: NDArray[np.float32], in_float: list[str]
) -> None:
    small = quantised(model, pictures, in_float=in_float)
    assert {numpy_helper.to_array(tensor).dtype for tensor in small.graph.initializer} >= {np.dtype(np.int8)}
    expected, found = (
        make_session(each.SerializeToString()).run(None, {"input": pictures})[0] for each in (model, small)
    )
    moved = np.abs(found.mean((0, 2, 3)) - expected.mean((0, 2, 3)))
    spread = np.abs(found - expected).mean()
    assert moved.max() < 0.2 * spread
    assert spread < 0.1 * np.abs(expected).mean()


def test_a_model_made_ready_is_the_same_once_it_is_rounded(
    model: onnx.ModelProto, pictures: NDArray[np.float32]
) -> None:
    """Its own biases are off by what rounding its weights, and nothing else, puts right again."""
    ready = made_ready(model, pictures)
    rounded = onnx.ModelProto()
    rounded.CopyFrom(ready)
    for tensor in rounded.graph.initializer:
        weight = numpy_helper.to_array(tensor)
        if weight.ndim == 4 and tensor.name.startswith("second"):  # the stem stays in floating point
            step = np.abs(weight).max((1, 2, 3), keepdims=True) / 127
            tensor.CopyFrom(
                numpy_helper.from_array((np.round(weight / step) * step).astype(np.float32), tensor.name)
            )
    expected, off, right = (
        make_session(each.SerializeToString()).run(None, {"input": pictures})[0].mean((0, 2, 3))
        for each in (model, ready, rounded)
    )
    assert np.abs(right - expected).mean() < 0.2 * np.abs(off - expected).mean()


def test_without_pictures_nothing_is_rounded(model: onnx.ModelProto, pictures: NDArray[np.float32]) -> None:
    for rounds in (quantised, made_ready):
        with pytest.raises(ConfigurationError, match="no pictures to calibrate on"):
            rounds(model, pictures[:0])
