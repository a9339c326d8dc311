"""A tiny embedding network whose answers can be reckoned by hand: the mean colours of 4 x 4 fields of a crop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from ostiary.faces.preprocess import Preprocess
from ostiary.runtime.container import HASH_KEY, MODEL_KEY, ZERO_HASH, seal
from ostiary.runtime.embedding_record import EmbeddingMetadata, MatchThreshold

SIZE, FIELDS = 112, 4
DIMENSION = 3 * FIELDS * FIELDS

Make = Callable[..., Path]
Expect = Callable[[NDArray[np.uint8]], NDArray[np.float64]]


@pytest.fixture(scope="session")
def threshold() -> MatchThreshold:
    return MatchThreshold(value=0.9, rate=0.001, n_mated=500, n_non_mated=20_000, data="drawn faces")


@pytest.fixture(scope="session")
def metadata() -> EmbeddingMetadata:
    return EmbeddingMetadata(
        name="fields", version="1", licence="none", data=["noise"], training_commit="unknown", network="fields",
        dimension=DIMENSION, parameters=0, macs=0,
        preprocess=Preprocess(crop="aligned", size=SIZE, mean=(127.5,) * 3, std=(127.5,) * 3),
    )  # fmt: skip


@pytest.fixture(scope="session")
def make_weights(metadata: EmbeddingMetadata, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Weights of the network; ``twist`` is an operator on its output, ``shape`` that of its input."""

    def make(twist: str = "Identity", shape: tuple[int | str, ...] = ("N", 3, SIZE, SIZE), **changes: Any) -> Path:
        side = SIZE // FIELDS
        nodes = [
            helper.make_node("AveragePool", ["faces"], ["means"], kernel_shape=[side, side], strides=[side, side]),
            helper.make_node("Flatten", ["means"], ["fields"]),
            helper.make_node(twist, ["fields", "fields"] if twist == "Sub" else ["fields"], ["out"]),
        ]
        inputs = [helper.make_tensor_value_info("faces", TensorProto.FLOAT, shape)]
        outputs = [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", "D"])]
        graph = helper.make_graph(nodes, "fields", inputs, outputs)
        model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
        path = tmp_path_factory.mktemp("fields") / "fields.onnx"
        path.write_bytes(sealed(model, metadata.model_copy(update=changes).model_dump_json(exclude_none=True)))
        return path

    return make


def sealed(model: onnx.ModelProto, record: str) -> bytes:
    helper.set_model_props(model, {MODEL_KEY: record, HASH_KEY: ZERO_HASH})
    return seal(model.SerializeToString())


@pytest.fixture(scope="session")
def weights(make_weights: Make) -> Path:
    """Without a threshold."""
    return make_weights()


@pytest.fixture(scope="session")
def calibrated(make_weights: Make, threshold: MatchThreshold) -> Path:
    return make_weights(threshold=threshold)


@pytest.fixture(scope="session")
def expected() -> Expect:
    """What the network must answer for one RGB crop, reckoned by numpy: float64 (48,), channel by channel."""

    def reckon(crop: NDArray[np.uint8]) -> NDArray[np.float64]:
        side = SIZE // FIELDS
        means = ((crop - 127.5) / 127.5).reshape(FIELDS, side, FIELDS, side, 3).mean((1, 3))
        fields: NDArray[np.float64] = means.transpose(2, 0, 1).ravel()
        unit: NDArray[np.float64] = fields / np.linalg.norm(fields)
        return unit

    return reckon
