"""A face network as an ONNX file, in the form that is fastest on its target, checked before it is written."""

from __future__ import annotations

import copy
import logging
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import nn

from ostiary.adaptive import Adaptive
from ostiary.errors import ConfigurationError, WeightsError
from ostiary.export.card import EmbeddingCard, example_input, model_of, sealed
from ostiary.export.graph import Emitter, Scope
from ostiary.export.half_size import in_half_size
from ostiary.export.rewrite import Form, Target, form_for, rewritten
from ostiary.export.rewrites.equalise import equalise
from ostiary.export.static import quantised
from ostiary.export.verify import BLOCKED_DOMAIN, operators, uses_blocked_layout
from ostiary.faces.preprocess import Preprocess
from ostiary.networks.face_network import FaceNetwork
from ostiary.reports.folder import replace_file
from ostiary.runtime.crops import check_crops
from ostiary.runtime.session import make_session

TOLERANCE = 1e-5
"""Largest difference of a number of an embedding between torch and a file in floating point."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExportedFace:
    """Where the file is, in which form, and how far its embeddings are from those of torch.

    ``difference`` is the largest of any number of an embedding, ``cosine`` the lowest with torch's.
    """

    path: Path
    form: Form
    difference: float
    cosine: float


def export_face(
    network: FaceNetwork,
    path: Path,
    card: EmbeddingCard,
    target: Target = "cpu-fp32",
    *,
    calibration: NDArray[np.uint8] | None = None,
    plain: bool = False,
) -> ExportedFace:
    """Write a face network for a target; :class:`ostiary.runtime.embedding.EmbeddingModel` reads it.

    The file takes ``input`` (batch, 3, 112, 112), normalised as its record says, and gives ``embeddings``
    (batch, dimension) of unit length.

    Args:
        network: the trained network; left as it is.
        path: where to write; nothing is written unless the check has passed.
        card: origin, terms, threshold. With 8-bit weights the threshold should be chosen anew.
        target: what the file is for.
        calibration: RGB crops uint8 (N, 112, 112, 3) of training data, a few hundred, for ``cpu-int8``. Some
            serve the check of either target.
        plain: the network just as it was trained, however slow: for comparisons.

    Raises:
        ConfigurationError: ``cpu-int8`` without pictures, or an operator that the export does not know.
        InputError: the pictures are not crops of that size.
        WeightsError: in floating point, the embeddings differ from torch's by more than 1e-5, or a convolution
            would run outside the runtime's blocked layout.

    """
    network = copy.deepcopy(network).cpu().eval()
    preprocess = card.preprocess
    shape = preprocess.size, preprocess.size, 3
    crops = np.zeros((0, *shape), np.uint8) if calibration is None else calibration
    check_crops(crops, preprocess, path.name)
    form = Form() if plain else form_for(network, target)
    if target == "cpu-int8":
        inputs = preprocess.normalise(crops)
        equal = equalise(network, torch.from_numpy(inputs[:_EQUALISED]))
        model = eight_bits(face_model(rewritten(equal, form), preprocess), inputs)
    else:
        model = face_model(rewritten(network, form), preprocess)
    content = sealed(model, card.metadata(network, precision="int8" if target == "cpu-int8" else "float32"))
    noise = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    difference, cosine = _compared(
        content, network, preprocess.normalise(np.concatenate([noise, crops[:_SAMPLES]]))
    )
    if target == "cpu-fp32":
        _check_floats(content, difference, form, plain=plain)
    replace_file(path, content)
    log.info("%s: %d bytes, %s, largest difference from torch %.2g", path, len(content), form, difference)
    return ExportedFace(path, form, difference, cosine)


def face_model(network: nn.Module, preprocess: Preprocess) -> onnx.ModelProto:
    """The model without its record, of a face network in any form (rewrite.py)."""
    example = example_input(preprocess)
    scope = Scope()
    Emitter(network, {}, _no_blocks, scope).emit(network, scope, "input")
    scope.nodes[-1].output[0] = "embeddings"
    with torch.no_grad():
        dimension = network(example).shape[1]
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", *example.shape[1:]])]
    outputs = [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["batch", dimension])]
    model = model_of(scope.graph("ostiary", outputs, inputs))
    _state_batches(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def eight_bits(model: onnx.ModelProto, calibration: NDArray[np.float32]) -> onnx.ModelProto:
    """The model of a face network with 8 bits, calibrated on inputs (N, 3, 112, 112); its ends stay where it pays.

    The last layers are a fiftieth of the work, and their rounding is felt in every embedding; on disk their
    weights take half their bytes. A stem with swish stays, too: no factor can be moved through a swish, so that
    the stem's channels, of very different ranges, share one scale (results/face/summary.md).
    """
    convolutions = [place for place, node in enumerate(model.graph.node) if node.op_type == "Conv"]
    stem = model.graph.node[: convolutions[2]]
    last = model.graph.node[convolutions[-2] :]
    swish = any(node.op_type == "Sigmoid" for node in stem)
    in_float = [node.name for node in [*(stem if swish else []), *last]]
    return in_half_size(quantised(model, calibration, in_float=in_float), in_float)


def operators_run(content: bytes) -> Counter[tuple[str, str]]:
    """How often each (domain, operator) occurs in the graph that the runtime makes of a model."""
    with tempfile.TemporaryDirectory() as folder:
        optimised = Path(folder) / "optimised.onnx"
        make_session(content, optimised_copy=optimised)
        return operators(optimised)


_SAMPLES = 8
"""Crops of the calibration that are compared with torch."""

_EQUALISED = 64
"""Crops of the calibration whose ranges are made alike."""


def _no_blocks(block: Adaptive, _scope: Scope, _value: str) -> str:
    raise ConfigurationError("the export of face networks knows no adaptive blocks: specialise the network first.")


def _state_batches(model: onnx.ModelProto) -> None:
    """Say that an enlarged or reshaped tensor has the batch of its input, which shape inference does not see.

    Without it the runtime takes a product or a sum of that tensor out of its blocked layout.
    """
    unseen = {node.output[0] for node in model.graph.node if node.op_type in {"Resize", "Reshape"}}
    for value in onnx.shape_inference.infer_shapes(model).graph.value_info:
        if value.name in unseen:
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
            model.graph.value_info.append(value)


def _compared(content: bytes, network: FaceNetwork, samples: NDArray[np.float32]) -> tuple[float, float]:
    (found,) = make_session(content).run(None, {"input": samples})
    with torch.no_grad():
        expected = network(torch.from_numpy(samples)).numpy()
    return float(np.abs(found - expected).max()), float((found * expected).sum(axis=1).min())


def _check_floats(content: bytes, difference: float, form: Form, *, plain: bool) -> None:
    if not difference <= TOLERANCE:
        raise WeightsError(
            f"the form {form} differs from torch by {difference:.2g}, more than {TOLERANCE:g}; nothing was "
            "written."
        )
    if plain:
        return
    if not uses_blocked_layout():
        log.warning("the layout was not checked: this processor has no blocked layout")
        return
    slow = sum(
        count
        for (domain, kind), count in operators_run(content).items()
        if kind in {"Conv", "FusedConv"} and domain != BLOCKED_DOMAIN
    )
    if slow:
        raise WeightsError(
            f"the export would be slow: {slow} convolutions of the form {form} are outside the blocked layout; "
            "nothing was written."
        )
