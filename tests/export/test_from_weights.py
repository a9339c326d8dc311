"""A weights file as a network again: it computes what the file does, by every word, and can be trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ostiary.adaptive import configured
from ostiary.errors import ConfigurationError, WeightsError
from ostiary.export.card import Card
from ostiary.export.onnx import export_liveness
from ostiary.networks.from_weights import network_from_weights
from ostiary.networks.mobilenet_v2 import mobilenet_v2
from ostiary.runtime.liveness import LivenessModel
from ostiary.runtime.packaged import EMBEDDING, resolve_weights


def coarse(size: int, count: int = 24) -> NDArray[np.uint8]:
    """Pictures of coarse squares, which leave no layer without variance."""
    squares = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), np.uint8)
    return squares.repeat(size // 8, 1).repeat(size // 8, 2)


def inputs(path: Path) -> tuple[NDArray[np.uint8], Tensor]:
    preprocess = LivenessModel(path).metadata.preprocess
    crops = coarse(preprocess.size)
    return crops, torch.from_numpy(preprocess.normalise(crops))


@pytest.mark.parametrize("word", ["HHH", "LLL", "BBB", "LHB", "BLH"])
@pytest.mark.parametrize("which", ["packaged", "lively"])
def test_every_word_computes_what_the_file_does(files: dict[str, Path], which: str, word: str) -> None:
    path = resolve_weights() if which == "packaged" else files["shared"]
    crops, x = inputs(path)
    net = network_from_weights(path, [x[:16], x[16:]]).eval()
    with torch.no_grad(), configured(net, word):
        liveness = net(x[20:]).softmax(1)[:, 1].numpy()
    np.testing.assert_allclose(liveness, LivenessModel(path).liveness(crops[20:], word), atol=2e-5)


def test_batch_normalisation_is_that_of_the_pictures(files: dict[str, Path]) -> None:
    _, x = inputs(files["shared"])
    net = network_from_weights(files["shared"], [x[:10], x[10:]])
    first = net.conv_stem(x).detach()
    torch.testing.assert_close(net.bn1.running_mean, first.mean((0, 2, 3)), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(net.bn1.running_var, first.var((0, 2, 3), correction=0), rtol=1e-3, atol=1e-4)
    with torch.no_grad(), configured(net, "HHH"):
        evaluated, trained = net.eval().features(x), net.train().features(x)
    # Its own statistics are those of letter B, so that in training HHH moves, but not far.
    assert (trained - evaluated).abs().mean() < 0.2 * evaluated.abs().mean()
    net(x).sum().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)
    assert all(module.training and not module._forward_hooks for module in net.modules())


def test_a_file_without_a_dial_gives_the_stock_network(card: Card, tmp_path: Path) -> None:
    torch.manual_seed(0)
    stock = mobilenet_v2().eval()
    nn.init.normal_(stock.classifier.weight, std=0.1)
    path = export_liveness(stock, tmp_path / "stock.onnx", replace(card, default_configuration=""))
    x = inputs(path)[1]
    net = network_from_weights(path, [x]).eval()
    assert {name for name, _ in net.named_modules()} == {name for name, _ in stock.named_modules()}
    with torch.no_grad():
        np.testing.assert_allclose(net(x).numpy(), stock(x).numpy(), atol=1e-4)


def test_files_that_cannot_be_trained_on_are_refused(files: dict[str, Path], tmp_path: Path) -> None:
    _, x = inputs(files["shared"])
    for path in (files["per_configuration"], resolve_weights("pta_mobilenet_v2_int8")):
        with pytest.raises(
            WeightsError, match="cannot be trained on: it has 8-bit weights, or BatchNorm of its own"
        ):
            network_from_weights(path, [x])
    with pytest.raises(WeightsError):
        network_from_weights(resolve_weights("slim_face", EMBEDDING), [x])
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(files["shared"].read_bytes()[:1000])
    with pytest.raises(WeightsError):
        network_from_weights(broken, [x])
    with pytest.raises(ConfigurationError, match="No pictures were given"):
        network_from_weights(files["shared"], [])


def test_another_network_is_told_from_a_mobilenet(card: Card, tmp_path: Path) -> None:
    narrow = mobilenet_v2(width=0.5).eval()
    path = export_liveness(narrow, tmp_path / "narrow.onnx", replace(card, default_configuration=""))
    with pytest.raises(WeightsError, match="another network than a MobileNetV2 of width 1"):
        network_from_weights(path, [])
