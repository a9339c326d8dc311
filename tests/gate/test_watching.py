"""A door that runs: one presentation for each arrival, rests, and a source that breaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ostiary.errors import ConfigurationError
from ostiary.gate.gate import Gate
from ostiary.gate.policy import LockoutRules, Policy
from ostiary.gate.sources import Frame, SourceError
from ostiary.gate.tracking import Tracked
from ostiary.gate.watching import Follower, Visit, Watch

World = Any  # of conftest.py
Pixels = NDArray[np.uint8]
STEP = 0.1


class Tracker:
    """Knows a face by its name; searches a window while it stays."""

    def __init__(self, world: World) -> None:
        self._world, self._last = world, None

    def find(self, image: Pixels, seconds: float | None = None) -> Tracked:
        faces = tuple(self._world.detect(image))
        names = self._world.scene(image).faces if faces else None
        new = bool(faces) and names != self._last
        self._last = names
        return Tracked(faces, new, "picture" if new or not faces else "window")


def frames(pictures: Sequence[Pixels], broken: bool = False) -> Iterator[Frame]:
    for index, pixels in enumerate(pictures):
        yield Frame(pixels, index, index * STEP, 0)
    if broken:
        raise SourceError("camera 0 broke off (No such device); check that it is there, whole and reachable.")


class Door:
    """A watched gate over the fakes."""

    def __init__(self, world: World, policy: Policy, **changes: Any) -> None:
        self.whole_searches = 0
        self.world = world
        self.follower = Follower(policy.several_faces, detector=self, tracker=Tracker(world))  # type: ignore[arg-type]
        self.gate = world.gate(policy, detector=self.follower)
        self.watch = Watch(self.gate, self.follower, **{"rest_s": 1.0, **changes})

    def detect(self, image: Pixels) -> Any:
        self.whole_searches += 1
        return self.world.detect(image)

    def visits(self, *pictures: Pixels, broken: bool = False) -> list[Visit]:
        return list(self.watch.visits(frames(pictures, broken)))


def told(visits: list[Visit]) -> list[tuple[int, str]]:
    return [(visit.index, visit.decision.reason) for visit in visits]


@pytest.fixture
def run(world: World, door: Gate, open_policy: Policy) -> Any:
    def make(policy: Policy = open_policy, **changes: Any) -> Door:
        return Door(world, policy, **changes)

    return make


def test_who_stays_is_judged_once_and_who_comes_back_again(world: World, run: Any) -> None:
    ada, nobody = world.picture("ada"), world.picture("nobody")
    visits = run().visits(nobody, *[ada] * 15, nobody, ada, ada)
    assert told(visits) == [(1, "accepted"), (17, "accepted")]
    assert visits[0].decision.handle == "ada"
    assert visits[0].to_dict()["frame"] == 1
    assert "similarity" not in visits[0].to_dict()
    assert world.measured == 2


def test_a_claim_is_asked_for_by_name(world: World, run: Any) -> None:
    (visit,) = run(user="ada").visits(world.picture("bob"))
    assert (visit.decision.reason, visit.decision.handle) == ("another_person", "ada")


def test_the_door_rests_after_a_refusal_whoever_comes(world: World, run: Any) -> None:
    attack, bob = world.picture("ada", liveness=0.1), world.picture("bob")
    assert told(run().visits(*[attack] * 25)) == [(at, "presentation_attack") for at in (0, 10, 20)]
    assert told(run().visits(attack, *[bob] * 14)) == [(0, "presentation_attack"), (10, "accepted")]


def test_nobody_is_asked_for_while_locked_out(world: World, run: Any, open_policy: Policy) -> None:
    policy = replace(open_policy, lockout=LockoutRules(refusals=2, pause_s=3))
    attack = world.picture("ada", liveness=0.1)
    visits = run(policy).visits(*[attack] * 45)
    assert told(visits) == [(0, "presentation_attack"), (10, "presentation_attack"), (20, "locked_out")]
    assert visits[-1].decision.retry_s == 3


def test_what_cannot_be_judged_is_tried_on_and_told_once(world: World, run: Any) -> None:
    two, ada, nobody = world.picture("ada", "bob"), world.picture("ada"), world.picture("nobody")
    visits = run().visits(*[two] * 30, ada, nobody, two, *[two] * 9)
    assert told(visits) == [(8, "several_faces"), (30, "accepted"), (41, "several_faces")]


def test_a_presentation_ends_where_another_face_comes(world: World, run: Any, open_policy: Policy) -> None:
    ada, bob = world.picture("ada"), world.picture("bob")
    visits = run(replace(open_policy, frames=3)).visits(ada, ada, bob, bob, bob)
    assert told(visits) == [(1, "too_few_frames"), (4, "accepted")]
    assert visits[1].decision.handle == "bob"


@pytest.mark.parametrize(("several_faces", "searches"), [("refuse", 1), ("largest", 0)])
def test_the_whole_picture_is_searched_where_others_matter(
    world: World, run: Any, open_policy: Policy, several_faces: Any, searches: int
) -> None:
    door = run(replace(open_policy, frames=2, several_faces=several_faces))
    assert told(door.visits(world.picture("ada"), world.picture("ada"))) == [(1, "accepted")]
    assert door.whole_searches == searches


def test_somebody_who_joins_on_the_way_is_seen(world: World, run: Any, open_policy: Policy) -> None:
    door = run(replace(open_policy, frames=2, missing_allowed=0))
    ada, both = world.picture("ada"), world.picture("ada", "bob")
    door.follower._tracker = Tracker(world)
    door.follower._tracker.find = lambda image, seconds: Tracked(  # the window shows ada alone
        tuple(world.detect(ada)), image is ada, "picture" if image is ada else "window"
    )
    assert told(door.visits(ada, both)) == [(1, "several_faces")]


def test_a_camera_pulled_out_is_a_refusal_and_then_an_error(world: World, run: Any, open_policy: Policy) -> None:
    stream = run(replace(open_policy, frames=3)).watch.visits(frames([world.picture("ada")], broken=True))
    found = [next(stream)]
    with pytest.raises(SourceError, match="broke off"):
        next(stream)
    assert told(found) == [(0, "error")]
    assert "camera 0 broke off" in str(found[0].decision.problem)
    with pytest.raises(SourceError):
        run().visits(world.picture("nobody"), broken=True)


def test_every_frame_is_shown_once(world: World, run: Any, open_policy: Policy) -> None:
    seen: list[int] = []
    door = run(replace(open_policy, frames=2), shown=lambda sight: seen.append(sight.frame.index))
    ada, bob, nobody = world.picture("ada"), world.picture("bob"), world.picture("nobody")
    door.visits(nobody, ada, bob, bob, bob, nobody)
    assert seen == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("rest", [-1.0, float("nan"), float("inf")])
def test_an_impossible_rest_is_refused(run: Any, rest: float) -> None:
    with pytest.raises(ConfigurationError, match="cannot rest"):
        run(rest_s=rest)
