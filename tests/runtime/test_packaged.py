"""Weights by name, and the check of what comes with the package."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ostiary.errors import WeightsError
from ostiary.runtime.packaged import (
    FOLDER,
    LIVENESS,
    describe_packaged,
    packaged_weights,
    resolve_weights,
    verify_packaged,
)


def test_names_paths_and_the_default(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LIVENESS.environment, raising=False)
    assert resolve_weights() == resolve_weights("pta_mobilenet_v2") == FOLDER / "pta_mobilenet_v2.onnx"
    assert resolve_weights(tiny_weights) == resolve_weights(str(tiny_weights)) == tiny_weights
    monkeypatch.setenv(LIVENESS.environment, str(tiny_weights))
    assert resolve_weights() == tiny_weights
    assert set(packaged_weights()) <= set(LIVENESS.files)


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(WeightsError, match="packaged models are: pta_mobilenet_v2"):
        resolve_weights("mobilenet")


def test_a_folder_is_verified_and_described(tiny_weights: Path, tmp_path: Path) -> None:
    content = tiny_weights.read_bytes()
    (tmp_path / "tiny.onnx").write_bytes(content)
    (tmp_path / "SHA256SUMS").write_text(f"{hashlib.sha256(content).hexdigest()}  tiny.onnx\n")
    assert verify_packaged(tmp_path) == ["tiny.onnx"]
    (record,) = describe_packaged(tmp_path)
    assert record["name"] == "tiny"
    assert record["task"] == "liveness"
    assert record["megabytes"] == round(len(content) / 1e6, 2)
    (tmp_path / "tiny.onnx").write_bytes(content[:-1])
    with pytest.raises(WeightsError, match="damaged"):
        verify_packaged(tmp_path)
    (tmp_path / "tiny.onnx").unlink()
    with pytest.raises(WeightsError, match="missing"):
        verify_packaged(tmp_path)
    (tmp_path / "SHA256SUMS").unlink()
    with pytest.raises(WeightsError, match="SHA256SUMS is missing"):
        describe_packaged(tmp_path)
