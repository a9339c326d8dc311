"""A face network becomes a file that the runtime reads, in the form for its target, or no file at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError, InputError, WeightsError
from ostiary.export import face
from ostiary.export.card import EmbeddingCard
from ostiary.export.face import export_face
from ostiary.export.rewrite import Form
from ostiary.faces.preprocess import Preprocess
from ostiary.networks.costs import face_cost
from ostiary.networks.face_network import FaceNetwork, Style
from ostiary.networks.pta_face import pta_seesaw_shuffle
from ostiary.networks.seesaw import SHUFFLE
from ostiary.runtime.container import read_metadata
from ostiary.runtime.embedding import EmbeddingModel
from ostiary.runtime.embedding_record import EmbeddingMetadata, MatchThreshold

from .conftest import small

CARD = EmbeddingCard(
    name="test", version="1", licence="none", data=["noise"], training_commit="unknown", network="seesaw_shuffle",
    preprocess=Preprocess(crop="aligned", size=112, mean=(127.5,) * 3, std=(127.5,) * 3),
    threshold=MatchThreshold(value=0.7, rate=1e-3, n_mated=9, n_non_mated=3000, data="noise"),
)  # fmt: skip


@pytest.fixture(scope="module")
def network() -> FaceNetwork:
    return small(SHUFFLE)


@pytest.fixture(scope="module")
def crops() -> NDArray[np.uint8]:
    """Smooth pictures, as faces are."""
    coarse = torch.rand(12, 3, 7, 7, generator=torch.Generator().manual_seed(3)) * 255
    fine = torch.nn.functional.interpolate(coarse, size=(112, 112), mode="bilinear")
    return fine.permute(0, 2, 3, 1).to(torch.uint8).numpy()


def expected(network: FaceNetwork, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    with torch.no_grad():
        return network(torch.from_numpy(CARD.preprocess.normalise(crops))).numpy()


def test_the_runtime_reads_it_and_embeds_alike(
    network: FaceNetwork, crops: NDArray[np.uint8], tmp_path: Path
) -> None:
    exported = export_face(network, tmp_path / "face.onnx", CARD)
    assert exported.form == Form(None, ("apart",), "upsample")
    assert exported.difference < 1e-5
    model = EmbeddingModel(exported.path)
    for count in (0, 1, 5):
        np.testing.assert_allclose(model.embed(crops[:count]), expected(network, crops[:count]), atol=1e-5)
    assert list(tmp_path.iterdir()) == [exported.path]


def test_the_record_is_of_the_network_as_it_was_trained(network: FaceNetwork, tmp_path: Path) -> None:
    metadata = read_metadata(export_face(network, tmp_path / "face.onnx", CARD).path, EmbeddingMetadata)
    cost = face_cost(network)
    assert (metadata.parameters, metadata.macs) == (cost.parameters, cost.macs)
    assert (metadata.dimension, metadata.network, metadata.precision) == (24, "seesaw_shuffle", "float32")
    assert metadata.threshold == CARD.threshold
    assert metadata.preprocess == CARD.preprocess


def test_the_file_names_its_origin_and_nothing_else(network: FaceNetwork, tmp_path: Path) -> None:
    content = export_face(network, tmp_path / "face.onnx", CARD).path.read_bytes()
    model = onnx.load_from_string(content)
    assert model.producer_name == "ostiary"
    assert {entry.key for entry in model.metadata_props} == {"ostiary.model", "ostiary.sha256"}
    assert str(Path.home()).encode() not in content
    assert [entry.name for entry in model.graph.output] == ["embeddings"]


@pytest.mark.parametrize("style", [SHUFFLE, Style("relu"), Style("prelu")])
def test_8_bits_are_close_and_small(style: Style, crops: NDArray[np.uint8], tmp_path: Path) -> None:
    network = small(style)
    large = export_face(network, tmp_path / "large.onnx", CARD)
    exported = export_face(network, tmp_path / "small.onnx", CARD, "cpu-int8", calibration=crops)
    model = EmbeddingModel(exported.path)
    assert model.metadata.precision == "int8"
    cosines = (model.embed(crops) * expected(network, crops)).sum(axis=1)
    assert cosines.mean() > 0.95
    kinds = {node.op_type for node in onnx.load(str(exported.path)).graph.node}
    assert "QuantizeLinear" in kinds
    assert "PRelu" not in kinds
    assert exported.path.stat().st_size < large.path.stat().st_size + 60_000


@pytest.mark.parametrize(("style", "kept"), [(SHUFFLE, 2), (Style("relu"), 0), (Style("prelu"), 0)])
def test_the_last_layers_and_a_stem_with_swish_stay_in_floating_point(
    style: Style, kept: int, crops: NDArray[np.uint8], tmp_path: Path
) -> None:
    path = export_face(small(style), tmp_path / "small.onnx", CARD, "cpu-int8", calibration=crops).path
    graph = onnx.load(str(path)).graph
    floats = {tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    floats |= {node.output[0] for node in graph.node if node.op_type == "Cast"}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    in_float = [node.input[1] in floats for node in convolutions]
    assert in_float == [True] * kept + [False] * (len(convolutions) - kept - 2) + [True] * 2


def test_8_bits_need_pictures(network: FaceNetwork, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no pictures to calibrate on"):
        export_face(network, tmp_path / "face.onnx", CARD, "cpu-int8")
    assert not list(tmp_path.iterdir())


def test_crops_of_another_size_are_refused(network: FaceNetwork, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\(N, 112, 112, 3\)"):
        export_face(network, tmp_path / "face.onnx", CARD, calibration=np.zeros((2, 96, 96, 3), np.uint8))


def test_nothing_is_written_where_the_check_fails(
    network: FaceNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = face.rewritten

    def spoilt(network: FaceNetwork, form: Form) -> torch.nn.Module:
        rewritten = whole(network, form)
        rewritten.last.sums[0][0].bias += 0.01  # type: ignore[union-attr,index]
        return rewritten

    monkeypatch.setattr(face, "rewritten", spoilt)
    with pytest.raises(WeightsError, match="apart \\+ upsample differs from torch"):
        export_face(network, tmp_path / "face.onnx", CARD)
    assert not list(tmp_path.iterdir())


def test_a_slow_layout_is_refused(network: FaceNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face, "operators_run", lambda _content: {("", "Conv"): 3})
    monkeypatch.setattr(face, "uses_blocked_layout", lambda: True)
    with pytest.raises(WeightsError, match="3 convolutions of the form apart"):
        export_face(network, tmp_path / "face.onnx", CARD)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_one_sentence(network: FaceNetwork, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        export_face(network, tmp_path / "no" / "face.onnx", CARD)


def test_an_adaptive_network_is_to_be_specialised_first(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="specialise"):
        export_face(pta_seesaw_shuffle(16), tmp_path / "face.onnx", CARD)
