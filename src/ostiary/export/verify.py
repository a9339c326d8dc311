"""The export's check of itself: the same answers as torch, and the fast form of every convolution."""

from __future__ import annotations

import copy
import logging
import platform
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from ostiary.adaptive import apply_statistics, configured, specialise, words
from ostiary.errors import WeightsError
from ostiary.export.graph import adaptive_at, traced
from ostiary.export.tables import Statistics
from ostiary.export.trunk import Trunk, has_trunk
from ostiary.runtime.liveness import fixed_dimensions, selector
from ostiary.runtime.session import make_session

if TYPE_CHECKING:
    import onnxruntime

#: Largest difference of a logit or an activation between torch and the exported file.
TOLERANCE = 1e-4
#: The domain of ONNX Runtime's operators in its blocked layout.
BLOCKED_DOMAIN = "com.microsoft.nchwc"

log = logging.getLogger(__name__)


def check_export(
    content: bytes, net: nn.Module, samples: NDArray[np.float32], statistics: Statistics | None = None
) -> float:
    """Compare every word in both modes with torch, and look at the graphs that the runtime makes of them.

    Where the network has a trunk, so are its activations, and every word as it goes on from them.

    Args:
        content: the exported model.
        net: the network it was made from, in evaluation mode; left as it is.
        samples: inputs (N, 3, S, S).
        statistics: those that were exported.

    Returns:
        The largest difference of a logit or an activation.

    Raises:
        WeightsError: a difference above ``TOLERANCE``, or a convolution outside the blocked layout.

    """
    reference = copy.deepcopy(net)
    parts = _Parts.of(net)
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        optimised = Path(folder) / "optimised.onnx"
        switchable = make_session(content, optimised_copy=optimised)
        _check_layout(optimised, "the switchable graph", None)
        for word in words(net):
            if statistics is not None:
                apply_statistics(reference, dict(statistics[word]))
            expected = {"logits": _output(reference, word, samples)}
            if parts.has_trunk:
                expected["activations"] = _output(Trunk(reference).eval(), word, samples)
            for from_trunk in (False, True) if parts.has_trunk else (False,):
                feed = _feed(word, samples, expected["activations"] if from_trunk else None)
                fixed = fixed_dimensions(word, from_trunk=from_trunk)
                special = make_session(content, fixed_dimensions=fixed, optimised_copy=optimised)
                name = f"{word} from activations" if from_trunk else word
                _check_layout(optimised, name, parts.convolutions(word, from_trunk=from_trunk))
                for mode, session in (("switched", switchable), ("specialised", special)):
                    worst = max(worst, _difference(session, feed, expected, f"{name} ({mode})"))
    return worst


def uses_blocked_layout() -> bool:
    """Whether ONNX Runtime has a blocked layout for convolutions on this kind of processor."""
    return platform.machine().lower() in {"x86_64", "amd64"}


def operators(model: Path) -> Counter[tuple[str, str]]:
    """How often each (domain, operator) occurs in a model, in all its subgraphs."""
    graph = onnx.load(str(model)).graph
    return Counter((node.domain, node.op_type) for node in nodes(graph))


def nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """All nodes of a graph and of its subgraphs."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from nodes(attribute.g)


@dataclass(frozen=True, slots=True)
class _Parts:
    """How many convolutions a session must have, and how many fewer where it starts behind the trunk."""

    net: nn.Module
    has_trunk: bool
    in_trunk: int

    @classmethod
    def of(cls, net: nn.Module) -> _Parts:
        layers, graph = traced(net)
        before = takewhile(lambda node: not adaptive_at(node, layers), graph.nodes)
        return cls(net, has_trunk(net), sum(isinstance(layers.get(str(n.target)), nn.Conv2d) for n in before))

    def convolutions(self, word: str, *, from_trunk: bool) -> int:
        every = sum(isinstance(layer, nn.Conv2d) for layer in specialise(self.net, word).modules())
        return every - self.in_trunk if from_trunk else every


def _feed(word: str, samples: NDArray[np.float32], activations: NDArray[np.float32] | None) -> dict[str, Any]:
    if activations is None:
        return {"input": samples, "sel": selector(word)} if word else {"input": samples}
    return {"input": samples[:0], "sel": selector(word, from_trunk=True), "trunk": activations}


def _output(net: nn.Module, word: str, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.no_grad(), configured(net, word):
        output: NDArray[np.float32] = net(torch.from_numpy(samples)).numpy()
    return output


def _difference(
    session: onnxruntime.InferenceSession,
    feed: dict[str, Any],
    expected: dict[str, NDArray[np.float32]],
    name: str,
) -> float:
    """The largest difference of any output from torch, if it is small enough."""
    found = session.run(list(expected), feed)
    difference = max(float(np.abs(one - other).max()) for one, other in zip(found, expected.values(), strict=True))
    if not difference <= TOLERANCE:
        raise WeightsError(
            f"the export of {name} differs from torch by {difference:.2g}, more than {TOLERANCE:g}; "
            "nothing was written."
        )
    return difference


def _check_layout(optimised: Path, name: str, expected: int | None) -> None:
    """Every convolution blocked; in a specialised session as many as expected, and no trace of the switch."""
    if not uses_blocked_layout():
        log.warning("the layout of %s was not checked: this processor has no blocked layout", name)
        return
    found = operators(optimised)
    blocked = found[BLOCKED_DOMAIN, "Conv"]
    slow = sum(
        n for (domain, kind), n in found.items() if kind in {"Conv", "FusedConv"} and domain != BLOCKED_DOMAIN
    )
    problem = f"{slow} convolutions of {name} are outside the blocked layout" if slow else None
    if expected is not None:
        if blocked != expected:
            problem = f"{name} has {blocked} blocked convolutions instead of {expected}"
        elif found["", "If"] or found["", "BatchNormalization"]:
            problem = f"{name} was not folded when specialised"
    if problem:
        raise WeightsError(f"the export would be slow: {problem}; nothing was written.")
