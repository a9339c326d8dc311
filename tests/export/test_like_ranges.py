"""Factors moved through ReLU and ReLU6: the same function, with channels that use their range."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ostiary.export.like_ranges import NARROWEST, ROOM, places, with_like_ranges
from ostiary.runtime.session import make_session

SIX = 6.0


def chain(activation: str, *, shared: bool = False) -> onnx.ModelProto:
    """1x1, activation, depthwise, activation, 1x1; ``shared``: the first activation is added at the end, too."""
    rng = np.random.default_rng(0)
    spread = 10 ** rng.uniform(-1.5, 0.5, 8)
    arrays = {
        "a": rng.normal(0, 1, (8, 3, 1, 1)) * spread[:, None, None, None],
        "a_bias": rng.normal(0, 1, 8) * spread,
        "b": rng.normal(0, 1, (8, 1, 3, 3)),
        "b_bias": rng.normal(0, 1, 8),
        "c": rng.normal(0, 1, (8, 8, 1, 1)),
        "c_bias": rng.normal(0, 1, 8),
        "zero": np.array(0.0),
        "six": np.array(SIX),
    }
    act = ["zero", "six"] if activation == "Clip" else []
    nodes = [
        helper.make_node("Conv", ["input", "a", "a_bias"], ["1"], "a"),
        helper.make_node(activation, ["1", *act], ["2"]),
        helper.make_node("Conv", ["2", "b", "b_bias"], ["3"], "b", group=8, pads=[1] * 4),
        helper.make_node(activation, ["3", *act], ["4"]),
        helper.make_node("Conv", ["4", "c", "c_bias"], ["5"], "c"),
        helper.make_node("Add", ["5", "2"], ["output"]) if shared else helper.make_node("Relu", ["5"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 8, 8, 8])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def run(model: onnx.ModelProto, inputs: NDArray[np.float32], name: str = "output") -> NDArray[np.float32]:
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.append(onnx.ValueInfoProto(name=name))
    values: NDArray[np.float32] = make_session(watched.SerializeToString()).run([name], {"input": inputs})[0]
    return values


@pytest.fixture(scope="module")
def samples() -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(0, 1, (20, 3, 8, 8)).astype(np.float32)


@pytest.mark.parametrize("activation", ["Relu", "Clip"])
def test_the_function_stays_and_the_ranges_become_alike(activation: str, samples: NDArray[np.float32]) -> None:
    model = chain(activation)
    before = model.SerializeToString()
    equal = with_like_ranges(model, samples)
    assert model.SerializeToString() == before
    np.testing.assert_allclose(run(equal, samples), run(model, samples), rtol=1e-4, atol=1e-4)
    old, new = (run(each, samples, "2").max((0, 2, 3)) for each in (model, equal))
    if activation == "Relu":
        np.testing.assert_allclose(new, old.max(), rtol=1e-4)
    else:
        assert ((new > SIX / ROOM - 1e-3) | np.isclose(new, old / NARROWEST)).all()
    assert old.max() / old.min() > 10 * new.max() / new.min()
    old, new = (run(each, samples, "4").max((0, 2, 3)) for each in (model, equal))
    alive = (old > 0) & (old < SIX)
    assert alive.sum() > 3
    assert np.ptp(np.log(new[alive])) < 0.75 * np.ptp(np.log(old[alive]))  # a dense reader meets it half-way


def test_what_somebody_else_reads_is_left_alone(samples: NDArray[np.float32]) -> None:
    assert len(places(chain("Relu").graph)) == 2
    model = chain("Relu", shared=True)
    assert [place.before.name for place in places(model.graph)] == ["b"]
    np.testing.assert_allclose(
        run(with_like_ranges(model, samples), samples), run(model, samples), rtol=1e-4, atol=1e-4
    )


def test_a_clip_that_is_no_relu_is_left_alone(samples: NDArray[np.float32]) -> None:
    model = chain("Clip")
    zero = next(tensor for tensor in model.graph.initializer if tensor.name == "zero")
    zero.CopyFrom(numpy_helper.from_array(np.array(-6, np.float32), "zero"))
    assert places(model.graph) == []
    np.testing.assert_array_equal(run(with_like_ranges(model, samples), samples), run(model, samples))
