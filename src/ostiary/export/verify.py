"""The export's check of itself: the same answers as torch, and the fast form of every convolution."""

from __future__ import annotations

import copy
import logging
import platform
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from ostiary.adaptive import apply_statistics, configured, specialise, words
from ostiary.errors import WeightsError
from ostiary.export.tables import Statistics
from ostiary.runtime.liveness import fixed_dimensions, selector
from ostiary.runtime.session import make_session

#: Largest difference of a logit between torch and the exported file.
TOLERANCE = 1e-4
#: The domain of ONNX Runtime's operators in its blocked layout.
BLOCKED_DOMAIN = "com.microsoft.nchwc"

log = logging.getLogger(__name__)


def check_export(
    content: bytes, net: nn.Module, samples: NDArray[np.float32], statistics: Statistics | None = None
) -> float:
    """Compare every word in both modes with torch, and look at the graphs that the runtime makes of them.

    Args:
        content: the exported model.
        net: the network it was made from, in evaluation mode; left as it is.
        samples: inputs (N, 3, S, S).
        statistics: those that were exported.

    Returns:
        The largest difference of a logit.

    Raises:
        WeightsError: a difference above ``TOLERANCE``, or a convolution outside the blocked layout.

    """
    reference = copy.deepcopy(net)
    with tempfile.TemporaryDirectory() as folder:
        optimised = Path(folder) / "optimised.onnx"
        switchable = make_session(content, optimised_copy=optimised)
        _check_layout(optimised, "the switchable graph", None)
        worst = 0.0
        for word in words(net):
            if statistics is not None:
                apply_statistics(reference, dict(statistics[word]))
            expected = _logits(reference, word, samples)
            feed = {"input": samples, "sel": selector(word)} if word else {"input": samples}
            special = make_session(content, fixed_dimensions=fixed_dimensions(word), optimised_copy=optimised)
            _check_layout(optimised, word, specialise(net, word))
            for mode, session in (("switched", switchable), ("specialised", special)):
                difference = float(np.abs(session.run(["logits"], feed)[0] - expected).max())
                if not difference <= TOLERANCE:
                    raise WeightsError(
                        f"the export of {word} ({mode}) differs from torch by {difference:.2g}, more than "
                        f"{TOLERANCE:g}; nothing was written."
                    )
                worst = max(worst, difference)
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


def _logits(net: nn.Module, word: str, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.no_grad(), configured(net, word):
        logits: NDArray[np.float32] = net(torch.from_numpy(samples)).numpy()
    return logits


def _check_layout(optimised: Path, name: str, plain: nn.Module | None) -> None:
    """Every convolution blocked; for a specialised word as many as in torch, and no trace of the switch."""
    if not uses_blocked_layout():
        log.warning("the layout of %s was not checked: this processor has no blocked layout", name)
        return
    found = operators(optimised)
    blocked = found[BLOCKED_DOMAIN, "Conv"]
    slow = sum(
        n for (domain, kind), n in found.items() if kind in {"Conv", "FusedConv"} and domain != BLOCKED_DOMAIN
    )
    problem = f"{slow} convolutions of {name} are outside the blocked layout" if slow else None
    if plain is not None:
        expected = sum(isinstance(layer, nn.Conv2d) for layer in plain.modules())
        if blocked != expected:
            problem = f"{name} has {blocked} blocked convolutions instead of {expected}"
        elif found["", "If"] or found["", "BatchNormalization"]:
            problem = f"{name} was not folded when specialised"
    if problem:
        raise WeightsError(f"the export would be slow: {problem}; nothing was written.")
