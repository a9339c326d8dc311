"""One configuration of a weights file as a plain graph: what converters of other runtimes can read.

A converter knows no If whose branch is chosen by a shape, so the choice is made before it looks. ONNX Runtime
itself makes it: it folds the shape, inlines the branches asked for, and writes down the network that is left. The
operators stay those of ONNX, since only the first level of its rewriting is asked for.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import helper, numpy_helper

from ostiary.errors import ConfigurationError, WeightsError
from ostiary.export.card import OPSET
from ostiary.runtime.container import WeightsRecord, read_container, read_metadata
from ostiary.runtime.embedding_record import EmbeddingMetadata
from ostiary.runtime.liveness import fixed_dimensions
from ostiary.runtime.liveness_record import Metadata
from ostiary.runtime.personal_record import PersonMetadata

INPUT = "input"
"""The only input of a plain graph: float32 (batch, 3, S, S)."""

_RECORDS: dict[str, type[WeightsRecord]] = {
    "liveness": Metadata,
    "embedding": EmbeddingMetadata,
    "person": PersonMetadata,
}
"""Of the networks that take one picture and have their own weights, by task."""

_ASIDE = {"activations"}
"""Outputs of a weights file that serve a cascade alone."""

_INLINED = re.compile(r"^(_if_(then|else)_branch_(token_\d+_)?)+")
"""What the runtime puts before a name that it brings out of a branch; another number each time."""


@dataclass(frozen=True, slots=True)
class Source:
    """A weights file in floating point, of any task whose network takes one picture.

    ``words`` are its configurations; a file without a choice has one, the empty word.
    """

    path: Path
    record: WeightsRecord
    words: tuple[str, ...]
    content: bytes

    @classmethod
    def read(cls, path: Path) -> Source:
        """Read and check a weights file.

        Raises:
            WeightsError: the file is not a whole weights file of ostiary.
            ConfigurationError: its weights have 8 bits already, or it is of a task without weights of its own.

        """
        task = read_metadata(path, WeightsRecord).task
        if task not in _RECORDS:
            raise ConfigurationError(
                f"{path} is for the task {task!r}, whose weights come from outside: a device file is made of a "
                "network that has its own (liveness, embedding, or one person's verifier)."
            )
        record, content = read_container(path, _RECORDS[task])
        words = tuple(record.configurations) if isinstance(record, Metadata) else ("",)
        if record.precision != "float32":
            raise ConfigurationError(
                f"{path} has {record.precision} weights already, made for ONNX Runtime: "
                "give the file in floating point."
            )
        return cls(path, record, words, content)

    @property
    def default(self) -> str:
        """The configuration where nobody names one."""
        return self.record.default_configuration if isinstance(self.record, Metadata) else ""

    def plain(self, word: str) -> onnx.ModelProto:
        """The graph of one word: ``input`` (batch, 3, S, S) -> one output, without switches.

        Raises:
            ConfigurationError: the file has no such word.
            WeightsError: the network takes more than one picture, or ONNX Runtime cannot read it.

        """
        if word not in self.words:
            raise ConfigurationError(
                f"there is no configuration {word!r} in {self.path.name}; it has: {', '.join(self.words)}."
                if any(self.words)
                else f"{self.path.name} has no configurations to choose from: leave the word out."
            )
        model = _folded(self.content, fixed_dimensions(word) if len(self.words) > 1 else {}, self.path)
        _tidy(model.graph)
        names = [entry.name for entry in model.graph.input]
        if names != [INPUT] or len(model.graph.output) != 1:
            raise WeightsError(
                f"{self.path.name} takes the inputs {', '.join(names)}: a device file is made of a network that "
                "takes one picture and gives one answer."
            )
        del model.opset_import[:]
        model.opset_import.append(helper.make_opsetid("", OPSET))
        model.producer_name, model.producer_version = "ostiary", ""
        onnx.checker.check_model(model, full_check=True)
        return model


def with_batch(model: onnx.ModelProto, batch: int = 1) -> onnx.ModelProto:
    """A copy that takes this many pictures at a time, with the shape of every value written down."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for value in (*fixed.graph.input, *fixed.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    return onnx.shape_inference.infer_shapes(fixed, strict_mode=True, data_prop=True)


def _folded(content: bytes, dimensions: dict[str, int], path: Path) -> onnx.ModelProto:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4
    for name, extent in dimensions.items():
        options.add_free_dimension_override_by_name(name, extent)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "plain.onnx"
        options.optimized_model_filepath = str(target)
        try:
            ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises many private types for a file it cannot read
            raise WeightsError(
                f"{path} cannot be opened by ONNX Runtime ({type(error).__name__}): export it again."
            ) from None
        return onnx.load(str(target))


def _tidy(graph: onnx.GraphProto) -> None:
    """Drop inputs that only switched, outputs that only a cascade reads, and steps that change nothing."""
    for output in [entry for entry in graph.output if entry.name in _ASIDE]:
        graph.output.remove(output)
    passed: dict[str, str] = {}
    for node in [node for node in graph.node if _changes_nothing(node)]:
        passed[node.output[0]] = passed.get(node.input[0], node.input[0])
        graph.node.remove(node)
    stored = {tensor.name for tensor in graph.initializer}
    names = {name: _INLINED.sub("", name) for name in stored}
    for node in graph.node:
        for place, name in enumerate(node.input):
            name = passed.get(name, name)
            node.input[place] = names.get(name, name)
    kept = {name for node in graph.node for name in node.input}
    tensors = {
        names[t.name]: numpy_helper.from_array(numpy_helper.to_array(t), names[t.name]) for t in graph.initializer
    }
    del graph.initializer[:]
    graph.initializer.extend(tensors[name] for name in sorted(kept & tensors.keys()))
    for entry in [entry for entry in graph.input if entry.name not in kept]:
        graph.input.remove(entry)
    del graph.value_info[:]


def _changes_nothing(node: onnx.NodeProto) -> bool:
    """A 1x1 max-pool, which is there for ONNX Runtime's layout alone, or an identity."""
    if node.op_type == "Identity":
        return True
    kernel = next((list(entry.ints) for entry in node.attribute if entry.name == "kernel_shape"), None)
    strides = next((list(entry.ints) for entry in node.attribute if entry.name == "strides"), [1, 1])
    return node.op_type == "MaxPool" and kernel == [1, 1] and strides == [1, 1]
