"""The rules by which single operators pass over to another runtime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional

from ostiary.errors import ConfigurationError
from ostiary.export.devices.litert_operators import padding
from ostiary.export.devices.torch_graph import TorchGraph


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pads", "rule"),
    [
        (8, 1, 1, (0, 0), "VALID"),
        (8, 1, 2, (0, 0), "VALID"),
        (8, 3, 1, (1, 1), "SAME"),
        (9, 3, 2, (1, 1), "SAME"),
        (8, 3, 2, (1, 1), None),  # as torch pads an even picture: one pixel on each side, and the last is not used
        (8, 3, 2, (0, 1), "SAME"),
        (8, 5, 1, (2, 2), "SAME"),
        (8, 5, 1, (1, 1), None),
    ],
)
def test_padding_has_the_name_of_what_it_does(
    size: int, kernel: int, stride: int, pads: tuple[int, int], rule: str | None
) -> None:
    square = (pads[0], pads[0], pads[1], pads[1])
    assert padding((size, size), (kernel, kernel), (stride, stride), square) == rule


def test_torch_computes_what_the_graph_says() -> None:
    generator = np.random.default_rng(0)
    weight = generator.standard_normal((4, 3, 3, 3)).astype(np.float32)
    bias = generator.standard_normal(4).astype(np.float32)
    picture = generator.standard_normal((1, 3, 8, 8)).astype(np.float32)
    network = TorchGraph(_model(weight, bias, pads=[0, 0, 1, 1]))
    padded = functional.pad(torch.from_numpy(picture), (0, 1, 0, 1))
    expected = functional.conv2d(padded, torch.from_numpy(weight), torch.from_numpy(bias), 2).clamp(-0.5, 1.5)
    torch.testing.assert_close(network(torch.from_numpy(picture)), expected)


def test_an_operator_that_is_not_known_is_named() -> None:
    model = _model(np.zeros((4, 3, 3, 3), np.float32), np.zeros(4, np.float32), pads=[1, 1, 1, 1])
    model.graph.node[1].op_type = "Mish"
    with pytest.raises(ConfigurationError, match="does not know Mish"):
        TorchGraph(model)
    pytest.importorskip("ai_edge_litert", reason="ai_edge_litert is not installed")
    from ostiary.export.devices.litert_operators import refusal

    assert "does not know this use of Mish" in str(refusal(model.graph.node[1]))


def _model(weight: np.ndarray, bias: np.ndarray, pads: list[int]) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["input", "w", "b"], ["wide"], name="conv", strides=[2, 2], pads=pads),
        helper.make_node("Clip", ["wide", "low", "high"], ["out"], name="act"),
    ]
    constants = {"w": weight, "b": bias, "low": np.float32(-0.5), "high": np.float32(1.5)}
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["batch", 4, 4, 4])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
