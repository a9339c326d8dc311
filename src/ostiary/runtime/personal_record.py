"""The records of the personal verifier: of a file that serves everybody, of one person's, and of a generator."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from ostiary.runtime.container import WeightsRecord
from ostiary.runtime.embedding_record import MatchThreshold
from ostiary.runtime.template import Precision
from ostiary.runtime.verifier_layers import ARCHITECTURES


class VerifierRecord(WeightsRecord):
    """What all of them say: which verifier it is, its cost, and how a crop becomes its input.

    ``architecture_digest`` is that of :attr:`ostiary.runtime.verifier_layers.Architecture.digest`, in hex.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str
    architecture_digest: str
    parameters: int
    macs: int

    @model_validator(mode="after")
    def _is_known(self) -> VerifierRecord:
        known = ARCHITECTURES.get(self.architecture)
        if known is None:
            raise ValueError(f"there is no verifier {self.architecture!r}")
        if self.architecture_digest != known.digest.hex() or self.preprocess != known.preprocess:
            raise ValueError(f"its {self.architecture} is another one than this ostiary's")
        return self


class VerifierMetadata(VerifierRecord):
    """Of a file without weights, which judges by those that it is given.

    ``theta`` says how: ``input``, a float32 input (users, parameters) of the graph, of which one session serves
    everybody; or ``place``, an initialiser of zeros called ``theta`` that is overwritten before a session is made,
    one a person, whose weights the runtime can then prepare.
    """

    task: Literal["verifier"] = "verifier"
    theta: Literal["input", "place"]


class PersonMetadata(VerifierRecord):
    """Of a file that holds one person's verifier as ordinary convolutions; it is that person's biometric data.

    ``generator`` is the digest of what made the weights, in hex, ``photos`` the number of photos it was shown.
    """

    task: Literal["person"] = "person"
    generator: str
    photos: int
    threshold: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)


class GeneratorMetadata(VerifierRecord):
    """Of a file that makes verifiers of embeddings; cost and crop are those of the verifiers.

    ``form`` is that of the hypernetwork, ``dimension`` the numbers of an embedding. The embeddings must come from
    the weights called ``backbone``, in the very file whose SHA-256 is ``backbone_sha256``. ``generator`` is what
    its templates call it, in hex. ``threshold`` is a similarity on the verifiers' own scale, chosen with templates
    kept as ``templates``; without one the verifiers answer, and nothing decides.
    """

    task: Literal["generator"] = "generator"
    form: str
    dimension: int = Field(ge=1)
    backbone: str
    backbone_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    generator: str = Field(pattern="^[0-9a-f]{32}$")
    templates: Precision = "int8"
    threshold: MatchThreshold | None = None

    @model_validator(mode="after")
    def _can_be_reached(self) -> GeneratorMetadata:
        if self.threshold is not None and not 0 < self.threshold.value <= 1:
            raise ValueError("a threshold of 0 lets everybody in, and one above 1 nobody")
        return self
