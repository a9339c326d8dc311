"""An embedding file says what it is, and is read for nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from pydantic import ValidationError

from ostiary.errors import WeightsError
from ostiary.faces.preprocess import Preprocess
from ostiary.runtime.container import MODEL_KEY, WeightsRecord, read_metadata
from ostiary.runtime.embedding import EmbeddingModel
from ostiary.runtime.embedding_record import EmbeddingMetadata, MatchThreshold
from ostiary.runtime.liveness import LivenessModel
from ostiary.runtime.packaged import (
    EMBEDDING,
    LIVENESS,
    Shelf,
    describe_packaged,
    packaged_weights,
    resolve_weights,
)

Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def _no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(EMBEDDING.environment, raising=False)


def test_the_record_comes_back(calibrated: Path, metadata: EmbeddingMetadata, threshold: MatchThreshold) -> None:
    read = read_metadata(calibrated, EmbeddingMetadata)
    assert read == metadata.model_copy(update={"threshold": threshold})
    assert EmbeddingModel(calibrated).metadata == read


def test_what_all_records_share_can_be_read_of_any_task(weights: Path) -> None:
    for path, task in ((weights, "embedding"), (resolve_weights("pta_mobilenet_v2"), "liveness")):
        record = read_metadata(path, WeightsRecord)
        assert (record.task, type(record)) == (task, WeightsRecord)
    assert read_metadata(weights, WeightsRecord).licence == "none"


def test_weights_of_another_task_are_refused(weights: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"for the task 'embedding', not for liveness: give liveness weights\.$"
    ):
        LivenessModel(weights)
    shipped = resolve_weights("pta_mobilenet_v2")
    with pytest.raises(
        WeightsError, match=r"for the task 'liveness', not for embedding: give embedding weights\.$"
    ):
        EmbeddingModel(shipped)


def test_a_changed_byte_is_refused(weights: Path, tmp_path: Path) -> None:
    content = bytearray(weights.read_bytes())
    content[content.index(b"AveragePool")] ^= 1
    (tmp_path / "changed.onnx").write_bytes(bytes(content))
    with pytest.raises(WeightsError, match=r"changed\.onnx is damaged"):
        EmbeddingModel(tmp_path / "changed.onnx")


def test_a_loose_crop_is_refused(make_weights: Make) -> None:
    path = make_weights(preprocess=Preprocess(crop="loose", size=112))
    with pytest.raises(WeightsError, match=r"wrong ostiary record \(preprocess: .*needs the aligned crop"):
        EmbeddingModel(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1])
def test_impossible_thresholds_are_refused(threshold: MatchThreshold, value: float) -> None:
    with pytest.raises(ValidationError):
        MatchThreshold(**(threshold.model_dump() | {"value": value}))


@pytest.mark.parametrize("shape", [("N", 3, 96, 96), ("N", 112, 112, 3), (1, 3, 112, 112), ("N", 3, "H", "W")])
def test_a_graph_that_takes_other_crops_than_its_record_is_refused(make_weights: Make, shape: tuple) -> None:
    with pytest.raises(WeightsError, match=r"takes inputs of shape .* where its record says \(N, 3, 112, 112\)"):
        EmbeddingModel(make_weights(shape=shape))


def test_a_graph_that_gives_other_embeddings_than_its_record_is_refused(make_weights: Make) -> None:
    model = EmbeddingModel(make_weights(dimension=128))
    with pytest.raises(WeightsError, match=r"shape \(2, 48\) where its record says \(2, 128\)"):
        model.embed(np.full((2, 112, 112, 3), 200, np.uint8))


def test_without_weights_in_the_package_the_sentence_says_what_to_do(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = Shelf("face embedding", {}, None, EMBEDDING.environment)
    with pytest.raises(WeightsError, match=r"name a weights file, or set OSTIARY_FACE_WEIGHTS to one\.$"):
        resolve_weights(None, empty)
    with pytest.raises(WeightsError, match=r"^nobody is neither .* face embedding model; .* are: none yet\.$"):
        resolve_weights("nobody", empty)
    assert resolve_weights(weights, empty) == weights
    monkeypatch.setenv(EMBEDDING.environment, str(weights))
    assert resolve_weights(None, empty) == resolve_weights(None, EMBEDDING) == weights
    assert resolve_weights(None, LIVENESS) != weights


def test_embedding_weights_in_the_package_are_described(weights: Path, tmp_path: Path) -> None:
    content = weights.read_bytes()
    (tmp_path / "fields.onnx").write_bytes(content)
    (tmp_path / "SHA256SUMS").write_text(f"{hashlib.sha256(content).hexdigest()}  fields.onnx\n")
    (record,) = describe_packaged(tmp_path)
    assert (record["name"], record["task"], record["data"]) == ("fields", "embedding", ["noise"])


def test_every_shelf_has_its_default_and_its_files() -> None:
    for shelf in (LIVENESS, EMBEDDING):
        assert shelf.default is None or shelf.default in shelf.files
        assert packaged_weights(shelf).keys() == shelf.files.keys()


def test_the_record_stands_in_the_file_as_json(calibrated: Path) -> None:
    """Other runtimes read it without this package."""
    properties = {entry.key: entry.value for entry in onnx.load(str(calibrated)).metadata_props}
    assert EmbeddingMetadata.model_validate_json(properties[MODEL_KEY]).threshold is not None
