"""A trained hypernetwork as ONNX: embeddings to rows of theta, in the order in which a template keeps them.

What all people share is stored once and repeated by the graph, so that a generator whose last layer alone is
personal is hardly larger than one verifier. Filter norms are part of the graph where the filters are personal, and
already taken where they are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import Tensor, nn

from ostiary.errors import ConfigurationError, WeightsError
from ostiary.export.card import model_of
from ostiary.export.graph import Scope
from ostiary.export.personal import TOLERANCE, VerifierCard, write_sealed
from ostiary.networks.hypernetwork import Generated, Hypernetwork
from ostiary.networks.verifier import Layers
from ostiary.runtime.embedding_record import MatchThreshold
from ostiary.runtime.personal_record import GeneratorMetadata
from ostiary.runtime.session import make_session
from ostiary.runtime.template import Precision
from ostiary.runtime.verifier_layers import Layer


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorCard(VerifierCard):
    """Of a generator, as in :class:`ostiary.runtime.personal_record.GeneratorMetadata`."""

    backbone: str
    backbone_sha256: str
    templates: Precision = "int8"
    threshold: MatchThreshold | None = None

    def metadata(self, network: Hypernetwork) -> GeneratorMetadata:
        """The record to store."""
        return GeneratorMetadata(
            **self.recorded(),
            form=network.form,
            dimension=network.dimension,
            backbone=self.backbone,
            backbone_sha256=self.backbone_sha256,
            generator=network.digest(self.backbone_sha256).hex(),
            templates=self.templates,
            threshold=self.threshold,
        )


def export_generator(network: Hypernetwork, path: Path, card: GeneratorCard) -> Path:
    """Write the graph that makes verifiers; :class:`ostiary.runtime.generator.Generator` reads it.

    ``embedding`` is float32 (users, dimension) of any length, ``theta`` float32 (users, parameters).

    Raises:
        ConfigurationError: the card is of another architecture, or the file cannot be written.
        WeightsError: the file differs from torch by more than ``TOLERANCE``; nothing is written.

    """
    if card.architecture != network.architecture.name:
        raise ConfigurationError(
            f"The card is of {card.architecture} and the generator of {network.architecture.name}: give one of "
            "its own."
        )
    network.eval()
    model = by_embedding(network)
    _check(model, network)
    return write_sealed(path, model, card.metadata(network))


def by_embedding(network: Hypernetwork) -> onnx.ModelProto:
    """The graph, without its record."""
    scope = Scope()
    length = scope.node("ReduceL2", ["embedding"], axes=[1], keepdims=1)
    direction = scope.node("Div", ["embedding", scope.node("Max", [length, _scalar(scope, "shortest", 1e-12)])])
    unit = scope.node("Mul", [direction, _scalar(scope, "length", sqrt(network.dimension))])
    code = unit
    for name in ("trunk.0", "trunk.2"):
        code = scope.node("Relu", [_linear(scope, code, name, network.get_submodule(name))])
    parts = [*_common(scope, network), *_personal(scope, network, code), *_last(scope, network, unit, code)]
    scope.node("Concat", parts, axis=1)
    scope.nodes[-1].output[0] = "theta"
    inputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["users", network.dimension])]
    shape: list[str | int | None] = ["users", network.architecture.parameters]
    outputs = [helper.make_tensor_value_info("theta", TensorProto.FLOAT, shape)]
    model = model_of(scope.graph("ostiary", outputs, inputs))
    onnx.checker.check_model(model, full_check=True)
    return model


def _common(scope: Scope, network: Hypernetwork) -> list[str]:
    """The layers that nobody has for themselves, repeated for each user (users, n)."""
    layers, names = _layers(network), _shared_names(network)
    if not names:
        return []
    flat = np.concatenate([_array(part).ravel() for name in names for part in layers[name]])
    users = scope.node("Slice", [scope.node("Shape", ["embedding"]), _integers(scope, "first", [0]),
                                 _integers(scope, "second", [1])])  # fmt: skip
    shape = scope.node("Concat", [users, _integers(scope, "one", [1])], axis=0)
    return [scope.node("Expand", [scope.constant("shared", flat[None]), shape])]


def _personal(scope: Scope, network: Hypernetwork, code: str) -> list[str]:
    """The layers between those and the last, each (users, n)."""
    own = [layer for layer in network.architecture.layers[:-1] if layer.name not in _shared_names(network)]
    if not own:
        return []
    if network.form in ("direct", "late"):
        flat = _linear(scope, code, "emit", network.emit)
    else:
        flat = scope.constant("shared", _array(network.shared)[None])
    if network.form == "basis":
        mixed = _linear(scope, code, "mix", network.mix)
        change = scope.node("MatMul", [mixed, scope.constant("directions", _array(network.directions))])
        flat = scope.node("Add", [flat, change])
    if network.gains is None and network.form != "modulation":
        return [flat]
    parts = _split(scope, "sizes", flat, [size for layer in own for size in (layer.weights, layer.out)])
    filters = [
        scope.node("Reshape", [part, _integers(scope, f"{layer.name}.filters", [-1, layer.out, layer.fan_in])])
        for layer, part in zip(own, parts[::2], strict=True)
    ]
    biases = parts[1::2]
    if network.gains is not None:
        filters = _normed(scope, network, own, filters)
    if network.form == "modulation":
        filters, biases = _modulated(scope, network, own, code, filters, biases)
    flats = []
    for layer, weight, bias in zip(own, filters, biases, strict=True):
        row = _integers(scope, f"{layer.name}.row", [-1, layer.weights])
        flats += [scope.node("Reshape", [weight, row]), bias]
    return flats


def _normed(scope: Scope, network: Hypernetwork, own: list[Layer], filters: list[str]) -> list[str]:
    """Each filter (.., out, fan-in) at unit length times its gain; ``own`` are the last layers before the end."""
    assert network.gains is not None
    gains = _array(network.gains)[-sum(layer.out for layer in own) :]
    normed, at = [], 0
    for layer, weight in zip(own, filters, strict=True):
        length = scope.node("ReduceL2", [weight], axes=[2], keepdims=1)
        unit = scope.node("Div", [weight, scope.node("Max", [length, _scalar(scope, "shortest_filter", 1e-6)])])
        gain = scope.constant(f"{layer.name}.gain", gains[None, at : at + layer.out, None])
        normed.append(scope.node("Mul", [unit, gain]))
        at += layer.out
    return normed


def _modulated(
    scope: Scope, network: Hypernetwork, own: list[Layer], code: str, filters: list[str], biases: list[str]
) -> tuple[list[str], list[str]]:
    """Filters times 1 + a personal gain, biases plus a personal offset."""
    changes = _linear(scope, code, "modulate", network.modulate)
    parts = _split(scope, "changes", changes, [layer.out for layer in own for _ in range(2)])
    one, at = _scalar(scope, "unchanged", 1.0), _integers(scope, "axis", [2])
    gains = [scope.node("Unsqueeze", [scope.node("Add", [part, one]), at]) for part in parts[::2]]
    return (
        [scope.node("Mul", [weight, gain]) for weight, gain in zip(filters, gains, strict=True)],
        [scope.node("Add", [bias, offset]) for bias, offset in zip(biases, parts[1::2], strict=True)],
    )


def _last(scope: Scope, network: Hypernetwork, unit: str, code: str) -> list[str]:
    """Weight and bias of the last layer: a linear map of the embedding, and a small one of the code."""
    channels = network.architecture.layers[-1].channels
    small = _linear(scope, code, "last_of_code", network.last_of_code)
    weight, bias = _split(scope, "last", small, [channels, 1])
    return [
        scope.node("Add", [_linear(scope, unit, "last_of_embedding", network.last_of_embedding), weight]),
        bias,
    ]


def _layers(network: Hypernetwork) -> Layers:
    with torch.no_grad():
        made: Generated = network(torch.ones(1, network.dimension))
    return made.layers


def _shared_names(network: Hypernetwork) -> list[str]:
    """Layers that are the same for everybody: their biases have no axis of users."""
    return [name for name, (_, bias) in _layers(network).items() if bias.dim() == 1]


def _linear(scope: Scope, value: str, name: str, layer: nn.Module) -> str:
    assert isinstance(layer, nn.Linear)
    inputs = [value, scope.constant(f"{name}.weight", _array(layer.weight))]
    if layer.bias is not None:
        inputs.append(scope.constant(f"{name}.bias", _array(layer.bias)))
    return scope.node("Gemm", inputs, transB=1)


def _split(scope: Scope, name: str, value: str, sizes: list[int]) -> list[str]:
    return scope.fan_out("Split", [value, _integers(scope, name, sizes)], len(sizes), axis=1)


def _scalar(scope: Scope, name: str, value: float) -> str:
    return scope.constant(name, np.array(value, np.float32))


def _integers(scope: Scope, name: str, values: list[int]) -> str:
    return scope.constant(name, np.array(values, np.int64))


def _array(tensor: Tensor) -> NDArray[Any]:
    return tensor.detach().float().cpu().numpy()


def _check(model: onnx.ModelProto, network: Hypernetwork) -> None:
    """Compare layer by layer with torch, on embeddings of several lengths."""
    random = np.random.default_rng(0)
    samples = random.normal(size=(4, network.dimension)) * np.array([[0.1], [1], [1], [30]])
    embeddings = samples.astype(np.float32)
    found = make_session(model.SerializeToString()).run(None, {"embedding": embeddings})[0]
    with torch.no_grad():
        expected = network.theta(torch.from_numpy(embeddings)).numpy()
    for layer, weight, bias in network.architecture.places():
        for place in (weight, bias):
            largest = max(1e-3, float(np.abs(expected[:, place]).max()))
            difference = float(np.abs(found[:, place] - expected[:, place]).max()) / largest
            if not difference <= TOLERANCE:
                raise WeightsError(
                    f"the export of the {network.form} generator differs from torch in {layer.name} by "
                    f"{difference:.2g}, more than {TOLERANCE:g}; nothing was written."
                )
