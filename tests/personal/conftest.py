"""Verifiers of noise, whose maps neither fade nor explode, and the files that run them.

And a small world of enrolment: an embedder of noise, and a generator for it by whose verifiers the astronaut is
told from Grace Hopper.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ostiary import read_image
from ostiary.export.card import EmbeddingCard
from ostiary.export.face import export_face
from ostiary.export.generator import GeneratorCard, export_generator
from ostiary.export.personal import VerifierCard, export_verifier
from ostiary.faces.crops import aligned_crop
from ostiary.faces.detector import FaceDetector
from ostiary.faces.preprocess import Preprocess
from ostiary.gate.matching import Shot
from ostiary.networks.face_network import FaceNetwork, Layout, Row, Style
from ostiary.networks.hypernetwork import Hypernetwork
from ostiary.networks.verifier import verifier
from ostiary.runtime.embedding import EmbeddingModel
from ostiary.runtime.embedding_record import MatchThreshold
from ostiary.runtime.template import Template
from ostiary.runtime.verifier_layers import F64, Architecture, architecture_named

Make = Callable[..., Template]
GENERATOR = bytes(range(16))
DIMENSION = 8
THRESHOLD = MatchThreshold(value=0.5, rate=0.01, n_mated=100, n_non_mated=900, data="portraits")


def theta_of(architecture: Architecture, seed: int) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    theta = np.zeros(architecture.parameters, np.float32)
    for layer, (weight, bias) in zip(architecture.layers, architecture.parts(theta).values(), strict=True):
        weight[:] = random.normal(0, np.sqrt(2 / layer.fan_in), layer.shape)
        bias[:] = random.normal(0, 0.2, layer.out)
    return theta


@pytest.fixture(scope="session")
def make() -> Make:
    def made(seed: int = 0, architecture: str = "f64", **values: object) -> Template:
        theta = theta_of(architecture_named(architecture), seed)
        return Template(theta, architecture, GENERATOR, **values)  # type: ignore[arg-type]

    return made


@pytest.fixture(scope="session")
def logits() -> Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float64]]:
    """What the reference in double precision says of crops (N, 3, 64, 64)."""

    def judged(theta: NDArray[np.float32], x: NDArray[np.float32]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = verifier(
            torch.from_numpy(x).double(), torch.from_numpy(theta).double(), F64
        ).numpy()
        return found

    return judged


@pytest.fixture(scope="session")
def crops() -> NDArray[np.uint8]:
    """Coarse noise, on which verifiers of noise differ."""
    coarse = np.random.default_rng(5).integers(0, 256, (6, 8, 8, 3), np.uint8)
    return coarse.repeat(8, 1).repeat(8, 2)


@pytest.fixture(scope="session")
def card() -> VerifierCard:
    return VerifierCard(
        name="noise", version="1", licence="none", data=[], training_commit="none", preprocess=F64.preprocess,
        architecture="f64",
    )  # fmt: skip


@pytest.fixture(scope="session", params=["input", "place"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def files(card: VerifierCard, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("verifier")
    return {
        "input": export_verifier(folder / "input.onnx", card, "input"),
        "place": export_verifier(folder / "place.onnx", card, "place"),
    }


@pytest.fixture(scope="session")
def shots(pictures: Path) -> list[Shot]:
    """The astronaut, and Grace Hopper."""
    read = [read_image(pictures / name) for name in ("astronaut.png", "grace_hopper.jpg")]
    return [Shot(pixels, FaceDetector().detect(pixels)[0]) for pixels in read]


@pytest.fixture(scope="session")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> EmbeddingModel:
    """A face network of noise."""
    torch.manual_seed(0)
    rows = (Row(32, 16, 1, 2), Row(32, 16, 1, 2), Row(32, 16, 1, 2))
    network = FaceNetwork(Layout(16, rows, last=16), Style("prelu"), DIMENSION)
    preprocess = Preprocess(crop="aligned", size=112, mean=(127.5,) * 3, std=(127.5,) * 3)
    card = EmbeddingCard(
        name="noise", version="1", licence="none", data=[], preprocess=preprocess, training_commit="none",
        network="noise",
    )  # fmt: skip
    return EmbeddingModel(export_face(network, tmp_path_factory.mktemp("face") / "noise.onnx", card).path)


@pytest.fixture(scope="session")
def generator_card(embedder: EmbeddingModel) -> GeneratorCard:
    return GeneratorCard(
        name="noise", version="1", licence="none", data=[], training_commit="none", preprocess=F64.preprocess,
        architecture="f64", backbone=embedder.name, threshold=THRESHOLD,
        backbone_sha256=hashlib.sha256(embedder.path.read_bytes()).hexdigest(),
    )  # fmt: skip


@pytest.fixture(scope="session")
def hypernetwork(embedder: EmbeddingModel, shots: list[Shot]) -> Hypernetwork:
    """Whose verifier of the astronaut gives 2 for the astronaut and -2 for Grace Hopper."""
    torch.manual_seed(0)
    network = Hypernetwork("head", F64, dimension=DIMENSION).eval()
    cut = [[aligned_crop(x.pixels, x.face.landmarks, p) for x in shots] for p in _PREPROCESS]
    embedding = torch.from_numpy(embedder.embed(np.stack(cut[0])[:1]))
    with torch.no_grad():
        probes = torch.from_numpy(F64.preprocess.normalise(np.stack(cut[1])))
        genuine, impostor = verifier(probes, network.theta(embedding)[0], F64).tolist()
        scale = 4 / (genuine - impostor)
        for parameter in (network.last_of_embedding.weight, *network.last_of_code.parameters()):
            parameter *= scale
        network.last_of_code.bias[-1] -= scale * (genuine + impostor) / 2
    return network


@pytest.fixture(scope="session")
def generator_file(
    hypernetwork: Hypernetwork, generator_card: GeneratorCard, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return export_generator(hypernetwork, tmp_path_factory.mktemp("generator") / "generator.onnx", generator_card)


_PREPROCESS = (Preprocess(crop="aligned", size=112), F64.preprocess)
