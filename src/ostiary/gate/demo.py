"""A first run without a photo of one's own: enrol, let in, refuse a stranger, refuse a photo on a screen.

The gate is a real one, with a vault in a temporary folder and the thresholds of the weights; only the pictures
come with the package (``ostiary/demo_pictures``). One try of each kind shows how the gate answers, and measures
nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostiary.errors import WeightsError
from ostiary.gate.decision import Decision
from ostiary.gate.enrolment import EnrolmentReport
from ostiary.gate.envelope import new_key
from ostiary.gate.outcomes import Outcome, Stage
from ostiary.gate.policy import Policy
from ostiary.gate.setup import Stages
from ostiary.gate.vault import Vault
from ostiary.runtime.packaged import EMBEDDING, resolve_weights

PICTURES = Path(__file__).resolve().parents[1] / "demo_pictures"
PERSON = "collins"
"""Who is enrolled, and claimed in every try."""

_POLICY = Policy(lockout=None, thorough=True)
"""Thorough, so that each try shows what liveness says and what matching says."""


@dataclass(frozen=True, slots=True)
class Act:
    """One part of the demonstration: a picture, and what should come of it.

    Attributes:
        title: what is tried, for a person to read.
        picture: a file of :data:`PICTURES`.
        expected: what the stages should come to that this part is about; the gate opens if all of them pass.

    """

    title: str
    picture: str
    expected: dict[Stage, Outcome]


ENROLMENT = Act("Enrol Eileen Collins from one photo", "collins.jpg", {})
TRIES = (
    Act(
        "Eileen Collins comes (her portrait, mirrored, turned, darker and cut otherwise)",
        "collins_again.jpg",
        {"liveness": "passed", "matching": "passed"},
    ),
    Act("Grace Hopper says that she is Eileen Collins", "hopper.jpg", {"matching": "failed"}),
    Act(
        "Somebody holds up the portrait of Eileen Collins on a screen (painted)",
        "collins_on_a_screen.jpg",
        {"liveness": "failed"},
    ),
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A part with the gate's answer."""

    act: Act
    answer: EnrolmentReport | Decision

    @property
    def as_expected(self) -> bool:
        """Whether the gate answered as it should."""
        if isinstance(self.answer, EnrolmentReport):
            return self.answer.enrolled
        opens = set(self.act.expected.values()) == {"passed"}
        outcomes = self.answer.outcomes
        return self.answer.accepted == opens and all(
            outcomes.get(stage) == outcome for stage, outcome in self.act.expected.items()
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "title": self.act.title,
            "picture": str(PICTURES / self.act.picture),
            "as_expected": self.as_expected,
            "answer": self.answer.to_dict(),
        }


def demonstrate(weights: str | None = None, *, calibration: Path | None = None) -> Iterator[Shown]:
    """Enrol, then try; each part when it is asked for.

    Args:
        weights: of the face embedding, as a file or a name; None for the default.
        calibration: thresholds; None for those in the weights.

    Raises:
        WeightsError: there are no face weights, or they cannot be used.
        ConfigurationError: the calibration is of other models.

    """
    _check_weights(weights)
    stages = Stages.load(weights=weights, calibration=calibration)
    with (
        tempfile.TemporaryDirectory(prefix="ostiary-demo-") as folder,
        Vault.create(Path(folder) / "vault.db", new_key()) as vault,
    ):
        gate = stages.gate(vault, _POLICY)
        report = gate.enrol(PERSON, PICTURES / ENROLMENT.picture, consent="demonstration")
        yield Shown(ENROLMENT, report)
        if report.enrolled:
            for act in TRIES:
                yield Shown(act, gate.verify(PICTURES / act.picture, PERSON))


def _check_weights(weights: str | None) -> None:
    """Say what to do where the package has no face weights of its own."""
    try:
        resolve_weights(weights, EMBEDDING)
    except WeightsError as error:
        if weights is not None:
            raise
        raise WeightsError(
            f"{str(error).rstrip('.')}: `ostiary demo --weights FILE`, or the record of a network of others "
            "(docs/models.md)."
        ) from None
