"""What the maker of a weights file has to say about it; costs and hash are added by the export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import onnx
import torch
from onnx import helper
from torch import nn

from ostiary.adaptive import configured, count, words
from ostiary.faces.preprocess import Preprocess
from ostiary.runtime.container import HASH_KEY, MODEL_KEY, ZERO_HASH, WeightsRecord, seal
from ostiary.runtime.embedding_record import EmbeddingMetadata, MatchThreshold
from ostiary.runtime.liveness_record import Band, ConfigurationRecord, Metadata, Threshold

#: Read by every ONNX Runtime that the package admits (1.20 reads IR 10 and opset 21).
OPSET = 17
IR_VERSION = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Origin and terms, as every weights file records them (:class:`ostiary.runtime.container.WeightsRecord`)."""

    name: str
    version: str
    licence: str
    data: list[str]
    preprocess: Preprocess
    training_commit: str
    notes: str = ""

    def _recorded(self) -> dict[str, Any]:
        return {entry.name: getattr(self, entry.name) for entry in fields(Origin)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Card(Origin):
    """Of a liveness model, as in :class:`ostiary.runtime.liveness_record.Metadata`.

    ``thresholds`` and ``development_errors`` are by configuration word and may lack words.
    """

    default_configuration: str
    thresholds: Mapping[str, Threshold] = field(default_factory=dict)
    development_errors: Mapping[str, float] = field(default_factory=dict)
    cascade: Band | None = None

    def metadata(
        self,
        net: nn.Module,
        *,
        per_configuration: bool,
        only: str | None = None,
        precision: Literal["float32", "int8"] = "float32",
    ) -> Metadata:
        """The record to store, with the counted cost of every word (or of the word ``only``)."""
        example = example_input(self.preprocess)
        chosen = [only] if only is not None else words(net)
        configurations = {}
        for word in chosen:
            with configured(net, word):
                cost = count(net, example)
            configurations[word] = ConfigurationRecord(
                parameters=cost.parameters,
                macs=cost.macs,
                threshold=self.thresholds.get(word),
                development_error=self.development_errors.get(word),
            )
        return Metadata(
            **self._recorded(),
            configurations=configurations,
            default_configuration=only if only is not None else self.default_configuration,
            statistics="per_configuration" if per_configuration else "shared",
            precision=precision,
            cascade=self.cascade if only is None else None,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddingCard(Origin):
    """Of a face embedding, as in :class:`ostiary.runtime.embedding_record.EmbeddingMetadata`.

    ``network`` is its name in the registry.
    """

    network: str
    threshold: MatchThreshold | None = None

    def metadata(self, net: nn.Module, *, precision: Literal["float32", "int8"] = "float32") -> EmbeddingMetadata:
        """The record to store, with the cost of the network as it was trained, not as it is deployed."""
        example = example_input(self.preprocess)
        cost = count(net, example)
        with torch.no_grad():
            dimension = net(example).shape[1]
        return EmbeddingMetadata(
            **self._recorded(),
            precision=precision,
            network=self.network,
            dimension=dimension,
            parameters=cost.parameters,
            macs=cost.macs,
            threshold=self.threshold,
        )


def example_input(preprocess: Preprocess) -> torch.Tensor:
    """Zeros of the shape that the network takes, batch 1."""
    return torch.zeros(1, 3, preprocess.size, preprocess.size)


def model_of(graph: onnx.GraphProto) -> onnx.ModelProto:
    """A bare model around a graph, naming nothing but the package."""
    return helper.make_model(
        graph,
        producer_name="ostiary",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )


def sealed(model: onnx.ModelProto, metadata: WeightsRecord) -> bytes:
    """Serialise a model with its record and its hash."""
    del model.metadata_props[:]
    helper.set_model_props(model, {MODEL_KEY: metadata.model_dump_json(exclude_none=True), HASH_KEY: ZERO_HASH})
    return seal(model.SerializeToString(deterministic=True))
