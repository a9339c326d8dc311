"""What comes before 8 bits: sums of like range, weights rounded together, ranges that err least."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ostiary.export.fitting_ranges import fitting_range, fitting_ranges
from ostiary.export.graph_weights import GraphWeights
from ostiary.export.half_size import SMALLEST, in_half_size
from ostiary.export.inner_values import inner_values
from ostiary.export.like_sums import sums, with_like_sums
from ostiary.export.optimal_rounding import STEPS, rounded_rows, rounded_together
from ostiary.runtime.session import make_session


def residual(*, read_elsewhere: bool = False) -> onnx.ModelProto:
    """``a`` writes, a block reads and is added to it, ``d`` reads the sum."""
    rng = np.random.default_rng(0)
    spread = 10 ** rng.uniform(-1, 1, 8)
    arrays = {
        "a": rng.normal(0, 1, (8, 3, 1, 1)) * spread[:, None, None, None],
        "a_bias": rng.normal(0, 1, 8) * spread,
        "b": rng.normal(0, 1, (16, 8, 1, 1)) / spread[:, None, None],
        "b_bias": rng.normal(0, 1, 16),
        "c": rng.normal(0, 0.3, (8, 16, 1, 1)) * spread[:, None, None, None],
        "c_bias": np.zeros(8),
        "d": rng.normal(0, 1, (4, 8, 1, 1)) / spread[:, None, None],
        "d_bias": np.zeros(4),
    }
    nodes = [
        helper.make_node("Conv", ["input", "a", "a_bias"], ["1"], "a"),
        helper.make_node("Conv", ["1", "b", "b_bias"], ["2"], "b"),
        helper.make_node("Relu", ["2"], ["3"], "act"),
        helper.make_node("Conv", ["3", "c", "c_bias"], ["4"], "c"),
        helper.make_node("Add", ["1", "4"], ["5"], "add"),
        helper.make_node("Conv", ["5", "d", "d_bias"], ["output"], "d"),
        *([helper.make_node("Sigmoid", ["5"], ["6"], "elsewhere")] if read_elsewhere else []),
    ]
    graph = helper.make_graph(
        nodes,
        "residual",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 4, 8, 8])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture(scope="module")
def samples() -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(0, 1, (20, 3, 8, 8)).astype(np.float32)


def output(model: onnx.ModelProto, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = make_session(model.SerializeToString()).run(None, {"input": samples})[0]
    return found


def largest(model: onnx.ModelProto, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of each channel, over both values that the addition ties together."""
    maps = [np.abs(each).max((0, 2, 3)) for each in next(inner_values(model, ["1", "4", "5"], samples, 20))]
    return np.asarray(np.max(maps, axis=0), np.float32)


def test_the_function_stays_and_sums_become_alike(samples: NDArray[np.float32]) -> None:
    model = residual()
    before = model.SerializeToString()
    equal = with_like_sums(model, samples)
    assert model.SerializeToString() == before
    np.testing.assert_allclose(output(equal, samples), output(model, samples), rtol=1e-3, atol=1e-4)
    assert np.ptp(np.log(largest(model, samples))) > 2
    np.testing.assert_allclose(largest(equal, samples), largest(model, samples).max(), rtol=1e-4)
    (found,) = sums(model.graph)
    assert sorted(found.values) == ["1", "4", "5"]
    assert [node.name for node in found.writers] == ["a", "c"] or [node.name for node in found.writers] == [
        "c",
        "a",
    ]
    assert sorted(node.name for node in found.readers) == ["b", "d"]


def test_a_sum_that_something_else_reads_is_left_alone(samples: NDArray[np.float32]) -> None:
    model = residual(read_elsewhere=True)
    assert sums(model.graph) == []
    assert with_like_sums(model, samples) == model


def test_a_silent_sum_is_left_alone() -> None:
    model = residual()
    for tensor in model.graph.initializer:
        if tensor.name in {"a_bias", "b_bias"}:
            tensor.CopyFrom(numpy_helper.from_array(np.zeros(tensor.dims, np.float32), tensor.name))
    assert with_like_sums(model, np.zeros((2, 3, 8, 8), np.float32)) == model


def test_weights_are_on_steps_and_the_layer_errs_less(samples: NDArray[np.float32]) -> None:
    model = residual()
    rounded = rounded_together(model, samples)
    ours, theirs = GraphWeights(rounded.graph), GraphWeights(model.graph)
    for name in "abcd":
        rows = ours[name].reshape(len(ours[name]), -1).astype(np.float64)
        old = theirs[name].reshape(rows.shape)
        steps = np.abs(old).max(1, keepdims=True) / STEPS
        np.testing.assert_allclose(np.abs(rows).max(1), np.abs(old).max(1), rtol=1e-6)
        np.testing.assert_allclose(rows / steps, np.round(rows / steps), atol=2e-3)
    kept = rounded_together(model, samples, in_float=["b", "d"])
    assert (GraphWeights(kept.graph)["b"] == theirs["b"]).all()
    assert (GraphWeights(kept.graph)["c"] != theirs["c"]).any()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), alike=st.floats(0.3, 0.95), width=st.integers(8, 40))
def test_rounding_together_errs_less_than_to_the_nearest(seed: int, alike: float, width: int) -> None:
    """For inputs that are alike, over rows enough to average: by the squares of what the layer gives."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(0, 1, (width, 500)) * np.sqrt(1 - alike) + rng.normal(0, 1, 500) * np.sqrt(alike)
    rows = rng.normal(0, 1, (64, width))
    steps = np.abs(rows).max(1, keepdims=True) / STEPS
    nearest = np.round(rows / steps) * steps
    together = rounded_rows(rows, inputs @ inputs.T / 500)
    errors = [np.square((each - rows) @ inputs).mean() for each in (nearest, together)]
    assert errors[1] < errors[0]


def test_silent_inputs_change_nothing() -> None:
    rows = np.random.default_rng(0).normal(0, 1, (3, 5))
    assert (rounded_rows(rows, np.zeros((5, 5))) == rows).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), tail=st.floats(1, 40))
def test_a_range_errs_least_and_holds_zero(seed: int, tail: float) -> None:
    values = np.random.default_rng(seed).normal(0, 1, 5000)
    values[0], values[1] = tail, -tail
    low, high = float(values.min()), float(values.max())
    often = np.where(np.abs(values) < tail, 1e4, 1.0)  # the tails are rare
    counts = np.histogram(values, 2048, (low, high), weights=often)[0]
    found = fitting_range(counts, low, high)
    assert low <= found[0] <= 0 <= found[1] <= high

    def error(low: float, high: float) -> float:
        step = (high - low) / 255
        return float((often * np.square(np.clip(np.round(values / step) * step, low, high) - values)).sum())

    assert error(*found) <= 1.1 * error(low, high)
    if tail > 30:
        assert found[1] < 0.5 * high


def test_ranges_are_of_values_without_a_relu(samples: NDArray[np.float32]) -> None:
    found = fitting_ranges(residual(read_elsewhere=True), samples, in_float=["add"])
    assert set(found) == {"1", "4"}  # 2 has a ReLU behind it, 5 stays in floating point
    for (entry,) in found.values():
        assert entry["zero_point"].dtype == np.uint8
        assert entry["scale"] > 0


def test_weights_in_half_the_bytes_give_nearly_the_same(samples: NDArray[np.float32]) -> None:
    model = residual()
    weights = GraphWeights(model.graph)
    big = np.random.default_rng(0).normal(0, 1, (SMALLEST, 8, 1, 1)).astype(np.float32)
    for tensor in model.graph.initializer:
        if tensor.name in {"d", "d_bias"}:
            tensor.CopyFrom(numpy_helper.from_array(big if tensor.name == "d" else big[:, 0, 0, 0], tensor.name))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = SMALLEST
    small = in_half_size(model, ["c", "d"])
    halved = [node.output[0] for node in small.graph.node if node.op_type == "Cast"]
    assert sorted(halved) == ["d", "d_bias"], "c is too small to be worth it"
    assert len(small.SerializeToString()) < 0.55 * len(model.SerializeToString())
    np.testing.assert_allclose(output(small, samples), output(model, samples), rtol=5e-3, atol=0.05)
    assert weights["c"].dtype == np.float32
