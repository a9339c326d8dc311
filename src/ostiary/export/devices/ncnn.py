"""ncnn: converted by pnnx, ncnn's own converter, and two files a configuration: the graph and its weights.

ncnn keeps no weight that two layers share, so that a file of several words would hold what they share as often as
there are words; on a device, one pair of files for each word costs the same.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError, MissingExtraError
from ostiary.export.devices.ncnn_int8 import quantised
from ostiary.export.devices.plain import with_batch
from ostiary.export.devices.runtime import Job, Precision, Run

EXTRA = "ncnn"
PRECISIONS: Mapping[Precision, str] = {
    "fp32": "32-bit weights; the runtime computes in 16 bits where the device can, unless it is told not to",
    "fp16": "16-bit weights, computed as the device can",
    "int8": "8-bit weights, a scale a channel; signed 8-bit activations, a scale a convolution",
}
TOGETHER = "ncnn stores a weight once for each layer that uses it: a file of several words saves nothing"
LAYOUT = "NCHW"
INPUT = "in0"


def asked_for(word: str) -> str:
    """The output, whatever the word."""
    return "out0"


def write(job: Job, target: Path) -> list[Path]:
    """See :class:`ostiary.export.devices.runtime.Runtime`."""
    (model,) = (job.made_ready() if job.precision == "int8" else job.networks).values()
    graph, weights = _converted(model, half=job.precision == "fp16")
    if job.precision == "int8":
        graph, weights = quantised(graph, weights, job.pictures)
    files = [target.with_name(f"{target.name}.ncnn.{suffix}") for suffix in ("param", "bin")]
    files[0].write_text(graph, encoding="ascii")
    files[1].write_bytes(weights)
    return files


def open(files: Sequence[Path], word: str) -> Run:  # noqa: A001  the protocol's name
    """See :class:`ostiary.export.devices.runtime.Runtime`."""
    try:
        import ncnn
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "ncnn", EXTRA) from None
    net = ncnn.Net()
    net.opt.num_threads = 1
    if net.load_param(str(files[0])) or net.load_model(str(files[1])):
        raise ConfigurationError(f"ncnn cannot read {files[0]}: it does not know one of its layers.")

    def run(picture: NDArray[np.float32]) -> NDArray[np.float32]:
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(np.ascontiguousarray(picture[0])))
        _, answer = extractor.extract("out0")
        return np.array(answer, np.float32).reshape(1, -1)

    return run


def _converted(model: onnx.ModelProto, *, half: bool) -> tuple[str, bytes]:
    try:
        import pnnx
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "pnnx", EXTRA) from None
    fixed = with_batch(model)
    shape = [axis.dim_value for axis in fixed.graph.input[0].type.tensor_type.shape.dim]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "plain.onnx"
        source.write_bytes(fixed.SerializeToString())
        command = [pnnx.EXEC_PATH, source.name, f"inputshape={shape}".replace(" ", ""), f"fp16={int(half)}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        graph, weights = Path(folder) / "plain.ncnn.param", Path(folder) / "plain.ncnn.bin"
        if done.returncode or not graph.is_file():
            raise ConfigurationError(
                f"pnnx could not convert the network to ncnn: {(done.stderr or done.stdout).strip()[-200:]}"
            )
        return _with_unit_length(graph.read_text(encoding="ascii"), weights.read_bytes())


def _with_unit_length(graph: str, weights: bytes) -> tuple[str, bytes]:
    """Ncnn's own layer for the division by the length, which pnnx leaves under the name that it has in ONNX.

    Numbers 0 and 4: over all numbers; 1 and 3: one factor, which stands behind all other weights, since an
    embedding's length is the last that a network sees to.
    """
    lines = graph.splitlines()
    kind, name, *rest = lines[-1].split()
    if kind != "LpNormalization":
        return graph, weights
    lines[-1] = f"{'Normalize':<24} {name:<24} {' '.join(rest[:4])} 0=1 1=1 2=1e-12 3=1 4=1"
    return "\n".join(lines) + "\n", weights + np.float32(1).tobytes()
