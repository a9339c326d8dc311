"""The trunk has a place of its own in the file: computed and handed out, or given and not computed."""

from __future__ import annotations

import copy
import zlib
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from ostiary.adaptive import Adaptive, BatchStatistics, blocks, count, words
from ostiary.errors import ConfigurationError, WeightsError
from ostiary.export.card import Card, sealed
from ostiary.export.onnx import export_liveness, liveness_model
from ostiary.export.trunk import Trunk, has_trunk
from ostiary.export.verify import BLOCKED_DOMAIN, check_export, nodes, operators, uses_blocked_layout
from ostiary.networks.mobilenet_v2 import mobilenet_v2, pta_mobilenet_v2
from ostiary.runtime.container import read_container
from ostiary.runtime.liveness import LivenessModel, fixed_dimensions, selector
from ostiary.runtime.liveness_record import Metadata
from ostiary.runtime.session import make_session

SIZE = 16


@pytest.fixture(scope="module")
def small(card: Card) -> Card:
    return replace(card, preprocess=card.preprocess.model_copy(update={"size": SIZE}), default_configuration="LL")


@pytest.fixture(scope="module")
def narrow() -> nn.Module:
    torch.manual_seed(0)
    return _Narrow().eval()


@pytest.fixture(scope="module")
def exported(narrow: nn.Module, small: Card, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("trunk")
    return {
        "shared": export_liveness(narrow, folder / "shared.onnx", small),
        "per_configuration": export_liveness(narrow, folder / "per.onnx", small, statistics=_statistics(narrow)),
    }


@pytest.mark.parametrize("form", ["shared", "per_configuration"])
def test_any_word_goes_on_from_the_activations_of_any(exported: dict[str, Path], form: str) -> None:
    model = LivenessModel(exported[form], keep=18)
    crops = np.random.default_rng(1).integers(0, 256, (3, SIZE, SIZE, 3), np.uint8)
    expected = {word: model.logits(crops, word) for word in model.words}
    assert len({tuple(logits.ravel()) for logits in expected.values()}) == 9
    for word, switched in product(model.words, (False, True)):
        logits, activations = model.start(crops, word, switched=switched)
        np.testing.assert_allclose(logits, expected[word], atol=1e-5)
        for other in model.words:
            resumed = model.resume(activations, other, switched=switched)
            np.testing.assert_allclose(resumed, expected[other], atol=1e-5)


def test_activations_are_those_of_torch(exported: dict[str, Path], narrow: nn.Module, small: Card) -> None:
    crops = np.random.default_rng(2).integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)
    with torch.no_grad():
        expected = Trunk(narrow)(torch.from_numpy(small.preprocess.normalise(crops))).numpy()
    _, activations = LivenessModel(exported["shared"]).start(crops)
    np.testing.assert_allclose(activations, expected, atol=1e-5)


@pytest.mark.parametrize("form", ["shared", "per_configuration"])
@pytest.mark.parametrize(("word", "convolutions"), [("LL", 2), ("HB", 5), ("BB", 6)])
def test_a_session_from_activations_is_the_plain_rest(
    exported: dict[str, Path], form: str, word: str, convolutions: int, tmp_path: Path
) -> None:
    optimised = tmp_path / "optimised.onnx"
    make_session(
        exported[form], fixed_dimensions=fixed_dimensions(word, from_trunk=True), optimised_copy=optimised
    )
    found = operators(optimised)
    assert found["", "If"] == found["", "BatchNormalization"] == found["", "Gather"] == 0
    if uses_blocked_layout():
        assert found[BLOCKED_DOMAIN, "Conv"] == convolutions
        assert found["", "Conv"] == found["com.microsoft", "FusedConv"] == 0


def test_whoever_asks_for_logits_alone_feeds_what_he_always_fed(exported: dict[str, Path]) -> None:
    content = read_container(exported["shared"], Metadata)[1]
    pixels = np.zeros((2, 3, SIZE, SIZE), np.float32)
    for fixed in ({}, fixed_dimensions("LH")):
        session = make_session(content, fixed_dimensions=fixed)
        assert [value.name for value in session.get_inputs()] == ["input", "sel"]
        assert session.run(["logits"], {"input": pixels, "sel": selector("LH")})[0].shape == (2, 2)


def test_the_trunk_is_counted(exported: dict[str, Path], narrow: nn.Module) -> None:
    metadata = LivenessModel(exported["shared"]).metadata
    assert metadata.trunk is not None
    assert metadata.trunk.shape == (16, 8, 8)
    # A 3x3 convolution from 3 to 16 channels on 8x8 places, and a depthwise one.
    assert metadata.trunk.macs == 64 * (16 * 27 + 16 * 9)
    net = pta_mobilenet_v2().eval()
    example = torch.zeros(1, 3, 128, 128)
    assert count(Trunk(net), example).macs == 42_819_584
    assert Trunk(net)(example).shape == (1, 64, 8, 8)


@pytest.mark.parametrize("kind", ["skip", "picture"])
def test_a_network_that_looks_past_the_block_has_no_trunk(kind: str, small: Card, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = _Around(kind).eval()
    assert not has_trunk(net)
    path = export_liveness(net, tmp_path / "around.onnx", replace(small, default_configuration="L"))
    model = LivenessModel(path)
    assert model.metadata.trunk is None
    graph = onnx.load(str(path)).graph
    assert [value.name for value in graph.output] == ["logits"]
    assert [value.name for value in graph.input] == ["input", "sel"]
    with pytest.raises(ConfigurationError, match="exported without a trunk of its own"):
        model.start(np.zeros((1, SIZE, SIZE, 3), np.uint8))


def test_networks_with_nothing_before_a_block_have_no_trunk() -> None:
    assert has_trunk(pta_mobilenet_v2())
    assert not has_trunk(mobilenet_v2())
    assert not has_trunk(nn.Sequential(Adaptive(_branch(2), _branch(1)), nn.AdaptiveAvgPool2d(1), nn.Flatten()))


def test_files_of_the_older_form_work_as_before(
    narrow: nn.Module, small: Card, exported: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("onnx", "switch", "verify"):
        monkeypatch.setattr(f"ostiary.export.{module}.has_trunk", lambda net: False)
    older = LivenessModel(export_liveness(narrow, tmp_path / "older.onnx", small))
    crops = np.random.default_rng(3).integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)
    newer = LivenessModel(exported["shared"])
    assert older.metadata == newer.metadata.model_copy(update={"trunk": None})
    for word, switched in product(older.words, (False, True)):
        expected = newer.logits(crops, word, switched=switched)
        np.testing.assert_allclose(older.logits(crops, word, switched=switched), expected, atol=1e-5)


def test_wrong_activations_are_not_passed_even_where_all_logits_are_right(narrow: nn.Module, small: Card) -> None:
    blind = copy.deepcopy(narrow)
    first, *_ = blocks(blind)
    with torch.no_grad():
        for branch in (first.heavy, first.light):
            branch[0].weight[:, 0] = 0  # nothing behind the trunk sees its first channel
        content = sealed(liveness_model(blind, small.preprocess), small.metadata(blind, per_configuration=False))
        blind.stem[3].weight[0] += 0.5
    samples = small.preprocess.normalise(np.full((1, SIZE, SIZE, 3), 200, np.uint8))
    with pytest.raises(WeightsError, match=r"the export of HH \(switched\) differs from torch"):
        check_export(content, blind, samples)


def test_each_weight_of_the_trunk_is_stored_once(exported: dict[str, Path]) -> None:
    graph = onnx.load(str(exported["shared"])).graph
    (choice,) = [node for node in graph.node if "activations" in node.output]
    branches = {attribute.name: attribute.g for attribute in choice.attribute}
    assert [node.op_type for node in branches["then_branch"].node] == ["Identity"]
    assert sum(node.op_type == "Conv" for node in nodes(branches["else_branch"])) == 2
    assert all(name.startswith("trunk/") for name in (t.name for t in branches["else_branch"].initializer))


class _Narrow(nn.Module):
    """A trunk of two convolutions and two adaptive blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6(),
            nn.Conv2d(16, 16, 3, 1, 1, groups=16, bias=False), nn.BatchNorm2d(16),
        )  # fmt: skip
        self.blocks = nn.Sequential(*[Adaptive(_branch(2), _branch(1), place) for place in range(2)])
        self.head = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.blocks(self.stem(x)).mean((2, 3)))
        return logits


class _Around(nn.Module):
    """What stands behind the block also sees the trunk before it, or the picture."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        self.side = nn.Conv2d(3, 16, 3, 2, 1) if kind == "picture" else None
        self.block = Adaptive(_branch(2), _branch(1))
        self.head = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.stem(x))
        z = self.block(torch.relu(y))
        logits: Tensor = self.head((z + (y if self.side is None else self.side(x))).mean((2, 3)))
        return logits


def _branch(depth: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Conv2d(16, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6()]
    return nn.Sequential(*layers)


def _statistics(net: nn.Module) -> dict[str, BatchStatistics]:
    """Those of the second block depend on the letter of the first; all others on none."""
    found: dict[str, BatchStatistics] = {}
    for word in words(net):
        found[word] = {}
        for name, layer in net.named_modules():
            if isinstance(layer, nn.BatchNorm2d):
                key = f"{name} {word[0] if name.startswith('blocks.1') else ''}"
                generator = torch.Generator().manual_seed(zlib.crc32(key.encode()))
                mean = torch.randn(16, generator=generator) * 0.2
                found[word][name] = (mean, torch.rand(16, generator=generator) + 0.5)
    return found
