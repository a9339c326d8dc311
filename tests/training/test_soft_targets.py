"""Soft targets: a round trip, and files that are not what they should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from ostiary.data.index import Sample
from ostiary.errors import DataIndexError
from ostiary.training.soft_targets import TEMPERATURE, Watcher, read_soft_targets, write_soft_targets

SAMPLES = [Sample(name, "bona_fide", dataset="d") for name in ("a", "b", "c")]


def test_written_answers_come_back_as_probabilities_and_unknown_ones_as_nan(tmp_path: Path) -> None:
    path = tmp_path / "soft.csv"
    write_soft_targets(path, [(SAMPLES[0], 0.0), (SAMPLES[1], None), (SAMPLES[2], TEMPERATURE)])
    read = read_soft_targets(path, SAMPLES)
    assert read[0] == pytest.approx(0.5)
    assert np.isnan(read[1])
    assert read[2] == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-6)
    assert not list(tmp_path.glob("*.partial"))


def test_a_file_for_other_pictures_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "soft.csv"
    write_soft_targets(path, [(SAMPLES[0], 1.0)])
    with pytest.raises(DataIndexError, match="none of the 1 training pictures"):
        read_soft_targets(path, [Sample("z", "bona_fide", dataset="d")])
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataIndexError, match="must have the columns"):
        read_soft_targets(path, SAMPLES)
    path.write_text("dataset,path,log_odds\nd,a,much\n")
    with pytest.raises(DataIndexError, match="cannot be read"):
        read_soft_targets(path, SAMPLES)


def test_a_watcher_is_asked_about_the_very_crops(tmp_path: Path) -> None:
    """A teacher whose log-odds of bona fide are its picture's mean red minus its mean green."""
    mean = helper.make_node("ReduceMean", ["input"], ["means"], axes=[2, 3], keepdims=0)
    first = helper.make_node("Gather", ["means", "channels"], ["logits"], axis=1)
    graph = helper.make_graph(
        [mean, first],
        "red",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, 128, 128])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor("channels", TensorProto.INT64, [2], [0, 1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "facenox_minifas_v2se_128.onnx")
    crops = np.zeros((3, 96, 96, 3), np.uint8)
    crops[0, ..., 0] = crops[1, ..., 1] = 255
    answers = Watcher(tmp_path)(crops)
    expected = [1 / (1 + np.exp(-odds / TEMPERATURE)) for odds in (1, -1, 0)]
    np.testing.assert_allclose(answers, expected, atol=1e-5)
