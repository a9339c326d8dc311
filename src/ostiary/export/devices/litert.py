"""LiteRT (TensorFlow Lite): written by the schema that comes with the runtime, made 8-bit by its quantiser.

The usual roads lead through TensorFlow or JAX, hundreds of megabytes for a network of ten kinds of operators. What
the runtime reads is a table of tensors and operators, and its own package brings the classes of that table; so
the plain graph is copied into it node by node (litert_operators.py). Pictures stay as cameras give them, channels
last.

Several words make one file: each is a signature, and a weight that several of them use is stored once.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from ostiary.errors import MissingExtraError
from ostiary.export.devices.plain import INPUT, with_batch
from ostiary.export.devices.runtime import Job, Precision, Run

EXTRA = "litert"
PRECISIONS: Mapping[Precision, str] = {
    "fp32": "32-bit weights and activations",
    "fp16": "16-bit weights, computed in 32 bits, or in 16 where the device's delegate does",
    "int8": "8-bit weights, a scale a channel; 8-bit activations; ends and first convolution in 32 bits",
}
TOGETHER = None
LAYOUT = "NHWC"

_LARGE = 64
"""Numbers of a tensor from which on it is worth half the bytes."""
_VERSION = 3
"""Of the file format; there has been no other since 2018."""


def asked_for(word: str) -> str:
    """The name under which a device asks for a word."""
    return word or "run"


def write(job: Job, target: Path) -> list[Path]:
    """See :class:`ostiary.export.devices.runtime.Runtime`."""
    networks = job.networks
    if job.precision == "int8":
        networks = {word: _enlivened(network) for word, network in job.made_ready().items()}
    writer = _Writer(half=job.precision == "fp16")
    content = writer.file(networks)
    if job.precision == "int8":
        content = _quantised(content, list(networks), job.pictures, writer.first)
    path = target.with_name(f"{target.name}.tflite")
    path.write_bytes(content)
    return [path]


def open(files: Sequence[Path], word: str) -> Run:  # noqa: A001  the protocol's name
    """See :class:`ostiary.export.devices.runtime.Runtime`."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "ai_edge_litert", EXTRA) from None
    interpreter = Interpreter(model_path=str(files[0]), num_threads=1)
    runner = interpreter.get_signature_runner(asked_for(word))

    def run(picture: NDArray[np.float32]) -> NDArray[np.float32]:
        given = np.ascontiguousarray(picture.transpose(0, 2, 3, 1))
        (answer,) = runner(**{INPUT: given}).values()
        return np.asarray(answer, np.float32).reshape(1, -1)

    return run


class Subgraph:
    """One network being written: names of ONNX values -> numbers of tensors.

    Values of four axes are channels last; ``shapes`` has those of ONNX.
    """

    def __init__(self, writer: _Writer, model: onnx.ModelProto, prefix: str) -> None:
        graph = with_batch(model).graph
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.shapes = {
            entry.name: [axis.dim_value for axis in entry.type.tensor_type.shape.dim]
            for entry in (*graph.input, *graph.value_info, *graph.output)
        }
        self.graph = graph
        self.table = writer.schema.SubGraphT()
        self.table.tensors, self.table.operators = [], []
        self._writer = writer
        self._prefix = prefix
        self._tensors: dict[str, int] = {}

    def tensor(self, name: str, shape: Sequence[int], values: NDArray[Any] | None = None) -> int:
        """The number of a tensor, made if there is none of the name; with values it is a constant."""
        if name in self._tensors:
            return self._tensors[name]
        schema = self._writer.schema
        if values is not None and self._writer.half and values.dtype == np.float32 and values.size > _LARGE:
            short = self._add(f"{name}.half", shape, self._writer.buffer(values.astype(np.float16)), np.float16)
            full = self._add(name, shape, 0, np.float32)
            self.operator("DEQUANTIZE", [short], [full], schema.DequantizeOptionsT())
            return full
        buffer = 0 if values is None else self._writer.buffer(values)
        return self._add(name, shape, buffer, np.float32 if values is None else values.dtype)

    def activation(self, name: str) -> int:
        """The tensor of a value of the ONNX graph, channels last."""
        shape = self.shapes[name]
        return self.tensor(name, [shape[0], *shape[2:], shape[1]] if len(shape) == 4 else shape)

    def operator(self, kind: str, inputs: Sequence[int], outputs: Sequence[int], options: Any) -> None:
        """Append an operator; its options are an object of the schema, or None."""
        schema = self._writer.schema
        made = schema.OperatorT()
        made.opcodeIndex = self._writer.code(kind)
        made.inputs, made.outputs = list(inputs), list(outputs)
        if options is not None:
            made.builtinOptions = options
            made.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self.table.operators.append(made)

    def first_names(self) -> list[str]:
        """What the operators give up to the first convolution, and that itself, as the file calls it."""
        names = []
        for operator in self.table.operators:
            names.append(self.table.tensors[operator.outputs[0]].name)
            if operator.opcodeIndex == self._writer.code("CONV_2D"):
                break
        return names

    @property
    def schema(self) -> Any:
        """The runtime's classes."""
        return self._writer.schema

    def _add(self, name: str, shape: Sequence[int], buffer: int, kind: Any) -> int:
        schema = self._writer.schema
        tensor = schema.TensorT()
        # The quantiser asks for names that are unique in the file.
        tensor.name, tensor.shape, tensor.buffer = f"{self._prefix}{name}", list(shape), buffer
        tensor.type = getattr(schema.TensorType, np.dtype(kind).name.upper())
        tensor.hasRank = True
        self.table.tensors.append(tensor)
        self._tensors[name] = len(self.table.tensors) - 1
        return self._tensors[name]


class _Writer:
    """One file: what its networks share are operator codes and the bytes of weights."""

    def __init__(self, *, half: bool) -> None:
        try:
            import flatbuffers
            from ai_edge_litert import schema_py_generated
        except ModuleNotFoundError as error:
            raise MissingExtraError(error.name or "ai_edge_litert", EXTRA) from None
        self._flatbuffers = flatbuffers
        self.schema: Any = schema_py_generated
        self.half = half
        self.first: list[str] = []
        self._buffers = [schema_py_generated.BufferT()]  # the first is empty by the format's rule
        self._places: dict[bytes, int] = {}
        self._codes: dict[str, int] = {}

    def file(self, networks: Mapping[str, onnx.ModelProto]) -> bytes:
        """The networks as the bytes of a file."""
        from ostiary.export.devices.litert_operators import copy_nodes

        model = self.schema.ModelT()
        model.version, model.description = _VERSION, "ostiary"
        model.subgraphs, model.signatureDefs = [], []
        for word, network in networks.items():
            subgraph = Subgraph(self, network, f"{word}/" if word else "")
            subgraph.table.name = asked_for(word)
            subgraph.table.inputs = [subgraph.activation(INPUT)]
            copy_nodes(subgraph)
            self.first += subgraph.first_names()
            output = subgraph.graph.output[0].name
            subgraph.table.outputs = [subgraph.activation(output)]
            model.signatureDefs.append(self._signature(word, subgraph, output, len(model.subgraphs)))
            model.subgraphs.append(subgraph.table)
        model.operatorCodes = [self._operator_code(kind) for kind in self._codes]
        model.buffers = self._buffers
        builder = self._flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def buffer(self, values: NDArray[Any]) -> int:
        """The place of these bytes, which are stored once however many tensors have them."""
        content = np.ascontiguousarray(values).tobytes()
        if content not in self._places:
            made = self.schema.BufferT()
            made.data = np.frombuffer(content, np.uint8)
            self._buffers.append(made)
            self._places[content] = len(self._buffers) - 1
        return self._places[content]

    def code(self, kind: str) -> int:
        return self._codes.setdefault(kind, len(self._codes))

    def _operator_code(self, kind: str) -> Any:
        made = self.schema.OperatorCodeT()
        made.builtinCode = getattr(self.schema.BuiltinOperator, kind)
        made.deprecatedBuiltinCode = min(made.builtinCode, 127)
        made.version = _VERSIONS.get(kind, 1)
        return made

    def _signature(self, word: str, subgraph: Subgraph, output: str, place: int) -> Any:
        made = self.schema.SignatureDefT()
        made.signatureKey, made.subgraphIndex = asked_for(word), place
        made.inputs, made.outputs = [self.schema.TensorMapT()], [self.schema.TensorMapT()]
        made.inputs[0].name, made.inputs[0].tensorIndex = INPUT, subgraph.table.inputs[0]
        made.outputs[0].name, made.outputs[0].tensorIndex = output, subgraph.table.outputs[0]
        return made


_VERSIONS = {"DEQUANTIZE": 3}
"""Of operators whose first version does not read what is written here (16-bit floats)."""


def _quantised(content: bytes, words: Sequence[str], pictures: NDArray[np.float32], first: Sequence[str]) -> bytes:
    """The file with 8-bit weights and activations, by the runtime's own quantiser; it talks, and is not heard.

    ``first`` are the names of what comes out before and of the first convolutions.
    """
    try:
        from ai_edge_quantizer import quantizer, recipe
        from ai_edge_quantizer.qtyping import TFLOperationName
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "ai_edge_quantizer", EXTRA) from None
    feeds = [{INPUT: np.ascontiguousarray(one.transpose(1, 2, 0)[None])} for one in pictures]
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        worker = quantizer.Quantizer(content, recipe.static_wi8_ai8())
        for end in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):
            worker.update_quantization_recipe(".*", end, algorithm_key="no_quantize")
        # Rounding does most harm where the picture comes in: the first layer stays as it is, its padding with it.
        for name in first:
            for kind in (TFLOperationName.PAD, TFLOperationName.CONV_2D):
                worker.update_quantization_recipe(f"{re.escape(name)};?$", kind, algorithm_key="no_quantize")
        ranges = worker.calibrate({asked_for(word): feeds for word in words}, num_threads=1)
        found = worker.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    return bytes(found.quantized_model)


def _enlivened(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which no channel of a convolution has zeros for weights, however near to zero they are.

    The quantiser divides a channel's bias by the scale of its weights. A channel that training has put out has
    the scale 0, and would lose the bias that is all that is left of it.
    """
    lively = onnx.ModelProto()
    lively.CopyFrom(model)
    weights = {node.input[1] for node in lively.graph.node if node.op_type in ("Conv", "Gemm")}
    for tensor in lively.graph.initializer:
        if tensor.name in weights:
            values = numpy_helper.to_array(tensor).copy()
            rows = values.reshape(len(values), -1)
            largest = np.abs(rows).max(axis=1)
            rows[largest < _FAINT, 0] = _FAINT
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return lively


_FAINT = 1e-4
"""A weight that changes an answer by less than the step of 8 bits, and whose scale keeps a bias in 32 bits."""
