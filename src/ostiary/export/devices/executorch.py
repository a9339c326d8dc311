"""ExecuTorch: from the file to torch (torch_graph.py), from there by torch.export to a program for XNNPACK.

Several words make one program with a method for each; XNNPACK stores a weight once, however many of them use it.
There is no fp16: the weights of a network in 16 bits are stored in 32 all the same, so the file is no smaller.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import nn

from ostiary.errors import MissingExtraError
from ostiary.export.devices.plain import with_batch
from ostiary.export.devices.runtime import Job, Precision, Run
from ostiary.export.devices.torch_graph import TorchGraph

EXTRA = "executorch"
PRECISIONS: Mapping[Precision, str] = {
    "fp32": "32-bit weights and activations",
    "int8": "8-bit weights, a scale a channel, and 8-bit activations; input and output stay floating point",
}
TOGETHER = None
LAYOUT = "NCHW"
INPUT = "the first"


def asked_for(word: str) -> str:
    """The name under which a device asks for a word."""
    return word or "forward"


def write(job: Job, target: Path) -> list[Path]:
    """See :class:`ostiary.export.devices.runtime.Runtime`."""
    networks = job.made_ready() if job.precision == "int8" else job.networks
    with _quietly():
        try:
            from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
            from executorch.exir import to_edge_transform_and_lower
        except ModuleNotFoundError as error:
            raise MissingExtraError(error.name or "executorch", EXTRA) from None
        programs = {asked_for(word): _exported(network, job) for word, network in networks.items()}
        partitioners = {name: [XnnpackPartitioner()] for name in programs}
        program = to_edge_transform_and_lower(programs, partitioner=partitioners).to_executorch()
    path = target.with_name(f"{target.name}.pte")
    path.write_bytes(program.buffer)
    return [path]


def open(files: Sequence[Path], word: str) -> Run:  # noqa: A001  the protocol's name
    """See :class:`ostiary.export.devices.runtime.Runtime`."""
    with _quietly():
        try:
            from executorch.runtime import Runtime
        except ModuleNotFoundError as error:
            raise MissingExtraError(error.name or "executorch", EXTRA) from None
        loaded = Runtime.get().load_program(files[0]).load_method(asked_for(word))

    def run(picture: NDArray[np.float32]) -> NDArray[np.float32]:
        (answer,) = loaded.execute([torch.from_numpy(np.ascontiguousarray(picture))])
        kept: NDArray[np.float32] = answer.numpy().reshape(1, -1).copy()  # its memory is that of the next answer
        return kept

    return run


def _exported(model: onnx.ModelProto, job: Job) -> Any:
    fixed = with_batch(_clips_in_two(model) if job.precision == "int8" else model)
    example = (torch.zeros([axis.dim_value for axis in fixed.graph.input[0].type.tensor_type.shape.dim]),)
    network: nn.Module = TorchGraph(fixed).eval()
    if job.precision == "int8":
        network = _quantised(torch.export.export(network, example).module(), job.pictures)
    return torch.export.export(network, example)


def _clips_in_two(model: onnx.ModelProto) -> onnx.ModelProto:
    """Each ReLU6 as a ReLU and a bound, which computes the same.

    The quantiser joins a convolution with a ReLU but with no ReLU6: there it spends half of the 8 bits on negative
    numbers that nothing reads.
    """
    parted = onnx.ModelProto()
    parted.CopyFrom(model)
    bounds = {tensor.name: numpy_helper.to_array(tensor) for tensor in parted.graph.initializer}
    nodes = []
    for node in parted.graph.node:
        if node.op_type == "Clip" and bounds[node.input[1]] == 0:
            rectified = f"{node.output[0]}.rectified"
            nodes.append(helper.make_node("Relu", [node.input[0]], [rectified]))
            node.input[0] = rectified
        nodes.append(node)
    del parted.graph.node[:]
    parted.graph.node.extend(nodes)
    return parted


def _quantised(network: Any, pictures: NDArray[np.float32]) -> nn.Module:
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(network, quantizer)
    with torch.no_grad():
        for picture in pictures:
            prepared(torch.from_numpy(picture[None]))
    converted: nn.Module = convert_pt2e(prepared)
    return converted


@contextmanager
def _quietly() -> Iterator[None]:
    """The converter warns of its own insides, on every road there is."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
