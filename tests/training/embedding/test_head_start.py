"""A start from a deployed network: the same function where nothing is thinned, nearly the same where little is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor

from ostiary.errors import ConfigurationError, WeightsError
from ostiary.faces.preprocess import Preprocess
from ostiary.networks.face_network import ConvUnit, FaceNetwork, Layout, Row, Style
from ostiary.networks.mobilefacenet import LAYOUT
from ostiary.networks.seesaw import seesaw_shuffle
from ostiary.networks.unfolding import Folded, fill
from ostiary.training.embedding.head_start import fit_last_layer
from ostiary.training.embedding.least_squares import telling
from ostiary.training.embedding.recipe import FaceRecipe
from ostiary.training.embedding.thinning import start_from
from ostiary.training.recipes.slim import RECIPE

OURS = Preprocess(crop="aligned", size=112, mean=(127.5,) * 3, std=(127.5,) * 3)
THEIRS = Preprocess(crop="aligned", size=112, mean=(127.5,) * 3, std=(60.0,) * 3)
WHOLE = replace(LAYOUT, pointwise=LAYOUT.stem)
NARROW = tuple(row._replace(wide=row.wide * 3 // 4) for row in LAYOUT.rows)


@pytest.fixture(scope="module")
def crops() -> NDArray[np.uint8]:
    """Smooth coloured noise, so that the maps are not all alike."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (64, 14, 14, 3)).astype(np.float64)
    return np.clip(coarse.repeat(8, 1).repeat(8, 2) + rng.normal(0, 20, (64, 112, 112, 3)), 0, 255).astype(
        np.uint8
    )


@pytest.fixture(scope="module")
def donor(crops: NDArray[np.uint8]) -> FaceNetwork:
    """Random weights, with BatchNorm folded as published networks have it."""
    torch.manual_seed(0)
    network = FaceNetwork(WHOLE, Style("relu6"), 128)
    layers = [(unit.conv, unit.norm) for unit in network.modules() if isinstance(unit, ConvUnit)]
    layers.append((network.linear, network.norm))
    for _, norm in layers:
        norm.momentum = 1.0  # the statistics of the one batch that follows
    with torch.no_grad():
        network(torch.from_numpy(OURS.normalise(crops)))
        network.eval()
        for layer, norm in layers:
            scale = (norm.running_var + norm.eps).rsqrt()
            folded = Folded(
                layer.weight * scale.reshape(-1, *[1] * (layer.weight.ndim - 1)), -norm.running_mean * scale
            )
            fill([(layer, norm)], [folded])
    return network


@pytest.fixture(scope="module")
def file(donor: FaceNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The donor's convolutions as a file that wants its crops otherwise: 127.5 / 60 times as wide."""
    units = [unit for unit in donor.modules() if isinstance(unit, ConvUnit)]
    pairs = [(unit.conv.weight.detach(), unit.norm.bias.detach()) for unit in units]
    pairs[0] = (pairs[0][0] * 60 / 127.5, pairs[0][1])
    pairs.append((donor.linear.weight.detach()[:, :, None, None], donor.norm.bias.detach()))
    return write(tmp_path_factory.mktemp("donor") / "donor.onnx", pairs)


def write(path: Path, pairs: list[tuple[Tensor, Tensor]]) -> Path:
    arrays, nodes = [], []
    for number, (weight, bias) in enumerate(pairs):
        names = [f"w{number}", f"b{number}"]
        arrays += [
            numpy_helper.from_array(one.numpy(), name) for one, name in zip((weight, bias), names, strict=True)
        ]
        nodes.append(helper.make_node("Conv", [f"x{number}", *names], [f"x{number + 1}"]))
    onnx.save(helper.make_model(helper.make_graph(nodes, "donor", [], [], arrays)), path)
    return path


def features(network: FaceNetwork, crops: NDArray[np.uint8]) -> Tensor:
    with torch.no_grad():
        x = torch.from_numpy(OURS.normalise(crops))
        return network.flatten(network.global_depthwise(network.last(network.maps(x)[-1])))


def likeness(network: FaceNetwork, donor: FaceNetwork, crops: NDArray[np.uint8]) -> float:
    """Correlation of the two networks' features."""
    mine, theirs = (features(one, crops) for one in (network, donor))
    return float(
        torch.corrcoef(torch.stack([(mine - mine.mean(0)).flatten(), (theirs - theirs.mean(0)).flatten()]))[0, 1]
    )


def test_a_network_of_the_same_table_computes_what_the_donor_does(
    file: Path, donor: FaceNetwork, crops: NDArray[np.uint8]
) -> None:
    network = FaceNetwork(WHOLE, Style("relu6"), 128).eval()
    start_from(file, THEIRS, network, OURS, crops)
    assert likeness(network, donor, crops) > 0.999
    # and, unlike the donor, it does so with the statistics of a batch, as in training
    network.train()
    assert likeness(network, donor, crops) > 0.98


def test_a_thinner_network_is_nearly_the_donor_and_better_the_wider_it_is(
    file: Path, donor: FaceNetwork, crops: NDArray[np.uint8]
) -> None:
    found = []
    for layout in (Layout(32, NARROW, pointwise=32), Layout(16, NARROW, pointwise=16)):
        network = FaceNetwork(layout, Style("relu6"), 128)
        start_from(file, THEIRS, network, OURS, crops)
        assert network.training
        found.append(likeness(network.eval(), donor, crops[32:]))
    # Random weights hold nothing that could be spared; trained ones lose far less.
    assert found[0] > found[1] > 0.1
    untrained = FaceNetwork(Layout(32, NARROW, pointwise=32), Style("relu6"), 128).eval()
    assert likeness(untrained, donor, crops[32:]) < 0.1


def test_the_last_layer_gives_the_targets_that_it_can(crops: NDArray[np.uint8], donor: FaceNetwork) -> None:
    network = FaceNetwork(WHOLE, Style("relu6"), 8).eval()
    network.load_state_dict(
        {name: one for name, one in donor.state_dict().items() if not name.startswith(("linear", "norm."))},
        strict=False,
    )
    wanted = np.random.default_rng(1).standard_normal((8, 512)).astype(np.float32)
    targets = features(network, crops).numpy() @ wanted.T
    targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    fit_last_layer(network, OURS, crops, targets)
    with torch.no_grad():
        found = network(torch.from_numpy(OURS.normalise(crops))).numpy()
    assert (found * targets).sum(1).mean() > 0.95
    with pytest.raises(ConfigurationError, match="8 numbers long, the network's 16"):
        fit_last_layer(FaceNetwork(WHOLE, Style("relu6"), 16), OURS, crops, targets)


def test_the_columns_that_tell_are_found() -> None:
    rng = torch.Generator().manual_seed(0)
    seen = torch.randn(500, 6, generator=rng)
    wanted = seen[:, [1, 4]] @ torch.tensor([[1.0, 2.0, 0.5], [0.3, -1.0, 2.0]])
    assert telling(seen, wanted, 2).tolist() == [1, 4]


@pytest.mark.parametrize(
    "network",
    [
        lambda: seesaw_shuffle(128),
        lambda: FaceNetwork(LAYOUT, Style("relu6"), 128),
        lambda: FaceNetwork(replace(WHOLE, stem=96), Style("relu6"), 128),
        lambda: FaceNetwork(WHOLE, Style("prelu"), 128),
        lambda: FaceNetwork(replace(WHOLE, rows=(Row(128, 64, 6, 2), *LAYOUT.rows[1:])), Style("relu6"), 128),
    ],
    ids=["uneven", "without the 1x1", "a wider stem", "prelu", "more blocks"],
)
def test_another_chain_is_refused(file: Path, crops: NDArray[np.uint8], network: object) -> None:
    with pytest.raises(ConfigurationError, match="can start from a deployed MobileFaceNet"):
        start_from(file, THEIRS, network(), OURS, crops[:2])  # type: ignore[operator]


def test_another_file_is_refused(tmp_path: Path, crops: NDArray[np.uint8]) -> None:
    network = FaceNetwork(WHOLE, Style("relu6"), 128)
    with pytest.raises(WeightsError, match="cannot be read"):
        start_from(tmp_path / "absent.onnx", THEIRS, network, OURS, crops[:2])
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(WeightsError, match="no ONNX file"):
        start_from(tmp_path / "text.onnx", THEIRS, network, OURS, crops[:2])
    other = write(tmp_path / "other.onnx", [(torch.zeros(8, 3, 3, 3), torch.zeros(8))] * 2)
    with pytest.raises(WeightsError, match="other layers"):
        start_from(other, THEIRS, network, OURS, crops[:2])


def test_a_recipe_without_a_watcher_cannot_start_from_it() -> None:
    teaching = {**RECIPE.model_dump()["teaching"], "watcher": None, "hints": 0.0}
    with pytest.raises(ValueError, match="start from the watcher"):
        FaceRecipe.model_validate({**RECIPE.model_dump(), "teaching": teaching})
