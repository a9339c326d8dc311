"""Times of face networks: what is in the report, and that both MobileFaceNets stand beside each network."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from ostiary.errors import ConfigurationError, InputError
from ostiary.export import face_latency
from ostiary.export.face_latency import measure_faces
from ostiary.export.face_latency_page import table
from ostiary.export.face_subjects import chosen_networks, fed_picture
from ostiary.networks.face_network import Style
from ostiary.networks.seesaw import SHUFFLE

from .conftest import small


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody's model for one crop at a time."""
    graph = helper.make_graph(
        [helper.make_node("Conv", ["data", "weight"], ["answer"])],
        "peer",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 112, 112])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ones((2, 3, 3, 3), np.float32), "weight")],
    )
    path = tmp_path_factory.mktemp("peer") / "theirs.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


@pytest.fixture(scope="module")
def report(peer: Path) -> dict:  # type: ignore[type-arg]
    # A small network in the baseline's place: what is asked here does not depend on its size.
    networks = {"mobilefacenet": small(Style("prelu")), "mine": small(SHUFFLE), "rectified": small(Style("relu"))}
    return measure_faces(networks, peers=[peer], rounds=2)


def test_every_network_is_there_plain_and_deployed(report: dict) -> None:  # type: ignore[type-arg]
    forms = {
        name: {(form["precision"], form["form"], form["deployed"]) for form in network["forms"]}
        for name, network in report["networks"].items()
    }
    assert forms["mobilefacenet"] == {
        ("float32", "plain", False),
        ("float32", "rectify", True),
        ("int8", "plain", False),
        ("int8", "bend", True),
    }
    assert forms["mine"] == {
        ("float32", "plain", False),
        ("float32", "apart + upsample", True),
        ("int8", "plain", False),
        ("int8", "whole + broadcast", True),
    }
    assert forms["rectified"] == {("float32", "plain", True), ("int8", "plain", True)}
    assert set(report["networks"]["mine"]) == {"parameters", "macs", "macs_tsx", "forms"}
    json.dumps(report)


def test_ratios_are_to_the_baselines_of_the_same_run(report: dict) -> None:  # type: ignore[type-arg]
    forms = {
        (name, form["precision"], form["form"]): form
        for name, network in report["networks"].items()
        for form in network["forms"]
    }
    plain, rewritten = forms["mobilefacenet", "float32", "plain"], forms["mobilefacenet", "float32", "rectify"]
    assert plain["of_plain"] == rewritten["of_rewritten"] == 1
    assert forms["mobilefacenet", "int8", "bend"]["of_rewritten_alike"] == 1
    mine = forms["mine", "int8", "whole + broadcast"]
    assert mine["of_plain"] == pytest.approx(mine["ms"] / plain["ms"])
    assert mine["of_rewritten"] == pytest.approx(mine["ms"] / rewritten["ms"])
    alike = mine["ms"] / forms["mobilefacenet", "int8", "bend"]["ms"]
    assert mine["of_rewritten_alike"] == pytest.approx(alike)
    assert report["peers"]["theirs"]["ms"] > 0


def test_operators_are_counted_in_the_graph_that_runs(report: dict) -> None:  # type: ignore[type-arg]
    before, after = (
        next(form["operators"] for form in report["networks"]["mine"]["forms"] if form["form"] == name)
        for name in ("plain", "apart + upsample")
    )
    assert before["Transpose"] == 6
    assert before["Split"] == 12
    assert "Transpose" not in after
    assert "Split" not in after


def test_the_page_has_a_line_for_each(report: dict) -> None:  # type: ignore[type-arg]
    lines = table(report).splitlines()
    assert sum(line.startswith("| mine | int8 | **whole + broadcast** |") for line in lines) == 1
    assert sum(line.startswith("| theirs |") for line in lines) == 1
    for header, rule in itertools.pairwise(lines):
        if rule.startswith("|---"):
            assert header.count("|") == rule.count("|")


def test_all_forms_are_timed_if_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_latency, "untrained", lambda _build: small(Style("prelu")))
    report = measure_faces({}, precisions=["float32"], every_form=True, rounds=1)
    forms = [form["form"] for form in report["networks"]["mobilefacenet"]["forms"]]
    assert forms == ["plain", "blend", "fold", "rectify", "bend"]


def test_networks_by_name() -> None:
    chosen = chosen_networks(["seesaw_share", "pta_seesaw_shuffle/LLL"], [])
    assert list(chosen) == ["seesaw_share", "pta_seesaw_shuffle/LLL"]
    with pytest.raises(ConfigurationError, match="no face network 'resnet' to time"):
        chosen_networks(["resnet"], [])


def test_a_picture_to_feed(tmp_path: Path) -> None:
    Image.fromarray(np.full((112, 112, 3), 255, np.uint8)).save(tmp_path / "white.png")
    assert fed_picture(tmp_path / "white.png").shape == (1, 3, 112, 112)
    assert (fed_picture(tmp_path / "white.png") == 1).all()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "small.png")
    with pytest.raises(InputError, match="112, 112"):
        fed_picture(tmp_path / "small.png")
