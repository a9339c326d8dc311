"""``ostiary bench liveness``: the documented JSON, for a small network of the real architecture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from ostiary.cli.app import app
from ostiary.errors import ConfigurationError
from ostiary.export.card import Card, sealed
from ostiary.export.latency import measure_latency
from ostiary.export.onnx import liveness_model
from ostiary.faces.preprocess import Preprocess
from ostiary.networks.mobilenet_v2 import pta_mobilenet_v2


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    net = pta_mobilenet_v2().eval()
    card = Card(
        name="small", version="1", licence="none", data=[], training_commit="unknown",
        preprocess=Preprocess(crop="loose", size=32), default_configuration="HHH",
    )  # fmt: skip
    path = tmp_path_factory.mktemp("bench") / "small.onnx"
    path.write_bytes(sealed(liveness_model(net, card.preprocess), card.metadata(net, per_configuration=False)))
    return path


@pytest.fixture
def peer(tmp_path: Path) -> Path:
    """Somebody's model with free dimensions."""
    shape = ["batch", 3, "height", "width"]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "weight"], ["answer"])],
        "peer",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ones((2, 3, 3, 3), np.float32), "weight")],
    )
    path = tmp_path / "theirs.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def test_json_has_the_documented_shape(weights: Path, peer: Path) -> None:
    result = CliRunner().invoke(
        app,
        ["bench", "liveness", "--json", "--weights", str(weights), "--words", "HHH,LLL", "--rounds", "5",
         "--peer", str(peer)],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["runs"] == 5
    assert report["stock_ms"] > 0
    assert set(report["configurations"]) == {"HHH", "LLL"}
    assert set(report["configurations"]["LLL"]) == {"specialised", "switched"}
    assert set(report["int8"]) == {"LLL"}
    assert set(report["peers"]) == {"theirs"}
    low, high = report["quartiles"]["configurations"]["HHH"]["switched"]
    assert 0 < low <= high


def test_the_table_names_each_candidate(weights: Path) -> None:
    result = CliRunner().invoke(
        app, ["bench", "liveness", "--weights", str(weights), "--words", "HLB", "--rounds", "2"]
    )
    assert result.exit_code == 0, result.output
    assert "HLB" in result.stdout
    assert "LLL, 8-bit" in result.stdout


def test_unknown_words_and_odd_peers_are_refused(weights: Path) -> None:
    with pytest.raises(ConfigurationError, match="no configuration 'HX' to time"):
        measure_latency(weights, words=["HX"], rounds=1)
    with pytest.raises(ConfigurationError, match="a peer needs one input"):
        measure_latency(weights, words=["HHH"], peers=[weights], rounds=1)
