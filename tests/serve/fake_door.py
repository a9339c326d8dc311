"""A server whose networks are fakes, with a real detector, real quality, a real vault and real processes.

Also the script that tests start: ``fake_door.py SETTINGS.json`` prints its address and serves until it is stopped.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostiary.faces.detector import Face
from ostiary.gate.calibration import Operating
from ostiary.gate.liveness_stage import Measured
from ostiary.gate.matching import EmbeddedPeople, Shot
from ostiary.gate.policy import LockoutRules, Policy
from ostiary.gate.vault import Vault
from ostiary.serve.auth import Tokens
from ostiary.serve.dial import Dial, Notch
from ostiary.serve.door import Door
from ostiary.serve.run import run
from ostiary.serve.settings import ServerSettings
from ostiary.serve.thresholds import Thresholds

KEY = bytes(range(32))
TOKENS = {role: f"{role}-" + "0123456789" * 3 for role in ("admin", "door", "check", "metrics")}
MILLISECONDS = {"LLL": 2.0, "HLH": 3.0, "HHH": 5.0}


class MarkedLiveness:
    """Whatever has no red corner is alive; each answer takes ``seconds``."""

    problems = ()

    def __init__(self, configuration: str = "HHH", seconds: float = 0.0) -> None:
        self.configuration, self._seconds = configuration, seconds

    def measure(self, pixels: NDArray[np.uint8], faces: Sequence[Face]) -> list[Measured]:
        time.sleep(self._seconds)
        red, green, _ = pixels[:8, :8].mean((0, 1))
        return [Measured(0.1234 if red - green > 100 else 0.9876, 0.5) for _ in faces]


class ColourMatcher:
    """A person is the colour in the middle of the face."""

    kind, model, preprocess_hash, problems = "embedding", "ab" * 32, "cd" * 32, ()
    false_match_rate = 1e-3

    def probe(self, shot: Shot) -> NDArray[np.float64]:
        x, y, width, height = shot.face.box
        column, row = int(x + width / 2), int(y + height / 2)
        mean = shot.pixels[row - 20 : row + 20, column - 20 : column + 20].mean((0, 1)) - 128
        colour: NDArray[np.float64] = mean / np.linalg.norm(mean)
        return colour

    def template(self, shots: Sequence[Shot]) -> bytes:
        return self.probe(shots[0]).astype("<f4").tobytes()

    def people(self, templates: Sequence[Sequence[bytes]]) -> EmbeddedPeople:
        return EmbeddedPeople(np.stack([np.frombuffer(own[0], "<f4") for own in templates]), 0.95)


def fake_dial(seconds: float = 0.0) -> Dial:
    notches = [Notch(word, 1000, 100, error) for word, error in (("HHH", 0.01), ("HLH", 0.03), ("LLL", 0.02))]
    return Dial(MarkedLiveness(seconds=seconds), notches, MarkedLiveness, lambda: MILLISECONDS)


def operating(target: str) -> Operating:
    return Operating(
        value=0.5,
        target=target,
        rate=0.04,
        low=0.01,
        high=0.05,
        trials=300,
        people=30,
        data="drawn",
        made=None,
    )


@dataclass(frozen=True)
class FakeOpening:
    """Opens a door of fakes; ``refusals`` lock out."""

    vault: Path | str
    refusals: int = 5
    seconds: float = 0.0
    frames: int = 1
    log: Path | None = None

    @contextmanager
    def __call__(self) -> Iterator[Door]:
        policy = Policy(lockout=LockoutRules(refusals=self.refusals), frames=self.frames)
        liveness = dict.fromkeys(("HHH", "LLL"), operating("apcer=0.05"))
        known = Thresholds(liveness, "weights", operating("fmr=0.001"), "calibration")
        with Vault(self.vault, KEY) as vault:
            yield Door(vault, fake_dial(self.seconds), ColourMatcher(), policy, thresholds=known, log=self.log)


def main(settings: dict[str, Any]) -> None:
    refuse_to_call_out()
    tokens = Tokens.of(TOKENS.items()) if settings.pop("tokens", False) else None  # type: ignore[arg-type]
    opening = FakeOpening(**settings.pop("opening"))
    run(opening, ServerSettings(port=0, tokens=tokens, **settings), lambda said: print(said, flush=True))


def refuse_to_call_out() -> None:
    """End this process if it opens a connection to another machine."""

    def hook(event: str, values: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.getaddrinfo"):
            host = values[1][0] if event == "socket.connect" and isinstance(values[1], tuple) else values[0]
            if isinstance(host, str) and host not in ("127.0.0.1", "::1", "localhost"):
                raise SystemExit(f"called out: {event} {host}")

    sys.addaudithook(hook)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
