"""The one place where an ONNX Runtime session is made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ostiary.errors import WeightsError

if TYPE_CHECKING:
    import onnxruntime


def make_session(
    model: Path | bytes,
    *,
    threads: int = 1,
    fixed_dimensions: Mapping[str, int] | None = None,
    optimised_copy: Path | None = None,
) -> onnxruntime.InferenceSession:
    """Open a model on the CPU.

    Args:
        model: a file, or its bytes.
        threads: intra-op threads; one is fastest for networks of a few milliseconds.
        fixed_dimensions: values for symbolic input dimensions by name; the runtime folds all that
            depends on them when the session is created (this is how a configuration is specialised).
        optimised_copy: where the runtime writes the graph that it really runs (used by tests).

    Raises:
        WeightsError: the runtime cannot read the model.

    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read at the import: nothing leaves the device
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    for name, value in (fixed_dimensions or {}).items():
        options.add_free_dimension_override_by_name(name, value)
    if optimised_copy is not None:
        options.optimized_model_filepath = str(optimised_copy)
    source = model if isinstance(model, bytes) else str(model)
    try:
        return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises many private types for a file it cannot read
        name = "the model" if isinstance(model, bytes) else str(model)
        raise WeightsError(
            f"{name} cannot be opened by ONNX Runtime ({type(error).__name__}); "
            "the file is damaged or not an ONNX model: fetch or export it again."
        ) from None
