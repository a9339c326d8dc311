"""A weights file is read only if it is whole, ours, of this format and for this task."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from ostiary.errors import WeightsError
from ostiary.export.card import Card
from ostiary.runtime.container import HASH_KEY, MODEL_KEY, ZERO_HASH, read_container, read_metadata, seal
from ostiary.runtime.liveness import LivenessModel
from ostiary.runtime.liveness_record import Metadata


def test_the_record_comes_back(tiny_weights: Path, tiny_card: Card) -> None:
    metadata, content = read_container(tiny_weights, Metadata)
    assert content == tiny_weights.read_bytes()
    assert metadata.preprocess == tiny_card.preprocess
    assert metadata.name == "tiny"
    assert sorted(metadata.configurations) == ["BB", "BH", "BL", "HB", "HH", "HL", "LB", "LH", "LL"]
    assert metadata.configurations["HL"].threshold == tiny_card.thresholds["HL"]
    assert metadata.configurations["LL"].threshold is None
    assert Metadata.model_validate_json(metadata.model_dump_json()) == metadata


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_byte_is_refused(tiny_weights: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(tiny_weights.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    _assert_refused(tmp_path, bytes(content))


def test_any_changed_byte_near_the_hash_is_refused(tiny_weights: Path, tmp_path: Path) -> None:
    content = tiny_weights.read_bytes()
    start = content.rfind(HASH_KEY.encode())
    for place in range(start - 2, len(content)):
        for bit in (1, 0x20, 0x80):
            _assert_refused(tmp_path, content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])


@given(st.data())
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_truncation_and_trailing_bytes_are_refused(
    tiny_weights: Path, tmp_path: Path, data: st.DataObject
) -> None:
    content = tiny_weights.read_bytes()
    _assert_refused(tmp_path, content[: data.draw(st.integers(0, len(content) - 1))])
    _assert_refused(tmp_path, content + data.draw(st.binary(min_size=1, max_size=9)))


@pytest.mark.parametrize(
    "content", [b"", b"not a model", b"\x00" * 4096, b"\x0a\x0eostiary.sha256\x12\x40" + b"0" * 63]
)
def test_foreign_files_are_refused(tmp_path: Path, content: bytes) -> None:
    _assert_refused(tmp_path, content, match="not a whole ostiary weights file")


def test_a_foreign_model_is_refused(tmp_path: Path) -> None:
    graph = helper.make_graph([], "g", [], [])
    _assert_refused(tmp_path, helper.make_model(graph).SerializeToString(), match="not a whole ostiary")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.onnx cannot be read"):
        read_metadata(tmp_path / "none.onnx", Metadata)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "2"}, "has format 2, and this ostiary reads format 1"),
        ({"task": "matching"}, "was made for the task 'matching', not for liveness"),
        ({"surprise": 1}, "surprise: Extra inputs"),
        ({"name": None}, "name: Input should be a valid string"),
        ({"default_configuration": "HHH"}, "default_configuration is not among"),
        ({"configurations": {}}, "configurations"),
        ({"configurations": {"HX": {"parameters": 1, "macs": 1}}, "default_configuration": "HX"}, "letters"),
    ],
)
def test_records_of_another_kind_are_refused(
    tiny_weights: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    record = read_metadata(tiny_weights, Metadata).model_dump(exclude_none=True) | changes
    _assert_refused(tmp_path, _resealed(tiny_weights, _json(record)), match=message)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "1"}'])
def test_unreadable_records_are_refused(tiny_weights: Path, tmp_path: Path, text: str) -> None:
    _assert_refused(tmp_path, _resealed(tiny_weights, text), match="unreadable ostiary record")


def test_a_hash_without_a_record_is_refused(tmp_path: Path) -> None:
    model = helper.make_model(helper.make_graph([], "g", [], []))
    helper.set_model_props(model, {HASH_KEY: ZERO_HASH})
    _assert_refused(tmp_path, seal(model.SerializeToString()), match="holds no ostiary record")


def _resealed(weights: Path, record: str) -> bytes:
    model = onnx.load(str(weights))
    del model.metadata_props[:]
    helper.set_model_props(model, {MODEL_KEY: record, HASH_KEY: ZERO_HASH})
    return seal(model.SerializeToString())


def _json(record: dict[str, object]) -> str:

    return json.dumps(record)


def _assert_refused(folder: Path, content: bytes, match: str | None = None) -> None:
    """The message is one sentence that names the file, and the runtime is never asked to open it."""
    path = folder / "weights.onnx"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=match) as refusal:
        LivenessModel(path)
    assert "weights.onnx" in str(refusal.value)
    assert "\n" not in str(refusal.value)
