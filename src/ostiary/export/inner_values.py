"""What flows inside an ONNX model: for everything here that measures before it rounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from ostiary.runtime.session import make_session


def inner_values(
    model: onnx.ModelProto, names: Sequence[str], inputs: NDArray[np.float32], batch: int = 1
) -> Iterator[list[NDArray[np.float32]]]:
    """The named values for each batch of ``inputs`` (N, 3, S, S), in the order of the names."""
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    del cut.graph.output[:]
    cut.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = make_session(cut.SerializeToString())
    for start in range(0, len(inputs), batch):
        found: list[NDArray[np.float32]] = session.run(list(names), {"input": inputs[start : start + batch]})
        yield found


def evenly(samples: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """So many of the samples, or all of them, spread over their order."""
    chosen: NDArray[np.float32] = samples[np.unique(np.linspace(0, len(samples) - 1, count).astype(int))]
    return chosen
