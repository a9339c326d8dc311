"""Which exact rewrite a face network is deployed in: the forms there are, and the one for each target.

A form changes the operations, never the embedding; ``ostiary bench face`` times all of them, and ``TARGETS`` is
what it found. Multiply-adds decide in floating point, and so does staying in the runtime's blocked layout; with
8-bit weights the number of nodes does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Literal

from torch import nn

from ostiary.export.rewrites.dense import dense
from ostiary.export.rewrites.plain import plain
from ostiary.export.rewrites.prelu import bend, blend, fold, rectify
from ostiary.export.rewrites.squeeze import Gate
from ostiary.export.rewrites.streams import Row, Streams
from ostiary.networks.face_network import ConvUnit, FaceNetwork, SqueezeExcite, UnevenPointwise

Prelu = Literal["blend", "fold", "rectify", "bend"]
Target = Literal["cpu-fp32", "cpu-int8"]


@dataclass(frozen=True, slots=True)
class Form:
    """How a network is written: each PReLU (prelu.py), each row (streams.py), each gate (squeeze.py).

    None in place of one that the network has nothing of; ``Form()`` is the plain form of any network (plain.py).
    """

    prelu: Prelu | None = None
    rows: tuple[Row, ...] | None = None
    gate: Gate | None = None

    def __str__(self) -> str:
        rows = "/".join(self.rows or ())
        return " + ".join(part for part in (self.prelu, rows, self.gate) if part) or "plain"


TARGETS: Mapping[Target, Form] = {
    "cpu-fp32": Form("rectify", ("apart",), "upsample"),
    "cpu-int8": Form("bend", ("whole",), "broadcast"),
}
"""The fastest form for ONNX Runtime on an x86 processor, by ``ostiary bench face --every-form``."""

ROWS: tuple[tuple[Row, ...], ...] = (("apart",), ("one_wide",), ("whole", "apart"), ("whole",))
"""The ways to cut that are timed: apart, apart but inside a block, all but the first row, nothing."""


def rewritten(network: FaceNetwork, form: Form) -> nn.Module:
    """The same embeddings by other operations, in evaluation mode; the network is left as it is.

    Raises:
        ConfigurationError: the network has adaptive blocks.

    """
    if form == Form():
        return plain(network).float()
    prepare = dense if form.prelu is None else _PRELUS[form.prelu]
    rows: tuple[Row, ...] = form.rows or ("whole",)
    return Streams(prepare(network), rows, _shares(network), form.gate or "broadcast").float()


def form_for(network: FaceNetwork, target: Target) -> Form:
    """The form of a network on a target."""
    return _fitting(network, TARGETS[target])


def forms_of(network: FaceNetwork) -> list[Form]:
    """Every form that makes a difference to this network."""
    gates: tuple[Gate, ...] = ("upsample", "broadcast")
    every = (Form(prelu, rows, gate) for prelu, rows, gate in product(_PRELUS, ROWS, gates))
    return list(dict.fromkeys(_fitting(network, form) for form in every))


def _fitting(network: FaceNetwork, form: Form) -> Form:
    """The form without what this network has nothing of."""
    layers = list(network.modules())
    bends = any(isinstance(unit, ConvUnit) and isinstance(getattr(unit, "act", None), nn.PReLU) for unit in layers)
    pairs = any(isinstance(layer, UnevenPointwise) for layer in layers)
    gates = any(isinstance(layer, SqueezeExcite) for layer in layers)
    return replace(
        form,
        prelu=form.prelu if bends else None,
        rows=form.rows if pairs else None,
        gate=form.gate if gates else None,
    )


def _shares(network: FaceNetwork) -> tuple[int, ...]:
    """Shares of the streams, in quarters: a stream ends where a pair of 1x1 convolutions is cut."""
    pairs = [layer for layer in network.modules() if isinstance(layer, UnevenPointwise)]
    edges = sorted({0, 4} | {4 * pair.cut[0] // sum(pair.cut) for pair in pairs})
    return tuple(end - start for start, end in pairwise(edges))


_PRELUS: Mapping[Prelu, Callable[[FaceNetwork], FaceNetwork]] = {
    "blend": blend,
    "fold": fold,
    "rectify": rectify,
    "bend": bend,
}
