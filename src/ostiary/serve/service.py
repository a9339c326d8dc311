"""What every request of one process shares: the door, and the limits before it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ostiary.serve.door import Door
from ostiary.serve.metrics import Metrics
from ostiary.serve.settings import ServerSettings
from ostiary.serve.workbench import Places, Workbench


@dataclass(frozen=True, slots=True)
class Service:
    """The parts that work together.

    Attributes:
        door: what decides.
        settings: what the server was told.
        workbench: where it is decided.
        reading: how many bodies are taken in at once.
        metrics: what is counted.
        enrolling: file that one enrolment at a time holds, in whichever process of this machine.

    """

    door: Door
    settings: ServerSettings
    workbench: Workbench
    reading: Places
    metrics: Metrics
    enrolling: Path
