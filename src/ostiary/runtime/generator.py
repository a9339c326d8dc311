"""Enrolment by a generator: the embeddings of one person's photos to a template of their own verifier.

The generator is asked once, when somebody enrols, and is not needed at the door. Each template is issued with
fresh randomness (reissue.py), so that two of one person cannot be told to be alike number by number.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ostiary.errors import InputError, WeightsError
from ostiary.runtime.container import read_container
from ostiary.runtime.embedding import check_unit
from ostiary.runtime.packaged import Shelf, resolve_weights
from ostiary.runtime.personal_record import GeneratorMetadata
from ostiary.runtime.reissue import reissued
from ostiary.runtime.session import make_session
from ostiary.runtime.template import Precision, Template

GENERATOR = Shelf(
    "personal generator",
    {"personal_f112": "personal_f112.onnx", "personal_f112w": "personal_f112w.onnx"},
    "personal_f112",
    "OSTIARY_GENERATOR",
)


class Generator:
    """Makes the templates of people. Safe to use from several threads at once.

    Args:
        weights: a generator's file, the name of a packaged one, or None for the default.
        threads: intra-op threads of the session.

    Raises:
        WeightsError: see :func:`ostiary.runtime.container.read_metadata`; or the graph takes another input than
            its record says.

    """

    def __init__(self, weights: Path | str | None = None, *, threads: int = 1) -> None:
        self.path = resolve_weights(weights, GENERATOR)
        self.metadata, content = read_container(self.path, GeneratorMetadata)
        self._session = make_session(content, threads=threads)
        shapes = {entry.name: entry.shape[1:] for entry in self._session.get_inputs()}
        if shapes != {"embedding": [self.metadata.dimension]}:
            raise WeightsError(
                f"{self.path} takes inputs of shape {shapes} where its record says embeddings of "
                f"{self.metadata.dimension} numbers; export it again."
            )

    def __repr__(self) -> str:
        return f"Generator({self.metadata.form} {self.metadata.architecture}, for {self.metadata.backbone})"

    @property
    def threshold(self) -> float | None:
        """What templates are given as theirs; None where nobody has chosen one."""
        return None if self.metadata.threshold is None else self.metadata.threshold.value

    def theta(self, embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
        """The verifiers (N, parameters) of N people, from an embedding each.

        Args:
            embeddings: (N, dimension) of the backbone, each of unit length.

        Raises:
            InputError: they have another shape, or one is not of unit length (as one with NaN is not).
            WeightsError: the generator gives something else than finite numbers of the verifier's shape.

        """
        self._check(embeddings)
        thetas: NDArray[np.float32] = self._session.run(None, {"embedding": embeddings.astype(np.float32)})[0]
        expected = (len(embeddings), self.metadata.parameters)
        if thetas.shape != expected or not np.isfinite(thetas).all():
            raise WeightsError(
                f"{self.path} gives no {expected[1]} finite numbers a person; fetch or export it again."
            )
        return thetas

    def template(
        self, embeddings: NDArray[np.floating], *, precision: Precision = "int8", fresh: bool = True
    ) -> Template:
        """The template of one person, of the mean of their embeddings.

        Args:
            embeddings: (K, dimension), one a photo, each of unit length; K >= 1.
            precision: in which the template is kept.
            fresh: other weights of the same function each time. False gives equal templates for equal embeddings,
                which whoever gets hold of two can link.

        Raises:
            InputError: as :meth:`theta`; there is no photo, or the embeddings cancel each other out.
            WeightsError: as :meth:`theta`.
            ConfigurationError: a weight is too large for the precision.

        """
        self._check(embeddings)
        if not len(embeddings):
            raise InputError("There is no embedding to make a template of: give one or more.")
        mean = np.asarray(embeddings, np.float64).sum(0, keepdims=True) / len(embeddings)
        length = float(np.linalg.norm(mean))
        if not length > _SHORTEST:
            raise InputError("The embeddings of one person point in opposite directions: take other photos.")
        template = Template(
            self.theta(mean / length)[0],
            self.metadata.architecture,
            bytes.fromhex(self.metadata.generator),
            precision,
            threshold=self.threshold,
            photos=len(embeddings),
        )
        return reissued(template) if fresh else template.at(precision)

    def _check(self, embeddings: NDArray[np.floating]) -> None:
        if embeddings.ndim != 2 or embeddings.shape[1] != self.metadata.dimension:
            raise InputError(
                f"Embeddings of shape {embeddings.shape} do not fit {self.path.name}: it takes "
                f"(N, {self.metadata.dimension}) of {self.metadata.backbone}."
            )
        check_unit(embeddings)


_SHORTEST = 1e-3
