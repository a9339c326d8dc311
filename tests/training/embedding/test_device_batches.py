"""Faces changed where the network is trained, and teachers asked there: the same order, the same curve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from ostiary.data.identities import IdentityIndex
from ostiary.data.pictures import open_pictures
from ostiary.errors import InputError, WeightsError
from ostiary.reports.embedders import FACE_PEERS, choose_embedder
from ostiary.training.embedding.batches import Faces, FaceShard, face_batches
from ostiary.training.embedding.device_batches import device_batches
from ostiary.training.embedding.live_teachers import DeployedChain, LiveTeachers
from ostiary.training.embedding.portraits import Portraits, load_portraits
from ostiary.training.embedding.recipe import FaceRecipe, Teaching, altered
from ostiary.training.embedding.run import FaceRunSettings, train_face
from ostiary.training.embedding.watcher import FaceWatcher

from .conftest import TINY
from .test_watcher import FILE, chain

CPU = torch.device("cpu")
SFACE = next(peer for peer in FACE_PEERS if peer.name == "sface")
HERE = TINY.model_copy(update={"prepared": "device", "margin": None})
TAUGHT = FaceRecipe.model_validate(
    {
        **HERE.model_dump(),
        "teaching": Teaching(teachers=("sface",), watcher="foamliu", hints=0.5).model_dump(),
    }
)


def normalising_chain(path: Path) -> None:
    """A file like SFace's: it normalises inside, has BatchNorm and PReLU apart, and a linear layer at the end."""
    rng = np.random.default_rng(5)
    arrays = {
        "mean": np.float32(127.5), "scale": np.float32(1 / 128),
        "conv": rng.normal(0, 0.3, (8, 3, 3, 3)), "gamma": rng.uniform(0.5, 2, 8), "beta": rng.normal(size=8),
        "average": rng.normal(size=8), "variance": rng.uniform(0.5, 2, 8), "slope": rng.normal(0, 1, (8, 1, 1)),
        "wide": rng.normal(0, 0.1, (8, 1, 7, 7)), "linear": rng.normal(size=(128, 8 * 64)),
        "bias": rng.normal(size=128),
    }  # fmt: skip
    nodes = [
        helper.make_node("Sub", ["data", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "scale"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "conv"], ["a"], strides=[2, 2], pads=[1] * 4, group=1),
        helper.make_node("BatchNormalization", ["a", "gamma", "beta", "average", "variance"], ["b"], epsilon=1e-3),
        helper.make_node("PRelu", ["b", "slope"], ["c"]),
        helper.make_node("Conv", ["c", "wide"], ["d"], strides=[7, 7], pads=[0] * 4, group=8),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("Gemm", ["e", "linear", "bias"], ["embedding"], transB=1, alpha=1.0, beta=1.0),
    ]
    graph = helper.make_graph(
        nodes,
        "normalising",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 112, 112])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, 128])],
        [numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in arrays.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("peers")
    chain(folder / FILE)
    normalising_chain(folder / SFACE.file)
    return folder


@pytest.fixture
def portraits(people: Path, index: IdentityIndex, tmp_path: Path) -> Portraits:
    return load_portraits(index, open_pictures(people), tmp_path, 112)


def untaught(portraits: Portraits) -> Faces:
    """The number of the picture in the place of the person, so that draws can be followed."""
    return Faces(portraits, np.arange(len(portraits)), np.empty((1, len(portraits), 0), np.float16))


def run(
    recipe: FaceRecipe, faces: Faces, steps: range, shards: range = range(2), live: LiveTeachers | None = None
) -> list[list[FaceShard]]:
    return list(device_batches(recipe, faces, live, seed=3, steps=steps, shards=shards, device=CPU))


def test_pictures_come_in_the_order_that_worker_processes_have(portraits: Portraits) -> None:
    faces = untaught(portraits)
    by_workers = face_batches(TINY, faces, seed=3, steps=range(7), shards=range(2), workers=0)
    for here, there in zip(run(HERE, faces, range(7)), by_workers, strict=True):
        for one, other in zip(here, there, strict=True):
            assert torch.equal(one.people, other.people)
            assert one.inputs.shape == other.inputs.shape


def test_a_resumed_run_and_a_part_of_the_processes_see_the_same(portraits: Portraits) -> None:
    faces = untaught(portraits)
    whole = run(HERE, faces, range(4))
    resumed, second_half = run(HERE, faces, range(2, 4)), run(HERE, faces, range(4), range(1, 2))
    for step in (2, 3):
        for one, other in zip(whole[step], resumed[step - 2], strict=True):
            assert torch.equal(one.inputs, other.inputs)
    for one, other in zip(whole, second_half, strict=True):
        assert torch.equal(one[1].inputs, other[0].inputs)


def test_a_blended_picture_is_nobodys(portraits: Portraits) -> None:
    faces = untaught(portraits)
    mixed = HERE.model_copy(update={"mixed": 0.5})
    for plain, blended in zip(run(HERE, faces, range(6)), run(mixed, faces, range(6)), strict=True):
        for one, other in zip(plain, blended, strict=True):
            for place, person in enumerate(other.people.tolist()):
                same = torch.allclose(one.inputs[place], other.inputs[place], atol=1e-5)
                assert same == (person == one.people[place]), "blended where nobody is named, and nowhere else"
                assert person in (-1, int(one.people[place]))


def test_live_teachers_answer_as_their_files_do(peers: Path) -> None:
    crops = np.random.default_rng(1).integers(0, 256, (3, 112, 112, 3)).astype(np.uint8)
    live = LiveTeachers(peers, TAUGHT.teaching)
    targets, maps = live(torch.from_numpy(crops).permute(0, 3, 1, 2).float())
    watched, expected_maps = FaceWatcher(peers, "foamliu")(crops)
    assert live.length == targets.shape[1] == 256
    assert np.allclose(targets[:, :128], choose_embedder(None, ["sface"], peers).embed(crops), atol=1e-5)
    assert np.allclose(targets[:, 128:], watched, atol=1e-5)
    for found, one in zip(maps, expected_maps, strict=True):
        assert np.allclose(found, one, atol=1e-4)
    assert np.allclose(live.ask(crops, CPU, batch=2), targets, atol=1e-5)


def test_a_watcher_that_is_not_followed_gives_maps_alone(peers: Path) -> None:
    live = LiveTeachers(peers, Teaching(teachers=("sface",), watcher="foamliu", followed=False, hints=1.0))
    targets, maps = live(torch.zeros(1, 3, 112, 112))
    assert live.length == targets.shape[1] == 128
    assert len(maps) == 3


def test_an_operator_that_is_not_known_is_named() -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Erf", ["x"], ["y"])], "odd", ends[:1], ends[1:])
    with pytest.raises(WeightsError, match=r"odd\.onnx has the operator Erf"):
        DeployedChain(helper.make_model(graph), ["y"], "odd.onnx")


def test_a_run_goes_on_on_its_curve(people: Path, index: IdentityIndex, peers: Path, tmp_path: Path) -> None:
    def settings(name: str) -> FaceRunSettings:
        return FaceRunSettings(out=tmp_path / name, cache=tmp_path / "cache", peers=peers, accelerator="cpu")

    pictures = open_pictures(people)
    train_face(TAUGHT, index, pictures, settings("whole"))
    train_face(altered(TAUGHT, epochs=1), index, pictures, settings("cut"))
    train_face(TAUGHT, index, pictures, settings("cut"))
    whole, cut = ((tmp_path / name / "steps.csv").read_text().splitlines() for name in ("whole", "cut"))
    losses = [[row.split(",")[3] for row in rows[1:]] for rows in (whole, cut)]
    assert losses[0] == losses[1]


def test_live_teachers_need_their_folder(people: Path, index: IdentityIndex, tmp_path: Path) -> None:
    settings = FaceRunSettings(out=tmp_path / "run", cache=tmp_path / "cache", accelerator="cpu")
    with pytest.raises(InputError, match="name the folder of their files with --peers"):
        train_face(TAUGHT, index, open_pictures(people), settings)


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(ValueError, match="mixed on the device"):
        FaceRecipe.model_validate({**TINY.model_dump(), "mixed": 0.5})
    with pytest.raises(ValueError, match="no views fixed beforehand"):
        FaceRecipe.model_validate({**HERE.model_dump(), "teaching": {"views": 2}})


def test_the_network_learns_what_its_teachers_say(
    people: Path, index: IdentityIndex, peers: Path, tmp_path: Path
) -> None:
    longer = altered(TAUGHT, epochs=8)
    longer = longer.model_copy(update={"teaching": Teaching(teachers=("sface",), watcher="foamliu")})
    settings = FaceRunSettings(out=tmp_path / "run", cache=tmp_path / "cache", peers=peers, accelerator="cpu")
    train_face(longer, index, open_pictures(people), settings)
    losses = [float(row.split(",")[3]) for row in (tmp_path / "run" / "steps.csv").read_text().splitlines()[1:]]
    assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:4])
