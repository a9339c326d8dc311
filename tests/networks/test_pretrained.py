"""The unfolded trunk computes what the folded one does, and trains with batch statistics."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor, nn

from ostiary.adaptive import blocks, configured
from ostiary.errors import ConfigurationError, WeightsError
from ostiary.networks.mobilenet_v2 import mobilenet_v2
from ostiary.networks.pretrained import load_trunk, pretrained_mobilenet_v2, pretrained_pta_mobilenet_v2

Arrays = dict[str, NDArray[Any]]
_TRUNK = "mobilenet_v2_imagenet.npz"
_MILITARY_UNIFORM = 653  # counted from the background, class 0


def _random_trunk() -> Arrays:
    """8-bit weights of a scale that keeps ReLU6 from saturating; channel 0 of convolution 2 is dead."""
    generator = np.random.default_rng(0)
    arrays: Arrays = {}
    convs = [module for module in mobilenet_v2().modules() if isinstance(module, nn.Conv2d)]
    for index, conv in enumerate(convs):
        shape = tuple(conv.weight.shape)
        arrays[f"{index:02d}.weight"] = generator.integers(0, 256, shape, dtype=np.uint8)
        arrays[f"{index:02d}.scale"] = np.float64(np.sqrt(2 / np.prod(shape[1:])) / 74)  # 74: deviation of 0..255
        arrays[f"{index:02d}.zero_point"] = np.int64(127)
        arrays[f"{index:02d}.bias"] = generator.normal(0, 0.3, shape[0]).astype(np.float32)
    arrays["02.weight"][0] = 127
    return arrays


@pytest.fixture(scope="module")
def trunk() -> Arrays:
    return _random_trunk()


@pytest.fixture(scope="module")
def path(trunk: Arrays, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("trunk") / "trunk.npz"
    np.savez(file, **trunk)
    return file


@pytest.fixture(scope="module")
def inputs() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(4, 3, 64, 64, generator=generator) * 2 - 1 for _ in range(2)]


def test_it_computes_what_the_folded_trunk_does(trunk: Arrays, path: Path, inputs: list[Tensor]) -> None:
    net = pretrained_mobilenet_v2(path, inputs).eval()
    unseen = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(9)) * 2 - 1
    for x in (inputs[0], unseen):
        expected = _folded_features(trunk, x)
        with torch.no_grad():
            assert (net.features(x) - expected).abs().max() < 1e-4 * expected.abs().max()
    assert all(value.isfinite().all() for value in net.state_dict().values())


def test_statistics_are_those_of_all_pictures(path: Path, inputs: list[Tensor]) -> None:
    """Whatever the batches; and the first layer's are computed here directly."""
    net = pretrained_mobilenet_v2(path, inputs)
    joined = pretrained_mobilenet_v2(path, [torch.cat(inputs)])
    _close(net.blocks[6][0].bn3.running_var, joined.blocks[6][0].bn3.running_var)
    output = net.conv_stem(torch.cat(inputs)).detach()
    _close(net.bn1.running_mean, output.mean((0, 2, 3)))
    _close(net.bn1.running_var, output.var((0, 2, 3), correction=0))


def test_batch_statistics_change_little(path: Path, inputs: list[Tensor]) -> None:
    """So that training goes on from the pretrained function rather than from noise."""
    net = pretrained_mobilenet_v2(path, [torch.cat(inputs)])
    with torch.no_grad():
        evaluated = net.eval().features(torch.cat(inputs))
        trained = net.train().features(torch.cat(inputs))
    assert (trained - evaluated).abs().max() < 1e-3 * evaluated.abs().max()


def test_a_dead_channel_keeps_a_finite_scale_and_gradient(path: Path, inputs: list[Tensor]) -> None:
    net = pretrained_mobilenet_v2(path, inputs)
    norm = net.blocks[0][0].bn2
    assert norm.running_var[0] == 0
    assert norm.weight[0].item() == pytest.approx(norm.eps**0.5)
    net.train()(inputs[0]).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())


def test_the_adaptive_network_starts_from_it(path: Path, inputs: list[Tensor]) -> None:
    torch.manual_seed(0)
    stock = pretrained_mobilenet_v2(path, inputs).eval()
    torch.manual_seed(0)
    net = pretrained_pta_mobilenet_v2(path, inputs).eval()
    with torch.no_grad(), configured(net, "HHH"):
        assert torch.equal(net(inputs[0]), stock(inputs[0]))
    for block in blocks(net):
        for heavy, light in zip(block.heavy[0].parameters(), block.light[0].parameters(), strict=True):
            assert torch.equal(heavy, light)
            assert heavy is not light


def test_the_classifier_and_the_modes_are_left_alone(path: Path, inputs: list[Tensor]) -> None:
    net = mobilenet_v2(classes=3)
    classifier = copy.deepcopy(net.classifier.state_dict())
    load_trunk(net, path, inputs)
    assert all(torch.equal(value, classifier[name]) for name, value in net.classifier.state_dict().items())
    assert all(module.training and not module._forward_hooks for module in net.modules())


def test_unfit_files_are_refused(trunk: Arrays, path: Path, inputs: list[Tensor], tmp_path: Path) -> None:
    def refused(name: str, content: bytes | Arrays | None, message: str, width: float = 1.0) -> None:
        file = tmp_path / name
        if isinstance(content, bytes):
            file.write_bytes(content)
        elif content is not None:
            np.savez(file, **content)
        with pytest.raises(WeightsError, match=message) as caught:
            load_trunk(mobilenet_v2(width=width), file, inputs)
        assert str(file) in str(caught.value)

    whole = path.read_bytes()
    refused("absent.npz", None, "not a readable .npz")
    refused("empty.npz", b"", "not a readable .npz")
    refused("text.npz", b"no weights", "not a readable .npz")
    refused("half.npz", whole[: len(whole) // 2], "not a readable .npz")
    refused("missing.npz", {name: value for name, value in trunk.items() if name != "07.bias"}, "07.bias")
    refused("narrow.npz", trunk, "width 1.0", width=0.5)
    np.save(tmp_path / "one.npy", np.zeros(3))
    refused("one.npy", None, "not a readable .npz")


def test_no_pictures_are_refused(path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No pictures"):
        pretrained_mobilenet_v2(path, [])


@pytest.mark.packs
def test_the_imagenet_trunk_recognises_a_uniform(packs: Path, pictures: Path) -> None:
    with np.load(packs / "models" / _TRUNK) as archive:
        arrays = {name: archive[name] for name in archive.files}
    image = Image.open(pictures / "grace_hopper.jpg").convert("RGB")
    image = ImageOps.fit(image, (224, 224), Image.Resampling.BILINEAR)
    x = torch.from_numpy((np.asarray(image, np.float32) - 128) / 128).permute(2, 0, 1)[None]
    net = pretrained_mobilenet_v2(packs / "models" / _TRUNK, [x, x.flip(3)]).eval()
    weight, bias = _dequantise(arrays, 52)
    with torch.no_grad():
        features = net.features(x)
        expected = _folded_features(arrays, x)
        logits = features @ weight.flatten(1).T + bias
    assert (features - expected).abs().max() < 1e-4 * expected.abs().max()
    assert logits.argmax().item() == _MILITARY_UNIFORM


def _dequantise(arrays: Arrays, index: int) -> tuple[Tensor, Tensor]:
    key = f"{index:02d}"
    weight = (arrays[f"{key}.weight"].astype(np.float64) - arrays[f"{key}.zero_point"]) * arrays[f"{key}.scale"]
    return torch.from_numpy(weight).float(), torch.from_numpy(arrays[f"{key}.bias"])


def _folded_features(arrays: Arrays, x: Tensor) -> Tensor:
    """MobileNetV2 written out once more, from convolutions with biases."""
    index = 0

    def conv(x: Tensor, stride: int = 1, activate: bool = True) -> Tensor:
        nonlocal index
        weight, bias = _dequantise(arrays, index)
        index += 1
        groups = x.shape[1] // weight.shape[1]
        y = nn.functional.conv2d(x, weight, bias, stride, weight.shape[2] // 2, groups=groups)
        return y.clamp(0, 6) if activate else y

    x = conv(conv(conv(x, 2)), activate=False)
    for repeats, stride in ((2, 2), (3, 2), (4, 2), (3, 1), (3, 2), (1, 1)):
        for block in range(repeats):
            y = conv(conv(conv(x), stride if block == 0 else 1), activate=False)
            x = y if block == 0 else x + y
    return conv(x).mean((2, 3))


def _close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
