"""Files for other runtimes decide what the weights file decides, each run by its own runtime."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError, InputError, MissingExtraError, WeightsError
from ostiary.export.devices import RUNTIMES, runtime
from ostiary.export.devices.answers import answers
from ostiary.export.devices.exporting import LIMITS, export_device
from ostiary.export.devices.plain import Source
from ostiary.export.devices.runtime import Precision
from ostiary.export.golden_rules import packed
from ostiary.runtime.embedding import similarity
from ostiary.runtime.liveness import LivenessModel
from ostiary.runtime.session import make_session

Crops = NDArray[np.uint8]

PACKAGES = {
    "onnx": ("onnxruntime",),
    "litert": ("ai_edge_litert", "ai_edge_quantizer"),
    "ncnn": ("ncnn", "pnnx"),
    "executorch": ("executorch",),
}
QUICK = ("onnx", "litert", "ncnn")
"""ExecuTorch takes seconds to be imported, and has a test of its own."""


def installed(to: str) -> None:
    for package in PACKAGES[to]:
        pytest.importorskip(package, reason=f"{package} is not installed")


def test_every_word_becomes_a_plain_graph(weights: Path, crops: Crops) -> None:
    source, model = Source.read(weights), LivenessModel(weights)
    pictures = model.metadata.preprocess.normalise(crops)
    for word in source.words:
        plain = source.plain(word)
        assert not {"If", "Shape", "Gather", "MaxPool"} & {node.op_type for node in plain.graph.node}
        found = make_session(plain.SerializeToString()).run(None, {"input": pictures})[0]
        np.testing.assert_allclose(found, model.logits(crops, word), atol=1e-5)


@pytest.mark.parametrize("precision", get_args(Precision))
@pytest.mark.parametrize("to", QUICK)
def test_a_file_answers_as_onnx_runtime_does(
    to: str, precision: Precision, weights: Path, crops: Crops, tmp_path: Path
) -> None:
    installed(to)
    (made,) = export_device(weights, to, tmp_path, words=["L"], precision=precision, calibration=crops)
    record = json.loads(made.record.read_text())
    assert record["files"] == {file.name: _sha256(file) for file in made.files}
    assert record["source"]["sha256"] == _sha256(weights)
    configuration = record["record"]["configurations"]["L"]
    assert ("threshold" in configuration) == (precision != "int8")  # it was chosen for answers that have moved
    run = runtime(to).open(made.files, "L")
    found = answers(run, Source.read(weights), crops)
    # 8 bits: a channel whose weights are all 0 keeps its bias, without which this would be 0.2 and more.
    limit = 0.05 if precision == "int8" else LIMITS[precision]
    np.testing.assert_allclose(found, LivenessModel(weights).liveness(crops, "L"), atol=limit)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_one_litert_file_holds_every_word(
    precision: Precision, weights: Path, crops: Crops, tmp_path: Path
) -> None:
    installed("litert")
    given = {"words": ["H", "L", "B"], "precision": precision, "calibration": crops}
    (together,) = export_device(weights, "litert", tmp_path / "one", together=True, **given)
    apart = export_device(weights, "litert", tmp_path / "three", **given)
    assert len(apart) == 3
    assert _size(together.files) < 0.9 * sum(_size(one.files) for one in apart)
    source, model = Source.read(weights), LivenessModel(weights)
    for word in "HLB":
        found = answers(runtime("litert").open(together.files, word), source, crops)
        limit = 0.05 if precision == "int8" else 1e-3
        np.testing.assert_allclose(found, model.liveness(crops, word), atol=limit)


def test_executorch_holds_every_word_and_eight_bits(weights: Path, crops: Crops, tmp_path: Path) -> None:
    installed("executorch")
    source, model = Source.read(weights), LivenessModel(weights)
    (together,) = export_device(weights, "executorch", tmp_path, words=["H", "L"], together=True)
    for word in "HL":
        found = answers(runtime("executorch").open(together.files, word), source, crops)
        np.testing.assert_allclose(found, model.liveness(crops, word), atol=1e-3)
    (small,) = export_device(weights, "executorch", tmp_path, words=["H"], precision="int8", calibration=crops)
    assert _size(small.files) < _size(together.files)


@pytest.mark.parametrize("to", QUICK)
def test_a_face_network_keeps_its_similarities(to: str, face_weights: Path, crops: Crops, tmp_path: Path) -> None:
    installed(to)
    (made,) = export_device(face_weights, to, tmp_path)
    source = Source.read(face_weights)
    pictures = source.record.preprocess.normalise(crops)
    embeddings = make_session(source.content).run(None, {"input": pictures})[0]
    found = answers(runtime(to).open(made.files, ""), source, crops)
    np.testing.assert_allclose(found, similarity(embeddings, embeddings[0]), atol=1e-3)
    lengths = [np.linalg.norm(runtime(to).open(made.files, "")(picture[None])) for picture in pictures[:2]]
    np.testing.assert_allclose(lengths, 1, atol=1e-3)


def test_an_onnx_file_of_one_word_is_a_weights_file(weights: Path, crops: Crops, tmp_path: Path) -> None:
    (made,) = export_device(weights, "onnx", tmp_path, words=["B"])
    model = LivenessModel(made.files[0])
    assert model.words == ["B"]
    assert model.threshold().value == 0.5
    np.testing.assert_allclose(model.liveness(crops), LivenessModel(weights).liveness(crops, "B"), atol=1e-6)


def test_golden_vectors_are_the_measure_where_they_are_given(weights: Path, crops: Crops, tmp_path: Path) -> None:
    golden = tmp_path / "golden.json"
    right = LivenessModel(weights).liveness(crops, "H")
    _write_golden(golden, _sha256(weights), crops, right)
    (made,) = export_device(weights, "onnx", tmp_path / "out", golden=golden)
    assert json.loads(made.record.read_text())["check"]["pictures"] == len(crops)
    _write_golden(golden, _sha256(weights), crops, right + np.eye(len(crops), dtype=np.float32)[5] * 0.01)
    with pytest.raises(WeightsError, match="answers otherwise"):
        export_device(weights, "onnx", tmp_path / "none", golden=golden)
    assert not (tmp_path / "none").exists()
    with pytest.raises(InputError, match="'L'"):
        export_device(weights, "onnx", tmp_path / "none", words=["L"], golden=golden)
    _write_golden(golden, "0" * 64, crops, right)
    with pytest.raises(InputError, match=r"was not made with small\.onnx"):
        export_device(weights, "onnx", tmp_path / "none", golden=golden)
    golden.write_text("{")
    with pytest.raises(InputError, match="is not a file of"):
        export_device(weights, "onnx", tmp_path / "none", golden=golden)


def test_what_cannot_be_had_is_refused_in_one_sentence(weights: Path, crops: Crops, tmp_path: Path) -> None:
    out = tmp_path / "none"
    with pytest.raises(ConfigurationError, match="executorch has no fp16; choose one of: fp32, int8"):
        export_device(weights, "executorch", out, precision="fp16")
    with pytest.raises(ConfigurationError, match=r"no configuration 'X' in small\.onnx; it has: H, L, B"):
        export_device(weights, "onnx", out, words=["X"])
    with pytest.raises(ConfigurationError, match="a file for each configuration"):
        export_device(weights, "ncnn", out, words=["H", "L"], together=True)
    with pytest.raises(ConfigurationError, match="need pictures to calibrate on"):
        export_device(weights, "onnx", out, precision="int8")
    with pytest.raises(ConfigurationError, match="no export to 'tvm'; choose one of: onnx"):
        export_device(weights, "tvm", out)
    with pytest.raises(InputError, match=r"uint8 \(N, 32, 32, 3\)"):
        export_device(weights, "onnx", out, precision="int8", calibration=crops[:, :-1])
    assert not out.exists()


def test_weights_of_eight_bits_are_no_source(weights: Path, crops: Crops, tmp_path: Path) -> None:
    (made,) = export_device(weights, "onnx", tmp_path, precision="int8", calibration=crops)
    with pytest.raises(ConfigurationError, match="int8 weights already"):
        export_device(made.files[0], "onnx", tmp_path)


@pytest.mark.parametrize("to", [name for name in RUNTIMES if name != "onnx"])
def test_a_missing_package_names_its_extra(
    to: str, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in PACKAGES[to]:
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'ostiary\[{to}\]'"):
        export_device(weights, to, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def _write_golden(path: Path, sha256: str, crops: Crops, liveness: NDArray[np.float32]) -> None:
    faces = [
        {"loose": {"rgb": packed(crop.tobytes())}, "liveness": {"H": float(value)}}
        for crop, value in zip(crops, liveness, strict=True)
    ]
    path.write_text(json.dumps({"liveness": {"sha256": sha256}, "cases": [{"faces": faces}]}))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _size(files: list[Path]) -> int:
    return sum(file.stat().st_size for file in files)
