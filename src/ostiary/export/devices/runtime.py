"""What a runtime of a phone or a board has to be able to do here: write its file, and run what it wrote.

Whoever writes a file also runs it, by the runtime that will read it on the device: a converter that ends without a
complaint has not yet said that the network still decides the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray

from ostiary.export.static import made_ready
from ostiary.runtime.container import WeightsRecord

Precision = Literal["fp32", "fp16", "int8"]

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""One picture (1, 3, S, S), normalised, to the network's answer (1, K); on one thread where that can be asked."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be written.

    ``networks`` is configuration word -> plain graph (plain.py), the empty word for a network without
    configurations; more than one only where the runtime's ``TOGETHER`` is None. ``record`` is what the file is to
    say of itself where it can. ``calibration`` is inputs float32 (N, 3, S, S), there for int8 alone.
    """

    networks: Mapping[str, onnx.ModelProto]
    record: WeightsRecord
    precision: Precision
    calibration: NDArray[np.float32] | None = None

    @property
    def pictures(self) -> NDArray[np.float32]:
        """The calibration pictures, which whoever made an 8-bit job has given."""
        assert self.calibration is not None
        return self.calibration

    def made_ready(self) -> dict[str, onnx.ModelProto]:
        """The networks for a converter that rounds by itself; several keep the weights that they share."""
        alone = len(self.networks) == 1
        return {word: made_ready(network, self.pictures, scaled=alone) for word, network in self.networks.items()}


class Runtime(Protocol):
    """One runtime; the modules beside this one are it."""

    EXTRA: str
    """The extra of the package that brings the runtime and its converter."""

    PRECISIONS: Mapping[Precision, str]
    """What each precision means here; those that are missing cannot be had."""

    TOGETHER: str | None
    """None where one file can hold several words; otherwise why it cannot."""

    LAYOUT: str
    """Axes of the input that the device feeds: NCHW or NHWC."""

    INPUT: str
    """The name under which the device feeds it."""

    def asked_for(self, word: str) -> str:
        """What the device asks for to run a word: the name of a signature, a method, or an output."""
        ...

    def write(self, job: Job, target: Path) -> list[Path]:
        """Write one file, or the few that this runtime calls one; ``target`` is its path without a suffix.

        Raises:
            MissingExtraError: runtime or converter is not installed.
            ConfigurationError: an operator that the way to this runtime does not know.

        """
        ...

    def open(self, files: Sequence[Path], word: str) -> Run:
        """Open what :meth:`write` wrote, in the runtime itself, for one of its words.

        Raises:
            MissingExtraError: the runtime is not installed.

        """
        ...
