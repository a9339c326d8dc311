"""Embedders of others keep their conventions, and several can stand as one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from ostiary.errors import ConfigurationError, InputError, OstiaryError, WeightsError
from ostiary.faces.crops import aligned_crop
from ostiary.faces.detector import FaceDetector
from ostiary.faces.preprocess import Preprocess
from ostiary.images import read_image
from ostiary.reports.embedders import (
    FACE_PEERS,
    FacePeer,
    JointEmbedder,
    PeerEmbedder,
    choose_embedder,
    describe,
    open_embedder,
)
from ostiary.runtime.embedding import similarity

ALIGNED = Preprocess(crop="aligned", size=112)


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    """A folder with networks under the peers' names: means of the left and of the right half, by channel."""
    nodes = [
        helper.make_node("AveragePool", ["data"], ["pooled"], kernel_shape=[112, 56], strides=[112, 56]),
        helper.make_node("Flatten", ["pooled"], ["fc1"]),
    ]
    shapes = {"data": [1, 3, 112, 112], "fc1": [1, 6]}
    entries = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()
    }
    graph = helper.make_graph(nodes, "halves", [entries["data"]], [entries["fc1"]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for peer in FACE_PEERS:
        onnx.save(model, tmp_path / peer.file)
    return tmp_path


def _crops() -> NDArray[np.uint8]:
    """One crop that is red on its left half and blue on its right, and one that is grey."""
    crops = np.full((2, 112, 112, 3), 100, np.uint8)
    crops[0, :, :56] = (200, 0, 0)
    crops[0, :, 56:] = (0, 0, 200)
    return crops


def test_channels_and_levels_are_the_projects_own(halves: Path) -> None:
    sface, foamliu = (open_embedder(name, halves).embed(_crops()) for name in ("sface", "foamliu"))
    # red left, red right, green ..., blue ...: 0..255 and nothing taken off
    assert sface[0] == pytest.approx(np.array([1, 0, 0, 0, 0, 1]) / np.sqrt(2))
    means, deviations = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    grey = np.repeat((100 / 255 - means) / deviations, 2)
    assert foamliu[1] == pytest.approx(grey / np.linalg.norm(grey), abs=1e-5)


def test_flip_is_the_mean_of_two_directions(halves: Path) -> None:
    embedder = open_embedder("sface", halves)
    crops = _crops()
    mean = embedder.embed(crops) + embedder.embed(np.ascontiguousarray(crops[:, :, ::-1]))
    assert embedder.embed(crops, flip=True) == pytest.approx(mean / np.linalg.norm(mean, axis=1, keepdims=True))
    assert embedder.embed(crops, flip=True)[0] == pytest.approx(np.array([1, 1, 0, 0, 1, 1]) / 2)


def test_joined_cosines_are_the_mean(halves: Path) -> None:
    members = [open_embedder(name, halves) for name in ("sface", "foamliu")]
    joint = JointEmbedder(members)
    crops = np.random.default_rng(0).integers(0, 256, (4, 112, 112, 3), np.uint8)
    assert joint.name == "sface+foamliu"
    for flip in (False, True):
        found = joint.embed(crops, flip=flip)
        parts = [member.embed(crops, flip=flip) for member in members]
        assert np.linalg.norm(found, axis=1) == pytest.approx(1)
        mean = np.mean([similarity(part[:2], part[2:]) for part in parts], axis=0)
        assert similarity(found[:2], found[2:]) == pytest.approx(mean, abs=1e-6)


def test_members_must_take_one_crop(halves: Path) -> None:
    other = FacePeer("other", FACE_PEERS[0].file, Preprocess(crop="aligned", size=128))
    with pytest.raises(ConfigurationError, match="same crop"):
        JointEmbedder([open_embedder("sface", halves), PeerEmbedder(other, halves)])


def test_wrong_crops_and_dead_networks_are_refused(halves: Path) -> None:
    embedder = open_embedder("sface", halves)
    with pytest.raises(InputError, match="112"):
        embedder.embed(np.zeros((1, 96, 112, 3), np.uint8))
    with pytest.raises(WeightsError, match="direction"):
        embedder.embed(np.zeros((1, 112, 112, 3), np.uint8))


def test_what_the_command_line_means(halves: Path, tmp_path: Path) -> None:
    assert choose_embedder(peers=["foamliu"], folder=halves).name == "foamliu"
    assert choose_embedder(peers=["sface", "foamliu"], folder=halves).name == "sface+foamliu"
    wrong: list[tuple[dict[str, object], str]] = [
        ({"weights": "x.onnx", "peers": ["sface"], "folder": halves}, "not both"),
        ({"peers": ["sface"]}, "--peers"),
        ({"folder": halves}, "no peer is named"),
        ({"peers": ["sface", "sface"], "folder": halves}, "twice"),
        ({"peers": ["arcface"], "folder": halves}, "choose among sface, foamliu"),
        ({"peers": ["sface"], "folder": tmp_path / "empty"}, "is not there"),
        ({"weights": tmp_path / "absent.onnx"}, "absent.onnx"),
    ]
    for arguments, message in wrong:
        with pytest.raises(OstiaryError, match=message):
            choose_embedder(**arguments)  # type: ignore[arg-type]


def test_a_report_names_the_file_that_ran(halves: Path) -> None:
    found = describe(open_embedder("sface", halves))
    assert found["name"] == "sface"
    assert len(found["sha256"]) == 64
    assert describe(JointEmbedder([open_embedder("sface", halves)])) == {"name": "sface"}


@pytest.mark.packs
def test_the_peer_knows_a_person_again(packs: Path, pictures: Path) -> None:
    """Its authors' weights give one portrait against its darkened self far more than two people."""
    embedder = open_embedder("foamliu", packs / "models" / "peers")
    crops = []
    for name in ("astronaut.png", "grace_hopper.jpg"):
        image = read_image(pictures / name)
        crops.append(aligned_crop(image, FaceDetector().detect(image)[0].landmarks, ALIGNED))
    crops.append((crops[0].astype(np.float32) * 0.7).astype(np.uint8))
    found = embedder.embed(np.stack(crops), flip=True)
    assert similarity(found[0], found[2]) > 0.9
    assert similarity(found[0], found[1]) < 0.65
