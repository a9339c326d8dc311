"""Where node, its packages and Chromium are, golden vectors, and a small face network for them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from ostiary.export.card import model_of, sealed
from ostiary.export.golden import golden_vectors, write_golden
from ostiary.faces.preprocess import Preprocess
from ostiary.runtime.embedding_record import EmbeddingMetadata, MatchThreshold

ROOT = Path(__file__).parents[2]
WORDS = ("LLL", "HLB", "BBB")
CHANNELS, FIELDS = 24, 4


@pytest.fixture(scope="session")
def node() -> str:
    """The program node; without it what it would run is skipped."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed, and the page's code runs in it here")
    return found


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """Packages of npm: OSTIARY_NODE_MODULES, or what `npm install` in web/ has made."""
    folder = Path(os.environ.get("OSTIARY_NODE_MODULES", ROOT / "web" / "node_modules"))
    if not (folder / "onnxruntime-web" / "package.json").is_file():
        pytest.skip(f"onnxruntime-web is not in {folder}: run `npm install` in web/, or set OSTIARY_NODE_MODULES")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    found = os.environ.get("OSTIARY_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("there is no Chromium here; set OSTIARY_CHROMIUM to one")
    return found


@pytest.fixture(scope="session")
def face_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face network of one convolution drawn at random, whose embeddings tell pictures apart and no people."""
    size = 112
    weights = np.random.default_rng(0).normal(size=(CHANNELS, 3, 7, 7), scale=0.1).astype(np.float32)
    stride = size // FIELDS // 7
    nodes = [
        helper.make_node("Conv", ["faces", "weights"], ["edges"], strides=[stride] * 2, pads=[3] * 4),
        helper.make_node("Relu", ["edges"], ["some"]),
        helper.make_node("AveragePool", ["some"], ["means"], kernel_shape=[7, 7], strides=[7, 7]),
        helper.make_node("Flatten", ["means"], ["out"]),
    ]
    dimension = CHANNELS * FIELDS * FIELDS
    graph = helper.make_graph(
        nodes,
        "edges",
        [helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["N", 3, size, size])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", dimension])],
        [numpy_helper.from_array(weights, "weights")],
    )
    record = EmbeddingMetadata(
        name="edges", version="1", licence="none", data=["noise"], training_commit="unknown", network="edges",
        dimension=dimension, parameters=weights.size, macs=0,
        preprocess=Preprocess(crop="aligned", size=size, mean=(127.5,) * 3, std=(127.5,) * 3),
        threshold=MatchThreshold(value=0.95, rate=0.001, n_mated=500, n_non_mated=20_000, data="none", flip=True),
    )  # fmt: skip
    path = tmp_path_factory.mktemp("edges") / "edges.onnx"
    path.write_bytes(sealed(model_of(graph), record))
    return path


@pytest.fixture(scope="session")
def golden(face_weights: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Golden vectors of both portraits."""
    vectors = golden_vectors(
        [pictures / "astronaut.png", pictures / "grace_hopper.jpg"], face_weights=face_weights, words=WORDS
    )
    path = tmp_path_factory.mktemp("golden") / "golden.json"
    write_golden(path, vectors)
    return path
