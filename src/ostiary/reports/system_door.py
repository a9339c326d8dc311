"""The gate as a door to be evaluated: its own enrolment and its own decisions, and no shorter way.

Lock-outs are off, since attempts here are trials and not one stranger's; every stage is measured, so that the
report can say what a refusal was for.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ostiary.gate.decision import Decision
from ostiary.gate.enrolment import EnrolmentReport
from ostiary.gate.examination import FindsFaces
from ostiary.gate.gate import Gate
from ostiary.gate.liveness_stage import JudgesLiveness
from ostiary.gate.matching import Matcher
from ostiary.gate.policy import Policy
from ostiary.gate.vault import Vault
from ostiary.reports.system_run import Picture


@dataclass(frozen=True, slots=True)
class GateDoor:
    """A gate as ``system_run.Door``; its policy should have no lock-out.

    ``watched``: liveness is not asked for at enrolment, as where somebody stands by.
    """

    gate: Gate
    watched: bool = True

    def enrol(self, person: str, pictures: Sequence[Picture]) -> str | None:
        """Enrol; if some pictures do not serve, once more with those that do, as somebody at the door would."""
        report = self._enrol(person, pictures)
        fit = [picture for picture, photo in zip(pictures, report.photos, strict=True) if photo.accepted]
        if not report.enrolled and 0 < len(fit) < len(pictures):
            report = self._enrol(person, fit)
        return None if report.enrolled else report.reason

    def decide(self, person: str, picture: Picture) -> Decision:
        """The gate's decision on one picture of somebody who says to be ``person``."""
        return self.gate.verify(picture, person)

    def _enrol(self, person: str, pictures: Sequence[Picture]) -> EnrolmentReport:
        return self.gate.enrol(
            person, list(pictures), consent="evaluation", watched=self.watched, duplicates=False
        )


@contextmanager
def temporary_door(
    liveness: JudgesLiveness,
    matcher: Matcher,
    *,
    policy: Policy | None = None,
    detector: FindsFaces | None = None,
    watched: bool = True,
) -> Iterator[GateDoor]:
    """A door with a vault of its own that is gone at the end, key and all.

    Args:
        liveness: judges liveness, with its thresholds.
        matcher: tells people apart, with its threshold.
        policy: the site's; its lock-out is left out.
        detector: finds the faces; the packaged one by default.
        watched: see ``GateDoor``.

    """
    without = replace(policy or Policy(), lockout=None, thorough=True)
    with tempfile.TemporaryDirectory() as folder:
        vault = Vault.create(Path(folder) / "vault.db", secrets.token_bytes(32))
        with vault:
            yield GateDoor(
                Gate(vault, liveness=liveness, matcher=matcher, policy=without, detector=detector), watched
            )
