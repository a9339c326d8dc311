"""The exported file computes what torch does, in its fast form, and says nothing it should not."""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from ostiary.adaptive import BatchStatistics, apply_statistics, configured, largest, make_adaptive
from ostiary.errors import ConfigurationError, WeightsError
from ostiary.export.card import Card
from ostiary.export.onnx import export_liveness, liveness_model
from ostiary.export.tables import affine_layers
from ostiary.export.verify import BLOCKED_DOMAIN, check_export, nodes, operators, uses_blocked_layout
from ostiary.networks.mobilenet_v2 import MobileNetV2, mobilenet_v2
from ostiary.runtime.container import read_metadata
from ostiary.runtime.liveness import LivenessModel, fixed_dimensions
from ostiary.runtime.liveness_record import Metadata
from ostiary.runtime.session import make_session

EVERY_WORD = ["".join((a, b, c)) for a in "HLB" for b in "HLB" for c in "HLB"]


def test_all_words_equal_torch_in_both_modes(
    net: MobileNetV2, statistics: dict[str, BatchStatistics], files: dict[str, Path], card: Card, form: str
) -> None:
    model = LivenessModel(files[form])
    assert sorted(model.words) == sorted(EVERY_WORD)
    crops = np.random.default_rng(1).integers(0, 256, (2, *_shape(card)), np.uint8)
    reference = copy.deepcopy(net)
    for word in EVERY_WORD:
        if form == "per_configuration":
            apply_statistics(reference, statistics[word])
        with torch.no_grad(), configured(reference, word):
            expected = reference(torch.from_numpy(card.preprocess.normalise(crops))).numpy()
        for switched in (False, True):
            np.testing.assert_allclose(model.logits(crops, word, switched=switched), expected, atol=1e-4)


def test_words_give_different_answers(files: dict[str, Path], card: Card, form: str) -> None:
    crops = np.random.default_rng(2).integers(0, 256, (1, *_shape(card)), np.uint8)
    model = LivenessModel(files[form])
    logits = {tuple(model.logits(crops, word, switched=True)[0]) for word in EVERY_WORD}
    assert len(logits) == 27


def test_one_file_is_small_enough(files: dict[str, Path]) -> None:
    # 2,718,978 parameters, less two a channel of batch normalisation (21,216), folded into one bias each;
    # with tables, 15,680 of those biases give way to 176,832 rows and channels of scale and shift.
    shared = 4 * (2_718_978 - 2 * 21_216 + 21_216)
    per_configuration = shared + 4 * (2 * 176_832 - 15_680)
    assert 0 < files["shared"].stat().st_size - shared < 60_000
    assert 0 < files["per_configuration"].stat().st_size - per_configuration < 50_000
    assert files["per_configuration"].stat().st_size < 12_200_000


def test_each_weight_is_stored_once(files: dict[str, Path], form: str) -> None:
    model = onnx.load(str(files[form]))
    stored = Counter(tensor.raw_data for tensor in _initialisers(model.graph) if len(tensor.raw_data) > 64)
    assert max(stored.values()) == 1
    names = [tensor.name for tensor in _initialisers(model.graph)] + [
        output for node in nodes(model.graph) for output in node.output
    ]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("word", "convolutions"), [("HHH", 52), ("LLL", 43), ("BBB", 61), ("HLB", 52)])
def test_a_specialised_session_is_the_plain_graph(
    files: dict[str, Path], form: str, word: str, convolutions: int, tmp_path: Path
) -> None:
    optimised = tmp_path / "optimised.onnx"
    make_session(files[form], fixed_dimensions=fixed_dimensions(word), optimised_copy=optimised)
    found = operators(optimised)
    assert found["", "If"] == found["", "BatchNormalization"] == found["", "Gather"] == 0
    if uses_blocked_layout():
        assert found[BLOCKED_DOMAIN, "Conv"] == convolutions
        assert found["", "Conv"] == found["com.microsoft", "FusedConv"] == 0


@pytest.mark.parametrize(("word", "convolutions"), [("HHH", 28), ("LLL", 19), ("BBB", 37)])
def test_a_session_behind_the_trunk_is_the_plain_rest(
    files: dict[str, Path], form: str, word: str, convolutions: int, tmp_path: Path
) -> None:
    optimised = tmp_path / "optimised.onnx"
    fixed = fixed_dimensions(word, from_trunk=True)
    make_session(files[form], fixed_dimensions=fixed, optimised_copy=optimised)
    found = operators(optimised)
    assert found["", "If"] == found["", "BatchNormalization"] == found["", "Gather"] == 0
    if uses_blocked_layout():
        assert found[BLOCKED_DOMAIN, "Conv"] == convolutions


def test_the_switchable_session_is_blocked_in_every_branch(
    files: dict[str, Path], form: str, tmp_path: Path
) -> None:
    optimised = tmp_path / "optimised.onnx"
    make_session(files[form], optimised_copy=optimised)
    if uses_blocked_layout():
        assert operators(optimised)[BLOCKED_DOMAIN, "Conv"] == 61


def test_the_file_names_its_origin_and_nothing_else(files: dict[str, Path], form: str) -> None:
    model = onnx.load(str(files[form]))
    assert model.producer_name == "ostiary"
    assert {entry.key for entry in model.metadata_props} == {"ostiary.model", "ostiary.sha256"}
    assert not any(node.metadata_props or node.doc_string for node in nodes(model.graph))
    content = files[form].read_bytes()
    assert str(Path.home()).encode() not in content
    assert b".py" not in content


def test_the_record_has_every_words_cost(files: dict[str, Path], form: str) -> None:
    metadata = read_metadata(files[form], Metadata)
    assert metadata.statistics == form
    assert {word: metadata.configurations[word].parameters for word in ("HHH", "LLL", "BBB")} == {
        "HHH": 2_226_434,
        "LLL": 1_733_890,
        "BBB": 2_718_978,
    }


def test_a_network_without_blocks_has_the_empty_word(card: Card, tmp_path: Path) -> None:
    stock = mobilenet_v2().eval()
    plain = dataclasses.replace(card, default_configuration="")
    model = LivenessModel(export_liveness(stock, tmp_path / "stock.onnx", plain))
    crops = np.random.default_rng(3).integers(0, 256, (3, *_shape(card)), np.uint8)
    assert model.words == [""]
    with torch.no_grad():
        expected = stock(torch.from_numpy(card.preprocess.normalise(crops))).numpy()
    np.testing.assert_allclose(model.logits(crops), expected, atol=1e-4)


def test_another_architecture_with_two_blocks(card: Card, tmp_path: Path) -> None:
    torch.manual_seed(0)
    example = torch.zeros(1, 3, 64, 64)
    residual = make_adaptive(_Residual().eval(), example, choose=largest(2))
    path = export_liveness(residual, tmp_path / "r.onnx", dataclasses.replace(card, default_configuration="HH"))
    assert len(LivenessModel(path).words) == 9  # the export has compared them with torch


def test_statistics_that_vary_in_one_layer_cost_one_table(
    net: MobileNetV2, statistics: dict[str, BatchStatistics], card: Card
) -> None:
    only = {
        word: {name: (given if name == "bn2" else statistics["HHH"][name]) for name, given in layers.items()}
        for word, layers in statistics.items()
    }
    graph = liveness_model(net, card.preprocess, only).graph
    assert Counter(node.op_type for node in nodes(graph))["BatchNormalization"] == 1
    affine = affine_layers(net, torch.zeros(1, 3, 64, 64), only)
    assert affine["bn2"].scale.shape == (27, 1280)
    assert {layer.upstream for name, layer in affine.items() if name != "bn2"} == {0}


def test_rows_follow_the_letters_upstream(net: MobileNetV2, statistics: dict[str, BatchStatistics]) -> None:
    affine = affine_layers(net, torch.zeros(1, 3, 64, 64), statistics)
    rows = {name: layer.scale.shape[0] for name, layer in affine.items()}
    assert rows["blocks.3.1.bn3"] == rows["blocks.3.2.light.0.bn1"] == 1
    assert rows["blocks.4.0.bn1"] == rows["blocks.4.1.heavy.1.bn2"] == 3
    assert rows["blocks.5.0.bn1"] == 9
    assert rows["bn2"] == 27
    assert sum(layer.scale.size for layer in affine.values() if layer.varies) == 176_832
    mean, variance = statistics["LHB"]["bn2"]
    expected = net.bn2.weight / torch.sqrt(variance + net.bn2.eps)
    row = 0 * 9 + 1 * 3 + 2
    np.testing.assert_allclose(affine["bn2"].scale[row], expected.detach().numpy(), rtol=1e-6)
    shift = (net.bn2.bias - mean * expected).detach().numpy()
    np.testing.assert_allclose(affine["bn2"].shift[row], shift, rtol=1e-5, atol=1e-6)


def test_missing_and_inconsistent_statistics_are_refused(
    net: MobileNetV2, statistics: dict[str, BatchStatistics], card: Card
) -> None:
    without_word = {word: given for word, given in statistics.items() if word != "HLB"}
    with pytest.raises(ConfigurationError, match="lack the configuration HLB"):
        liveness_model(net, card.preprocess, without_word)
    without_layer = {word: {k: v for k, v in given.items() if k != "bn2"} for word, given in statistics.items()}
    with pytest.raises(ConfigurationError, match="lack the layer bn2"):
        liveness_model(net, card.preprocess, without_layer)
    mean, variance = statistics["LLL"]["bn1"]
    other = {**statistics, "LLL": {**statistics["LLL"], "bn1": (mean + 1, variance)}}
    with pytest.raises(ConfigurationError, match="bn1 differ between"):
        liveness_model(net, card.preprocess, other)


def test_a_file_that_differs_from_the_network_is_not_passed(
    net: MobileNetV2, files: dict[str, Path], card: Card
) -> None:
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.classifier.bias += 0.01
    samples = card.preprocess.normalise(np.zeros((1, *_shape(card)), np.uint8))
    with pytest.raises(WeightsError, match=r"differs from torch by 0\.01"):
        check_export(files["shared"].read_bytes(), other, samples)


def test_an_unknown_layer_is_named(card: Card) -> None:
    net = nn.Sequential(nn.Conv2d(3, 16, 3), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2))
    with pytest.raises(ConfigurationError, match=r"GELU \(1\)"):
        liveness_model(net.eval(), card.preprocess)


class _Block(nn.Module):
    """A basic residual block: biased convolutions, a function instead of a layer, an addition in place."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(nn.functional.relu(self.bn1(self.conv1(x)))))
        y += x
        return torch.relu(y)


class _Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.first = nn.Sequential(_Block(16), _Block(16))
        self.down = nn.Conv2d(16, 32, 1, 2)
        self.second = nn.Sequential(_Block(32), _Block(32))
        self.head = nn.Linear(32, 2)

    def forward(self, x: Tensor) -> Tensor:
        features = self.second(self.down(self.first(self.stem(x)))).mean((2, 3))
        logits: Tensor = self.head(torch.flatten(features, 1))
        return logits


def _shape(card: Card) -> tuple[int, int, int]:
    return card.preprocess.size, card.preprocess.size, 3


def _initialisers(graph: onnx.GraphProto) -> list[onnx.TensorProto]:
    inner = [
        tensor
        for node in graph.node
        for attribute in node.attribute
        if attribute.type == onnx.AttributeProto.GRAPH
        for tensor in _initialisers(attribute.g)
    ]
    return [*graph.initializer, *inner]
