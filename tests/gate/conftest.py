"""A gate whose networks are fakes: each picture stands for a scene that says what every stage shall answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ostiary.errors import VaultError
from ostiary.faces.detector import Box, Face
from ostiary.gate.gate import Gate
from ostiary.gate.liveness_stage import Measured
from ostiary.gate.matching import EmbeddedPeople, Likenesses, Shot
from ostiary.gate.policy import Policy
from ostiary.gate.vault import Vault

KEY = bytes(range(32))
BRIGHT = 50
"""The grey level of the first picture: none must be taken for a dark one."""

OPEN = Policy(quality=None, smallest_face=20, lockout=None)
"""Judges whatever is large enough, as often as it comes."""

Answer = Any
"""What a stage shall say; an exception is raised."""

_DIRECTIONS = {
    "ada": (1.0, 0.0, 0.0),
    "ada again": (0.8, 0.6, 0.0),
    "bob": (0.0, 0.0, 1.0),
    "eve": (-0.6, -0.8, 0.0),
}


def direction(who: str) -> NDArray[np.float32]:
    """The embedding of somebody: cosine 0.8 (similarity 0.9) of ada and ada again, else 0 or less."""
    return np.array(_DIRECTIONS[who], np.float32)


@dataclass(frozen=True)
class Scene:
    """What a picture shows; faces are side by side, and each answer is that for all of them, or one a face."""

    faces: tuple[str, ...] = ("ada",)
    liveness: Answer = 0.9
    widths: tuple[float, ...] = (100.0, 100.0, 100.0)
    detection: Answer = None
    matching: Answer = None


def answer(given: Answer, index: int = 0) -> Answer:
    found = given[index] if isinstance(given, tuple) else given
    if isinstance(found, BaseException):
        raise found
    return found


@dataclass(repr=False)
class World:
    """The fakes, and the clock of everything."""

    vault: Vault
    now: datetime = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
    scenes: list[Scene] = field(default_factory=list)
    measured: int = 0
    compared: int = 0
    threshold: float | None = 0.85
    liveness_threshold: float | None = 0.5
    model: str = "ab" * 32
    problems: tuple[str, ...] = ()
    false_match_rate: float | None = 1e-3
    kind: str = "embedding"
    preprocess_hash: str = "cd" * 32
    configuration: str = "HHH"

    def picture(self, *faces: str, **answers: Answer) -> NDArray[np.uint8]:
        """A picture of these people, of ada if there is none."""
        self.scenes.append(Scene(faces or ("ada",), **answers))
        return np.full((2, 2, 3), len(self.scenes) - 1 + BRIGHT, np.uint8)

    def scene(self, pixels: NDArray[np.uint8]) -> Scene:
        return self.scenes[int(pixels[0, 0, 0]) - BRIGHT]

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def gate(self, policy: Policy = OPEN, **changes: Any) -> Gate:
        fakes: dict[str, Any] = {"liveness": self, "matcher": self, "detector": self}
        return Gate(self.vault, policy=policy, clock=lambda: self.now, **{**fakes, **changes})

    def detect(self, pixels: NDArray[np.uint8]) -> Sequence[Face]:
        scene = self.scene(pixels)
        answer(scene.detection)
        boxes = [Box(float(at), 0, scene.widths[at], scene.widths[at]) for at in range(len(scene.faces))]
        return (
            [] if scene.faces == ("nobody",) else [Face(box, np.zeros((5, 2), np.float32), 0.9) for box in boxes]
        )

    def measure(self, pixels: NDArray[np.uint8], faces: Sequence[Face]) -> list[Measured]:
        self.measured += len(faces)
        answers = [answer(self.scene(pixels).liveness, int(face.box.x)) for face in faces]
        return [Measured(value, self.liveness_threshold) for value in answers]

    def probe(self, shot: Shot) -> NDArray[Any]:
        scene, at = self.scene(shot.pixels), int(shot.face.box.x)
        special = answer(scene.matching, at)
        return direction(scene.faces[at]) if special is None else np.array([special])

    def template(self, shots: Sequence[Shot]) -> bytes:
        mean = np.mean([self.probe(shot) for shot in shots], axis=0)
        return (mean / np.linalg.norm(mean)).astype("<f4").tobytes()

    def people(self, templates: Sequence[Sequence[bytes]]) -> FakePeople:
        if any(template == b"damaged" for own in templates for template in own):
            raise VaultError("A template is damaged.")
        return FakePeople(self, templates)


class FakePeople:
    """Real comparisons of the fakes' embeddings; a probe of one number is itself the similarity."""

    def __init__(self, world: World, templates: Sequence[Sequence[bytes]]) -> None:
        rows = [np.mean([np.frombuffer(template, "<f4") for template in own], axis=0) for own in templates]
        self._matrix = np.stack([row / np.linalg.norm(row) for row in rows])
        self._world = world

    def compare(self, probe: NDArray[Any]) -> Likenesses:
        self._world.compared += len(self._matrix)
        threshold = np.nan if self._world.threshold is None else self._world.threshold
        if len(probe) == 1:
            return Likenesses(np.full(len(self._matrix), probe[0]), np.full(len(self._matrix), threshold))
        return EmbeddedPeople(self._matrix, threshold).compare(probe)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Nobody is enrolled yet."""
    world: World
    with Vault.create(tmp_path / "vault.db", KEY, clock=lambda: world.now) as vault:
        world = World(vault)
        yield world


@pytest.fixture
def enrol(world: World) -> Callable[..., None]:
    """Put people's embeddings into the vault."""

    def put(*people: str, model: str | None = None, **changes: Any) -> None:
        for who in people:
            template = direction(who).astype("<f4").tobytes()
            world.vault.add(
                who, template, "embedding", model or world.model, world.preprocess_hash, consent="said", **changes
            )

    return put


@pytest.fixture
def door(world: World, enrol: Callable[..., None]) -> Gate:
    """A gate that knows ada and bob."""
    enrol("ada", "bob")
    return world.gate()


@pytest.fixture
def open_policy() -> Policy:
    """Judges whatever is large enough, as often as it comes."""
    return OPEN
