"""``export face``, ``bench face`` and ``model face``: what is written and printed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from ostiary.cli import bench_face, export_face, model_face
from ostiary.errors import ConfigurationError, WeightsError
from ostiary.export import face_latency
from ostiary.networks.face_network import FaceNetwork, Layout, Row, Style
from ostiary.networks.registry import FACE
from ostiary.runtime.embedding import EmbeddingModel
from ostiary.training.checkpoint import save_tensors
from ostiary.training.embedding.margins import Margin
from ostiary.training.embedding.recipe import FaceRecipe
from ostiary.training.schedule import Schedule

LAYOUT = Layout(16, (Row(32, 16, 1, 2), Row(32, 16, 1, 2), Row(32, 16, 1, 2)), last=16)


def tiny(dimension: int = 8) -> FaceNetwork:
    return FaceNetwork(LAYOUT, Style("prelu"), dimension)


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model as a training run leaves it."""
    monkeypatch.setitem(FACE, "tiny", tiny)
    torch.manual_seed(0)
    recipe = FaceRecipe(
        name="tiny", summary="For tests.", network="tiny", dimension=8, margin=Margin(),
        schedule=Schedule(epochs=1, learning_rate=0.1),
    )  # fmt: skip
    record = {"recipe": recipe.model_dump(mode="json"), "commit": "abc", "seed": 0, "data": ["noise"],
              "index_sha256": "0" * 64}  # fmt: skip
    save_tensors(tmp_path / "model.safetensors", dict(tiny().state_dict()), record)
    return tmp_path / "model.safetensors"


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    folder = tmp_path / "crops"
    folder.mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (112, 112, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_both_targets(trained: Path, crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    large, small = tmp_path / "large.onnx", tmp_path / "small.onnx"
    export_face.face(trained, large, name="mine", version="7", notes="For a test.")
    export_face.face(trained, small, export_face.Target.int8, calibration=crops, record=tmp_path / "record.json")
    metadata = EmbeddingModel(large).metadata
    assert (metadata.name, metadata.version, metadata.notes) == ("mine", "7", "For a test.")
    assert (metadata.network, metadata.dimension, metadata.data) == ("tiny", 8, ["noise"])
    assert EmbeddingModel(small).metadata.precision == "int8"
    record = json.loads((tmp_path / "record.json").read_text())
    assert (record["target"], record["form"], record["threshold"]) == ("cpu-int8", "bend", None)
    shown = capsys.readouterr()
    assert "rectify" in shown.err
    assert "holds no threshold" in shown.err
    assert shown.out == ""


def test_the_plain_form_is_the_network_as_it_was_trained(trained: Path, crops: Path, tmp_path: Path) -> None:
    plain, fast = tmp_path / "plain.onnx", tmp_path / "fast.onnx"
    export_face.face(trained, plain, plain=True, record=tmp_path / "record.json")
    export_face.face(trained, fast)
    assert json.loads((tmp_path / "record.json").read_text())["form"] == "plain"
    pictures = np.stack([np.asarray(Image.open(path)) for path in sorted(crops.iterdir())])
    embeddings = [EmbeddingModel(path).embed(pictures) for path in (plain, fast)]
    assert np.allclose(*embeddings, atol=1e-5)
    kinds = [{node.op_type for node in onnx.load(path).graph.node} for path in (plain, fast)]
    assert "PRelu" in kinds[0]
    assert "PRelu" not in kinds[1]


def test_a_list_needs_its_pictures(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="go together"):
        export_face.face(trained, tmp_path / "face.onnx", index=[tmp_path / "people.csv"])


def test_a_model_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.safetensors"):
        export_face.face(tmp_path / "none.safetensors", tmp_path / "face.onnx")


def test_bench_prints_markdown_and_writes_json(
    trained: Path, crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(face_latency, "untrained", lambda _build: tiny().eval())
    out = tmp_path / "face.json"
    bench_face.face(model=[trained], picture=crops / "0.png", int8=False, rounds=1, out=out)
    shown = capsys.readouterr().out
    assert "| tiny | float32 | **rectify** |" in shown
    report = json.loads(out.read_text())
    assert set(report["networks"]) == {"mobilefacenet", "tiny"}
    bench_face.face(model=[trained], int8=False, rounds=1, json=True)
    assert set(json.loads(capsys.readouterr().out)) == set(report)


def test_model_face_has_the_integers_of_the_paper(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(FACE, "pta_seesaw_shuffle")  # 27 more networks
    model_face.face(as_json=True)
    costs = json.loads(capsys.readouterr().out)
    assert costs["mobilefacenet"] == {"parameters": 1_200_512, "macs": 221_161_984, "macs_tsx": 221_179_712}
    assert costs["seesaw_shuffle"] == {"parameters": 1_370_176, "macs": 145_762_816, "macs_tsx": 145_773_856}
    assert costs["dw_seesaw_v2"]["macs_tsx"] == 526_505_424
    model_face.face(as_json=False, dimension=128)
    assert "1,003,136" in capsys.readouterr().out
