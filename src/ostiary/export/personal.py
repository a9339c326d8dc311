"""The personal verifier as ONNX: for everybody, with theta from outside, and for one person, with theta inside.

For everybody there are two graphs. With theta as an input, a Scan goes over its rows, so that any number of people
is judged in one call; but the runtime can prepare no weights that it does not know beforehand. With a place for
theta, an initialiser of zeros that is overwritten before a session is made, it prepares them once a person.
One person's file has ordinary convolutions, for whatever can read ONNX.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from ostiary.errors import ConfigurationError, WeightsError
from ostiary.export.card import Origin, model_of, sealed
from ostiary.export.graph import Scope
from ostiary.networks.verifier import verifier
from ostiary.reports.folder import replace_file
from ostiary.runtime.container import WeightsRecord
from ostiary.runtime.personal_record import PersonMetadata, VerifierMetadata
from ostiary.runtime.session import make_session
from ostiary.runtime.template import Template
from ostiary.runtime.verifier_layers import Architecture, architecture_named

TOLERANCE = 1e-4
"""Largest difference of a logit between torch and a file, over the largest logit or 1."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifierCard(Origin):
    """Of either kind of file; ``preprocess`` is that of the architecture, a name of ``ARCHITECTURES``."""

    architecture: str

    def recorded(self) -> dict[str, Any]:
        """What both records say."""
        shape = architecture_named(self.architecture)
        return {
            **self._recorded(),
            "architecture": shape.name,
            "architecture_digest": shape.digest.hex(),
            "parameters": shape.parameters,
            "macs": shape.macs,
        }


def export_verifier(path: Path, card: VerifierCard, theta: Literal["input", "place"] = "input") -> Path:
    """Write the graph that serves everybody; :class:`ostiary.runtime.personal.PersonalVerifier` reads it.

    ``input`` is float32 (batch, 3, S, S). With ``theta="input"`` the second input ``theta`` is (users, parameters)
    and ``logits`` (users, batch); with ``"place"``, ``logits`` is (batch,) by the initialiser ``theta``.

    Raises:
        WeightsError: the file differs from torch; nothing is written.

    """
    architecture = architecture_named(card.architecture)
    thetas = np.stack([_lively(architecture, seed) for seed in range(3)])
    samples = _samples(architecture)
    if theta == "input":
        model = by_input(architecture)
        found = _run(model, {"input": samples, "theta": thetas})
    else:
        model = with_place(architecture)
        found = np.stack([_run(with_place(architecture, row), {"input": samples}) for row in thetas])
    _check(found, samples, thetas, architecture)
    metadata = VerifierMetadata(**card.recorded(), theta=theta)
    return write_sealed(path, model, metadata)


def export_person(template: Template, path: Path, card: VerifierCard) -> Path:
    """Write one person's verifier as an ordinary network: ``input`` (batch, 3, S, S) -> ``logits`` (batch,).

    The file is that person's biometric data, in the clear. :class:`ostiary.runtime.personal.PersonVerifier` reads
    it.

    Raises:
        ConfigurationError: the card is of another architecture than the template.
        WeightsError: the file differs from torch; nothing is written.

    """
    if card.architecture != template.architecture:
        raise ConfigurationError(
            f"The card is of {card.architecture} and the template of {template.architecture}: give one of its own."
        )
    architecture = template.shape
    model = with_weights(architecture, template.theta)
    samples = _samples(architecture)
    _check(_run(model, {"input": samples})[None], samples, template.theta[None], architecture)
    metadata = PersonMetadata(
        **card.recorded(),
        generator=template.generator.hex(),
        photos=template.photos,
        threshold=template.threshold,
    )
    return write_sealed(path, model, metadata)


def by_input(architecture: Architecture) -> onnx.ModelProto:
    """The graph with theta as an input, without its record."""
    body = Scope("body_")
    logits = _chain(body, architecture, _cut(body, architecture, "row"))
    row = helper.make_tensor_value_info("row", TensorProto.FLOAT, [architecture.parameters])
    result = helper.make_tensor_value_info(logits, TensorProto.FLOAT, ["batch"])
    scope = Scope()
    scope.node("Scan", ["theta"], body=body.graph("person", [result], [row]), num_scan_inputs=1)
    thetas = helper.make_tensor_value_info("theta", TensorProto.FLOAT, ["users", architecture.parameters])
    return _model(scope, [_crops(architecture), thetas], ["users", "batch"])


def with_place(architecture: Architecture, theta: NDArray[np.float32] | None = None) -> onnx.ModelProto:
    """The graph with theta, or zeros in its place, as one initialiser; without its record."""
    scope = Scope()
    place = scope.constant("theta", np.zeros(architecture.parameters, np.float32) if theta is None else theta)
    _chain(scope, architecture, _cut(scope, architecture, place))
    return _model(scope, [_crops(architecture)], ["batch"])


def with_weights(architecture: Architecture, theta: NDArray[np.float32]) -> onnx.ModelProto:
    """The graph of one person, with an initialiser for each weight and bias; without its record."""
    scope = Scope()
    names = []
    for name, (weight, bias) in architecture.parts(theta).items():
        names.append((scope.constant(f"{name}.weight", weight), scope.constant(f"{name}.bias", bias)))
    _chain(scope, architecture, names)
    return _model(scope, [_crops(architecture)], ["batch"])


def _cut(scope: Scope, architecture: Architecture, theta: str) -> list[tuple[str, str]]:
    """Names of weight and bias of each layer, cut out of a theta (parameters,)."""
    sizes = [number for layer in architecture.layers for number in (layer.weights, layer.out)]
    lengths = scope.constant("lengths", np.array(sizes, np.int64))
    parts = scope.fan_out("Split", [theta, lengths], len(sizes), axis=0)
    names = []
    for layer, flat, bias in zip(architecture.layers, parts[::2], parts[1::2], strict=True):
        shape = scope.constant(f"{layer.name}.shape", np.array(layer.shape, np.int64))
        names.append((scope.node("Reshape", [flat, shape]), bias))
    return names


def _chain(scope: Scope, architecture: Architecture, weights: list[tuple[str, str]]) -> str:
    """The verifier's layers, from ``input`` to logits (batch,)."""
    value = "input"
    for layer, (weight, bias) in zip(architecture.layers, weights, strict=True):
        shape = {"strides": [layer.stride] * 2, "pads": [layer.padding] * 4, "group": layer.groups}
        value = scope.node("Conv", [value, weight, bias], **shape)
        if layer.relu:
            value = scope.node("Relu", [value])
    return scope.node("Reshape", [value, scope.constant("flat", np.array([-1], np.int64))])


def _crops(architecture: Architecture) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(
        "input", TensorProto.FLOAT, ["batch", 3, architecture.size, architecture.size]
    )


def _model(scope: Scope, inputs: list[onnx.ValueInfoProto], shape: list[str | int]) -> onnx.ModelProto:
    scope.nodes[-1].output[0] = "logits"
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)]
    model = model_of(scope.graph("ostiary", outputs, inputs))
    onnx.checker.check_model(model, full_check=True)
    return model


def _samples(architecture: Architecture) -> NDArray[np.float32]:
    shape = 2, 3, architecture.size, architecture.size
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def _lively(architecture: Architecture, seed: int) -> NDArray[np.float32]:
    """A theta of noise whose maps neither fade nor explode."""
    random = np.random.default_rng(seed)
    theta = np.zeros(architecture.parameters, np.float32)
    for layer, (weight, bias) in zip(architecture.layers, architecture.parts(theta).values(), strict=True):
        weight[:] = random.normal(0, np.sqrt(2 / layer.fan_in), layer.shape)
        bias[:] = random.normal(0, 0.1, layer.out)
    return theta


def _run(model: onnx.ModelProto, feed: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    logits: NDArray[np.float32] = make_session(model.SerializeToString()).run(None, feed)[0]
    return logits


def _check(
    found: NDArray[np.float32],
    samples: NDArray[np.float32],
    thetas: NDArray[np.float32],
    architecture: Architecture,
) -> None:
    with torch.no_grad():
        expected = verifier(torch.from_numpy(samples), torch.from_numpy(thetas), architecture).numpy()
    difference = float(np.abs(found - expected).max()) / max(1.0, float(np.abs(expected).max()))
    if not difference <= TOLERANCE:
        raise WeightsError(
            f"the export of {architecture.name} differs from torch by {difference:.2g}, more than {TOLERANCE:g}; "
            "nothing was written."
        )


def write_sealed(path: Path, model: onnx.ModelProto, metadata: WeightsRecord) -> Path:
    """Write a model with its record and its hash; returns the path.

    Raises:
        ConfigurationError: it cannot be written.

    """
    content = sealed(model, metadata)
    replace_file(path, content)
    log.info("%s: %d bytes", path, len(content))
    return path
