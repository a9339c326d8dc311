"""Soft targets: a round trip, and files that are not what they should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

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


def _teacher(path: Path, channel: int, size: int, classes: int) -> None:
    """A network whose every logit is 0 but that of bona fide: the mean of one channel of its input."""
    weights = np.zeros((3, classes), np.float32)
    weights[channel, 1 if classes == 3 else 0] = 1
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["input"], ["means"], axes=[2, 3], keepdims=0),
            helper.make_node("MatMul", ["means", "weights"], ["logits"]),
        ],
        "teacher",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, size, size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", classes])],
        [numpy_helper.from_array(weights, "weights")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def test_a_watcher_is_asked_about_the_very_crops(tmp_path: Path) -> None:
    _teacher(tmp_path / "facenox_minifas_v2se_128.onnx", channel=0, size=128, classes=2)  # red, 0 to 1
    crops = np.zeros((2, 96, 96, 3), np.uint8)
    crops[0, ..., 0] = crops[1, ..., 1] = 255
    answers = Watcher(tmp_path, ["facenox"])(crops, [0, 0])
    np.testing.assert_allclose(answers, [1 / (1 + np.exp(-odds / TEMPERATURE)) for odds in (1, 0)], atol=1e-5)


def test_answers_are_counted_from_where_each_data_set_parts(tmp_path: Path) -> None:
    _teacher(tmp_path / "facenox_minifas_v2se_128.onnx", channel=0, size=128, classes=2)  # red, 0 to 1
    watcher = Watcher(tmp_path, ["facenox"])

    def reds(*values: int) -> np.ndarray:
        crops = np.zeros((len(values), 16, 16, 3), np.uint8)
        crops[..., 0] = np.array(values)[:, None, None]
        return crops

    bona_fide = np.array([True, True, False, False])
    dark, bright = reds(51, 61, 0, 10), reds(245, 255, 194, 204)
    watcher.learn_levels([(dark, bona_fide), (bright, bona_fide), (dark[:2], bona_fide[:2])])
    answers = watcher(reds(51, 245, 10, 204, 51), [0, 1, 0, 1, 2])
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-5)
    np.testing.assert_allclose(answers[2], answers[3], atol=1e-5)
    assert answers[2] < 0.5 <= answers[0]
    assert answers[4] < answers[0]  # of a data set with one class: counted from the mean of the others' levels


def test_watchers_are_averaged_and_a_pair_counts_as_one(tmp_path: Path) -> None:
    _teacher(tmp_path / "facenox_minifas_v2se_128.onnx", channel=0, size=128, classes=2)
    for name in ("2.7_80x80_MiniFASNetV2.onnx", "4_0_0_80x80_MiniFASNetV1SE.onnx"):
        _teacher(tmp_path / name, channel=0, size=80, classes=3)  # blue comes first there, 0 to 255
    crops = np.full((1, 128, 128, 3), (255, 0, 8), np.uint8)
    answer = Watcher(tmp_path, ["facenox", "minifasnet_v2", "minifasnet_v1se"])(crops, [0])
    odds = (1 + (8 - np.log(2))) / 2
    np.testing.assert_allclose(answer, [1 / (1 + np.exp(-odds / TEMPERATURE))], atol=1e-5)
