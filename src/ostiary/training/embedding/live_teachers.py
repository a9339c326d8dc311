"""Teachers that see every picture just as the network in training does, on the device where it is trained.

Deployed networks are ONNX files, which ONNX Runtime runs on a CPU alone here. Those that teach are plain chains of
convolutions: a handful of operators, which this file gives to torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from ostiary.errors import WeightsError
from ostiary.reports.embedders import FACE_PEERS
from ostiary.training.embedding.recipe import Teaching
from ostiary.training.embedding.resident_crops import normalised
from ostiary.training.embedding.watcher import WATCHED, load_peer, map_names


class _Node(NamedTuple):
    kind: str
    settings: dict[str, Any]
    inputs: tuple[str, ...]
    output: str


class DeployedChain(nn.Module):
    """A deployed network, frozen: what each node of its graph gives, by torch.

    Raises:
        WeightsError: the graph has an operator that is not known here.

    """

    def __init__(self, model: onnx.ModelProto, wanted: Sequence[str], name: str) -> None:
        super().__init__()
        self._input, self._wanted = model.graph.input[0].name, tuple(wanted)
        held = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
        self._nodes = []
        for node in model.graph.node:
            if node.op_type == "Constant":
                held[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
                continue
            if node.op_type not in _OPERATORS:
                raise WeightsError(f"{name} has the operator {node.op_type}, which cannot be run in training.")
            settings = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
            self._nodes.append(_Node(node.op_type, settings, tuple(node.input), node.output[0]))
        used = {value for node in self._nodes for value in node.inputs}
        self._held = {value: f"value_{place}" for place, value in enumerate(sorted(used & set(held)))}
        for value, buffer in self._held.items():
            self.register_buffer(buffer, torch.tensor(held[value]), persistent=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Inputs as the network wants them, (N, 3, S, S) -> the wanted values."""
        values = {value: getattr(self, buffer) for value, buffer in self._held.items()} | {self._input: x}
        for node in self._nodes:
            values[node.output] = _OPERATORS[node.kind](node.settings, *(values[value] for value in node.inputs))
        return [values[value] for value in self._wanted]


class LiveTeachers(nn.Module):
    """The teachers of a recipe, the one that watches among them: their embeddings, and the maps of that one."""

    def __init__(self, folder: Path, teaching: Teaching) -> None:
        super().__init__()
        names = [*teaching.teachers, *([teaching.watcher] if teaching.watcher else [])]
        peers = [next(peer for peer in FACE_PEERS if peer.name == name) for name in names]
        self._followed = len(names) - (teaching.watcher is not None and not teaching.followed)
        self.length = WATCHED * self._followed
        self._preprocess = [peer.preprocess for peer in peers]
        chains = []
        for name, peer in zip(names, peers, strict=True):
            path = folder / peer.file
            model = load_peer(path)
            maps = map_names(model.graph, str(path)) if teaching.hints and name == teaching.watcher else []
            chains.append(DeployedChain(model, [model.graph.output[0].name, *maps], str(path)))
        self.chains = nn.ModuleList(chains)

    @torch.no_grad()
    def forward(self, crops: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """RGB crops (N, 3, S, S) of 0 to 255 -> targets (N, D), unit length each one after the other, and maps.

        On a GPU in half precision, as most networks are deployed there.
        """
        embeddings: list[Tensor] = []
        maps: list[Tensor] = []
        with torch.autocast(crops.device.type, torch.float16, enabled=crops.device.type == "cuda"):
            for chain, preprocess in zip(self.chains, self._preprocess, strict=True):
                found, *seen = chain(normalised(crops, preprocess))
                maps += seen
                embeddings.append(functional.normalize(found.float().flatten(1)))
        return torch.cat(embeddings[: self._followed], 1), tuple(maps)

    def ask(self, crops: NDArray[np.uint8], device: torch.device, batch: int = 64) -> NDArray[np.float32]:
        """RGB crops (N, S, S, 3) -> targets (N, D)."""
        parts = []
        for begin in range(0, len(crops), batch):
            part = torch.from_numpy(crops[begin : begin + batch]).to(device).permute(0, 3, 1, 2).float()
            parts.append(self(part)[0].cpu().numpy())
        return np.concatenate(parts)


def _convolution(settings: dict[str, Any], x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    top, left, *_ = settings.get("pads", [0, 0, 0, 0])
    return functional.conv2d(x, weight, bias, settings["strides"], (top, left), groups=settings["group"])


def _normalisation(
    settings: dict[str, Any], x: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, variance: Tensor
) -> Tensor:
    return functional.batch_norm(x, mean, variance, scale, shift, eps=settings["epsilon"])


def _linear(settings: dict[str, Any], x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return functional.linear(x, weight if settings["transB"] else weight.T, bias)


_OPERATORS: dict[str, Callable[..., Tensor]] = {
    "Add": lambda _, x, y: x + y,
    "Sub": lambda _, x, y: x - y,
    "Mul": lambda _, x, y: x * y,
    "Conv": _convolution,
    "BatchNormalization": _normalisation,
    "PRelu": lambda _, x, slope: functional.prelu(x, slope.flatten().to(x.dtype)),
    "Relu": lambda _, x: functional.relu(x),
    "Clip": lambda _, x, low, high: x.clamp(low, high),
    "Flatten": lambda _, x: x.flatten(1),
    "Reshape": lambda _, x, _shape: x.flatten(1),
    "Gemm": _linear,
}
"""As ONNX defines them, as far as these networks use them; they reshape only to flatten."""
