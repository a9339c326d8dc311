"""A network that watches: its embeddings and its maps are those of the file, and hints teach."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from ostiary.data.identities import IdentityIndex
from ostiary.data.pictures import open_pictures
from ostiary.errors import InputError, WeightsError
from ostiary.networks.registry import FACE
from ostiary.reports.embedders import FACE_PEERS
from ostiary.training.embedding.recipe import Teaching
from ostiary.training.embedding.run import FaceRunSettings, train_face
from ostiary.training.embedding.task import group_ends
from ostiary.training.embedding.watcher import MAPS, FaceWatcher, Hints

from .conftest import TINY

FILE = next(peer.file for peer in FACE_PEERS if peer.name == "foamliu")


def chain(path: Path, strides: tuple[int, ...] = (2, 2, 2)) -> list[str]:
    """A file like the peer's, for one picture, with one block at each resolution; names of the three maps."""
    rng = np.random.default_rng(0)
    nodes, weights = [], []

    def conv(
        value: str, out: int, inside: int, kernel: int, stride: int = 1, groups: int = 1, pad: int = 0
    ) -> str:
        name = f"conv{len(nodes)}"
        array = rng.normal(0, (inside // groups * kernel**2) ** -0.5, (out, inside // groups, kernel, kernel))
        weights.append(numpy_helper.from_array(array.astype(np.float32), f"{name}.weight"))
        attributes = {"strides": [stride] * 2, "pads": [pad] * 4, "group": groups}
        nodes.append(helper.make_node("Conv", [value, f"{name}.weight"], [name], **attributes))
        return name

    def relu(value: str) -> str:
        nodes.append(helper.make_node("Relu", [value], [f"{value}.relu"]))
        return f"{value}.relu"

    value = relu(conv(relu(conv("input0", 64, 3, 3, 2, pad=1)), 64, 64, 3, groups=64, pad=1))
    channels, maps = 64, []
    for out, stride in zip(MAPS, strides, strict=True):
        wide = relu(conv(value, 2 * out, channels, 1))
        value = conv(relu(conv(wide, 2 * out, 2 * out, 3, stride, 2 * out, 1)), out, 2 * out, 1)
        channels = out
        maps.append(value)
    value = conv(conv(relu(conv(value, 512, channels, 1)), 512, 512, 7, groups=512), 128, 512, 1)
    weights.append(numpy_helper.from_array(np.array([1, -1]), "shape"))
    nodes.append(helper.make_node("Reshape", [value, "shape"], ["output0"]))
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("input0", TensorProto.FLOAT, [1, 3, 112, 112])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 128])],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return maps


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("peers")
    chain(folder / FILE)
    return folder


def test_it_answers_as_the_file_does_picture_by_picture(tmp_path: Path) -> None:
    names = chain(tmp_path / FILE)
    crops = np.random.default_rng(1).integers(0, 256, (3, 112, 112, 3)).astype(np.uint8)
    embeddings, maps = FaceWatcher(tmp_path, "foamliu")(crops)
    model = onnx.load(tmp_path / FILE)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    preprocess = next(peer.preprocess for peer in FACE_PEERS if peer.name == "foamliu")
    for place, picture in enumerate(preprocess.normalise(crops)):
        output, *expected = session.run(["output0", *names], {"input0": picture[None]})
        assert np.allclose(embeddings[place], output[0] / np.linalg.norm(output), atol=1e-5)
        for found, one in zip(maps, expected, strict=True):
            assert np.allclose(found[place], one[0], atol=1e-4)
    assert [found.shape[1:] for found in maps] == [(64, 28, 28), (128, 14, 14), (128, 7, 7)]


def test_what_is_no_such_chain_is_refused(tmp_path: Path) -> None:
    crops = np.zeros((1, 112, 112, 3), np.uint8)
    with pytest.raises(WeightsError, match="cannot be read"):
        FaceWatcher(tmp_path, "foamliu")(crops)
    chain(tmp_path / FILE, strides=(2, 2, 1))
    with pytest.raises(WeightsError, match="no chain of inverted residuals"):
        FaceWatcher(tmp_path, "foamliu")(crops)


@pytest.mark.parametrize("name", FACE)
def test_every_network_has_a_map_at_each_of_the_watchers_resolutions(name: str) -> None:
    network = FACE[name](16).eval()
    with torch.no_grad():
        maps = network.maps(torch.zeros(1, 3, 112, 112))
        assert torch.allclose(network.head(maps[-1]), network(torch.zeros(1, 3, 112, 112)))
    assert [maps[end].shape[-1] for end in group_ends(network)] == [28, 14, 7]
    assert group_ends(network)[-1] == len(maps) - 1


def test_hints_are_relative() -> None:
    """Nothing left to learn gives 0, whatever the means; a map that tells nothing gives 1."""
    torch.manual_seed(0)
    hints = Hints([4], [4])
    target = torch.randn(8, 4, 5, 5) + 3
    bridge = hints.bridges[0]
    torch.nn.init.dirac_(bridge.weight)
    assert hints([target], [target]).item() == pytest.approx(0, abs=1e-9)
    torch.nn.init.zeros_(bridge.weight)
    assert hints([target], [target]).item() == pytest.approx(1)


def test_a_run_with_hints_and_a_watcher_alone(
    people: Path, index: IdentityIndex, peers: Path, tmp_path: Path
) -> None:
    taught = TINY.model_copy(
        update={
            "margin": None,
            "teaching": Teaching(teachers=(), watcher="foamliu", hints=1.0),
            "schedule": TINY.schedule.model_copy(update={"optimiser": "adamw", "learning_rate": 2e-3}),
        }
    )
    settings = FaceRunSettings(out=tmp_path / "out", cache=tmp_path / "cache", workers=0, accelerator="cpu")
    pictures = open_pictures(people)
    with pytest.raises(InputError, match="--peers"):
        train_face(taught, index, pictures, settings)
    watched = FaceRunSettings(
        out=tmp_path / "out", cache=tmp_path / "cache", peers=peers, workers=0, accelerator="cpu"
    )
    train_face(taught, index, pictures, watched)
    curve = np.loadtxt(tmp_path / "out" / "steps.csv", delimiter=",", skiprows=1, usecols=3)
    assert curve[-2:].mean() < curve[:2].mean()


@pytest.mark.parametrize(
    ("teaching", "message"),
    [
        ({"teachers": ()}, "teachers or a watcher"),
        ({"teachers": (), "watcher": "foamliu", "followed": False}, "that is followed"),
        ({"teachers": ("foamliu",), "watcher": "foamliu"}, "a teacher already"),
        ({"hints": 1.0}, "come from a watcher"),
    ],
)
def test_teachings_that_cannot_be_are_refused(teaching: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Teaching.model_validate(teaching)
