"""The records of the personal verifier: of a file that serves everybody, and of one that holds one person's."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from ostiary.runtime.container import WeightsRecord
from ostiary.runtime.verifier_layers import ARCHITECTURES


class VerifierRecord(WeightsRecord):
    """What both kinds say: which verifier it is, its cost, and how a crop becomes its input.

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
