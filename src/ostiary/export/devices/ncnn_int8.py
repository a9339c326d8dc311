"""8 bits for ncnn: the pair of files with 8-bit convolutions, in ncnn's own format.

ncnn reads 8-bit layers, but the tools that write them (ncnn2table, ncnn2int8) come in no package. What they change
is little: a convolution's number 8 says that scales follow its weights. So the graph's text is changed in that one
number, and the weights are written anew; ranges are those that ncnn itself computes on the calibration pictures.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError, MissingExtraError

_FLOATS, _BYTES = 0, 0x000D4B38
"""Marks before a layer's weights: 32-bit floats, or 8-bit integers."""

_WEIGHED = ("Convolution", "ConvolutionDepthWise", "InnerProduct")
_TERM = 8
"""The number of a layer that says which scales follow."""
_STEPS = 127


@dataclass(slots=True)
class _Layer:
    """One line of the graph: kind, name, blobs in and out, numbers, and its weights if it has any."""

    kind: str
    name: str
    inputs: list[str]
    outputs: list[str]
    numbers: dict[str, str]
    weights: NDArray[np.float32] | None = None
    bias: bytes = b""

    def number(self, key: int) -> int:
        return int(self.numbers.get(str(key), 0))

    def line(self) -> str:
        blobs = [str(len(self.inputs)), str(len(self.outputs)), *self.inputs, *self.outputs]
        numbers = [f"{key}={value}" for key, value in self.numbers.items()]
        return f"{self.kind:<24} {self.name:<24} {' '.join([*blobs, *numbers])}"


def quantised(graph: str, weights: bytes, pictures: NDArray[np.float32]) -> tuple[str, bytes]:
    """The two files of a network with 8-bit convolutions; the first of them and the last layer stay as they are.

    With three input channels 8 bits gain nothing and lose most, and the last layer is small.

    Args:
        graph: text of the ``.param`` file.
        weights: the ``.bin`` file, in 32 bits.
        pictures: inputs float32 (N, 3, S, S).

    Raises:
        MissingExtraError: ncnn is not installed.
        ConfigurationError: a layer whose weights this does not know how to read.

    """
    head, layers = _read(graph, weights)
    chosen = [layer for layer in layers if layer.kind in _WEIGHED[:2]][1:]
    ranges = _ranges(graph, weights, {layer.name: layer.inputs[0] for layer in chosen}, pictures)
    content = bytearray()
    for layer in layers:
        if layer.weights is None:
            content += layer.bias
        elif layer.name in ranges:
            layer.numbers[str(_TERM)] = "1"
            content += _eight_bits(layer, ranges[layer.name])
        else:
            content += struct.pack("<I", _FLOATS) + layer.weights.tobytes() + layer.bias
    return "\n".join([*head, *(layer.line() for layer in layers)]) + "\n", bytes(content)


def _eight_bits(layer: _Layer, largest: float) -> bytes:
    assert layer.weights is not None
    rows = layer.weights.reshape(layer.number(0), -1)
    reach = np.abs(rows).max(axis=1)
    scales = np.where(reach > 0, _STEPS / np.where(reach > 0, reach, 1), 1).astype(np.float32)
    stored = np.clip(np.rint(rows * scales[:, None]), -_STEPS, _STEPS).astype(np.int8).tobytes()
    stored += bytes(-len(stored) % 4)
    source = np.float32(_STEPS / max(largest, 1e-6))
    content: bytes = struct.pack("<I", _BYTES) + stored + layer.bias + scales.tobytes() + source.tobytes()
    return content


def _read(graph: str, weights: bytes) -> tuple[list[str], list[_Layer]]:
    lines = graph.splitlines()
    layers, place = [], 0
    for line in lines[2:]:
        kind, name, taken, given, *rest = line.split()
        edge = int(taken) + int(given)
        numbers = dict(entry.split("=", 1) for entry in rest[edge:])
        layer = _Layer(kind, name, rest[: int(taken)], rest[int(taken) : edge], numbers)
        if kind in _WEIGHED:
            size, biases = _extent(layer)
            if struct.unpack_from("<I", weights, place) != (_FLOATS,):
                raise ConfigurationError(f"the weights of ncnn's layer {name} are not in 32 bits.")
            place += 4
            layer.weights = np.frombuffer(weights, np.float32, size, place)
            place += 4 * size
        else:
            biases = layer.number(3) if kind == "Normalize" else 0
        layer.bias = weights[place : place + 4 * biases]
        place += 4 * biases
        layers.append(layer)
    if place != len(weights):
        raise ConfigurationError("a layer of this network has weights that the 8-bit export to ncnn cannot read.")
    return lines[:2], layers


def _extent(layer: _Layer) -> tuple[int, int]:
    """How many weights and biases a layer has."""
    size, has_bias = (2, 1) if layer.kind == "InnerProduct" else (6, 5)
    return layer.number(size), layer.number(0) * layer.number(has_bias)


def _ranges(
    graph: str, weights: bytes, blobs: Mapping[str, str], pictures: NDArray[np.float32]
) -> dict[str, float]:
    """Layer -> the largest absolute value of its blob over the pictures."""
    try:
        import ncnn
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "ncnn", "ncnn") from None
    net = ncnn.Net()
    net.opt.num_threads, net.opt.lightmode = 1, False
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / "plain.param", Path(folder) / "plain.bin"]
        files[0].write_text(graph, encoding="ascii")
        files[1].write_bytes(weights)
        net.load_param(str(files[0]))
        net.load_model(str(files[1]))
    found = dict.fromkeys(blobs, 0.0)
    for picture in pictures:
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(np.ascontiguousarray(picture)))
        for layer, blob in blobs.items():
            found[layer] = max(found[layer], float(np.abs(np.array(extractor.extract(blob)[1])).max()))
    return found
