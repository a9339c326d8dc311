"""Pictures that drive a network out of its usual values set no ranges."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ostiary.export.static import quantised
from ostiary.export.usual_pictures import usual_pictures
from ostiary.runtime.session import make_session


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    """Two convolutions with a square between them: large pictures become huge."""
    rng = np.random.default_rng(1)
    arrays = {
        "first.weight": rng.normal(0, 0.2, (8, 3, 3, 3)),
        "first.bias": rng.normal(0, 0.1, 8),
        "second.weight": rng.normal(0, 0.2, (8, 8, 3, 3)),
        "second.bias": rng.normal(0, 0.1, 8),
    }
    nodes = [
        helper.make_node("Conv", ["input", "first.weight", "first.bias"], ["a"], "first", kernel_shape=[3, 3]),
        helper.make_node("Mul", ["a", "a"], ["b"], "square"),
        helper.make_node("Conv", ["b", "second.weight", "second.bias"], ["output"], "second", kernel_shape=[3, 3]),
    ]
    graph = helper.make_graph(
        nodes,
        "squares",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, 12, 12])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 8, 8, 8])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture(scope="module")
def pictures() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, 1, (24, 3, 12, 12)).astype(np.float32)


def with_strangers(pictures: NDArray[np.float32], places: list[int]) -> NDArray[np.float32]:
    mixed = pictures.copy()
    mixed[places] *= 30
    return mixed


def test_the_far_ones_are_left_out_and_the_others_stay_in_order(
    model: onnx.ModelProto, pictures: NDArray[np.float32]
) -> None:
    assert np.array_equal(usual_pictures(model, pictures), pictures)
    mixed = with_strangers(pictures, [0, 7, 23])
    expected = np.delete(pictures, [0, 7, 23], axis=0)
    assert np.array_equal(usual_pictures(model, mixed), expected)


def test_what_many_do_is_usual(model: onnx.ModelProto, pictures: NDArray[np.float32]) -> None:
    """With a third of the pictures far out, three quarters of all stay, and the farthest go."""
    mixed = with_strangers(pictures, [*range(8)])
    mixed[0] *= 10
    kept = usual_pictures(model, mixed)
    assert len(kept) >= 18
    assert not any(np.array_equal(mixed[0], each) for each in kept)


def test_a_model_that_is_silent_on_most_keeps_all(pictures: NDArray[np.float32], model: onnx.ModelProto) -> None:
    silent = onnx.ModelProto()
    silent.CopyFrom(model)
    for tensor in silent.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(np.zeros(tuple(tensor.dims), np.float32), tensor.name))
    assert np.array_equal(usual_pictures(silent, pictures), pictures)


def test_eight_bits_serve_the_usual_ones(model: onnx.ModelProto, pictures: NDArray[np.float32]) -> None:
    def error(calibration: NDArray[np.float32]) -> float:
        small = quantised(model, calibration)
        expected, found = (
            make_session(each.SerializeToString()).run(None, {"input": pictures[1:]})[0] for each in (model, small)
        )
        return float(np.sqrt(np.square(found - expected).mean() / np.square(expected).mean()))

    alone = error(pictures[1:])
    assert alone < 0.05
    assert error(with_strangers(pictures, [0])) < 1.2 * alone
