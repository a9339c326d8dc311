"""A deployed network that sees every picture just as the network in training does, and shows how it thinks.

Its embedding of the very picture is a target that no list made beforehand could hold. And where both networks
are chains of the same resolutions, as MobileFaceNet and its descendants are, the maps on the way are targets
too ("hints", Romero et al. 2015): they teach each part of the network by itself, long before the end is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from torch import Tensor, nn

from ostiary.errors import WeightsError
from ostiary.faces.preprocess import Preprocess
from ostiary.reports.embedders import FACE_PEERS
from ostiary.runtime.session import make_session

WATCHED = 128
"""Numbers in a watcher's embedding."""
MAPS = (64, 128, 128)
"""Channels of a watcher's last maps at 28, 14 and 7 pixels."""


class FaceWatcher:
    """A peer of ``reports/embedders.py`` that is a chain of inverted residuals at 28, 14 and 7 pixels.

    It is opened where it is first asked, so that worker processes each have their own. ``followed`` says whether
    its embeddings are targets.
    """

    def __init__(self, folder: Path, name: str, *, followed: bool = True) -> None:
        self.followed = followed
        self._peer = next(peer for peer in FACE_PEERS if peer.name == name)
        self.path = folder / self._peer.file
        self._session: Any = None

    @property
    def preprocess(self) -> Preprocess:
        """How its crops are normalised."""
        return self._peer.preprocess

    def __call__(self, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        """RGB crops (N, S, S, 3) -> unit embeddings (N, D), and the last map (N, C, side, side) of each side.

        Raises:
            WeightsError: the file is not there, or no such chain.

        """
        if self._session is None:
            model = load_peer(self.path)
            self._names = [model.graph.output[0].name, *map_names(model.graph, str(self.path))]
            model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"  # exported for one picture
            known = {output.name for output in model.graph.output}
            del model.graph.value_info[:]  # shapes of that one picture
            model.graph.output[0].type.tensor_type.ClearField("shape")
            model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in self._names if name not in known)
            self._session = make_session(model.SerializeToString())
        inputs = self._peer.preprocess.normalise(crops)
        embeddings, *maps = self._session.run(self._names, {self._session.get_inputs()[0].name: inputs})
        embeddings = embeddings.reshape(len(crops), WATCHED)  # the file flattens for one picture
        return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), maps


class Hints(nn.Module):
    """How far the network's maps are from the watcher's, each seen through a 1x1 convolution that is learnt.

    Channels are compared without their means over the batch. The distance of a map is relative: 1 is that of a
    network whose map tells nothing.
    """

    def __init__(self, channels: Sequence[int], theirs: Sequence[int]) -> None:
        super().__init__()
        pairs = zip(channels, theirs, strict=True)
        self.bridges = nn.ModuleList(_bridge(own, other) for own, other in pairs)

    def forward(self, maps: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
        """Maps (N, C, side, side) of both, side by side -> mean relative distance."""
        distances = []
        for bridge, own, target in zip(self.bridges, maps, targets, strict=True):
            distances.append(_spread(bridge(own) - target) / _spread(target).clamp(min=1e-6))
        return torch.stack(distances).mean()


def _bridge(own: int, other: int) -> nn.Conv2d:
    """Nothing changed to begin with: a network that starts from the watcher's weights has its maps already."""
    bridge = nn.Conv2d(own, other, 1)
    nn.init.dirac_(bridge.weight)
    nn.init.zeros_(bridge.bias)  # type: ignore[arg-type]
    return bridge


def _spread(maps: Tensor) -> Tensor:
    """Variance over pictures and places, mean over the channels."""
    return maps.var((0, 2, 3), correction=0).mean()


def load_peer(path: Path) -> onnx.ModelProto:
    """Read a peer's file.

    Raises:
        WeightsError: it cannot be read, or is no ONNX file.

    """
    try:
        return onnx.load(path)
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read ({error.strerror}); name the folder of the peers' files."
        ) from None
    except DecodeError:
        raise WeightsError(f"{path} is no ONNX file, or a damaged one; fetch it again.") from None


def map_names(graph: onnx.GraphProto, name: str) -> list[str]:
    """What goes into the first convolution at each lower resolution, and into the last 1x1 of the chain.

    An inverted residual is an expanding 1x1, a depthwise 3x3, a projecting 1x1: the input of the expanding one
    before each depthwise of stride 2 is the last map of its resolution.
    """
    made = {output: node for node in graph.node for output in node.output}
    weights = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}

    def convolution_before(value: str) -> onnx.NodeProto | None:
        node = made.get(value)
        while node is not None and node.op_type not in ("Conv", "Add"):
            node = made.get(node.input[0])
        return node if node is not None and node.op_type == "Conv" else None

    def strides(node: onnx.NodeProto) -> list[int]:
        return next((list(a.ints) for a in node.attribute if a.name == "strides"), [1, 1])

    depthwise = [node for node in graph.node if node.op_type == "Conv" and weights[node.input[1]][1:2] == (1,)]
    ends = []
    for node in depthwise:
        global_one = weights[node.input[1]][2:] == (7, 7)
        expand = convolution_before(node.input[0])
        if expand is not None and (strides(node) == [2, 2] or global_one):
            ends.append(expand.input[0])
    if len(ends) != 4:  # out of the stem, 28, 14 and 7 pixels
        raise WeightsError(f"{name} is no chain of inverted residuals like MobileFaceNet's: it cannot give hints.")
    return ends[1:]
