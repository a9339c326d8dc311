"""ONNX Runtime on a phone or board: one configuration without switches, as a weights file that Python reads too.

The packaged file itself runs there too, with every word in it (docs/export.md). This is the smaller file of one
word, for runtimes and converters that know no If.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ostiary.export.card import sealed
from ostiary.export.devices.runtime import Job, Precision, Run
from ostiary.export.static import quantised
from ostiary.runtime.session import make_session

EXTRA = "train"
PRECISIONS: Mapping[Precision, str] = {
    "fp32": "32-bit weights and activations",
    "fp16": "16-bit weights, made 32-bit when the file is opened",
    "int8": "8-bit weights, a scale a channel; unsigned 8-bit activations; the first convolution in 32 bits",
}
TOGETHER = "the weights file itself is the one ONNX file with every word, see docs/export.md"
LAYOUT = "NCHW"
INPUT = "input"

_LARGE = 64
"""Numbers of a tensor from which on it is worth a cast."""


def asked_for(word: str) -> str:
    """The file has one output, which needs no name."""
    return ""


def write(job: Job, target: Path) -> list[Path]:
    """See :class:`ostiary.export.devices.runtime.Runtime`."""
    (model,) = job.networks.values()
    if job.precision == "fp16":
        model = _halved(model)
    elif job.precision == "int8":
        model = quantised(model, job.pictures, in_float=[node.name for node in model.graph.node[:2]])
    path = target.with_name(f"{target.name}.onnx")
    path.write_bytes(sealed(model, job.record))
    return [path]


def open(files: Sequence[Path], word: str) -> Run:  # noqa: A001  the protocol's name
    """See :class:`ostiary.export.devices.runtime.Runtime`."""
    session = make_session(files[0])

    def run(picture: NDArray[np.float32]) -> NDArray[np.float32]:
        answer: NDArray[np.float32] = session.run(None, {"input": picture})[0]
        return answer.reshape(1, -1)

    return run


def _halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with large tensors stored in 16 bits; the runtime folds the casts when it opens the file."""
    half = onnx.ModelProto()
    half.CopyFrom(model)
    casts = []
    for tensor in half.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size > _LARGE:
            full, short = tensor.name, f"{tensor.name}.half"
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), short))
            casts.append(helper.make_node("Cast", [short], [full], name=f"{full}.cast", to=TensorProto.FLOAT))
    nodes = [*casts, *half.graph.node]
    del half.graph.node[:]
    half.graph.node.extend(nodes)
    return half
