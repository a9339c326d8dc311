"""Verifiers of noise, whose maps neither fade nor explode, and the files that run them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ostiary.export.personal import VerifierCard, export_verifier
from ostiary.networks.verifier import verifier
from ostiary.runtime.template import Template
from ostiary.runtime.verifier_layers import F64, Architecture, architecture_named

Make = Callable[..., Template]
GENERATOR = bytes(range(16))


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
