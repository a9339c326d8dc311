"""The gate as a whole: who passes, why everybody else does not, and that nothing else opens it."""

from __future__ import annotations

import itertools
import logging
import math
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, fields, replace
from datetime import date
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from ostiary.errors import ConfigurationError, ImageError, InputError
from ostiary.gate.audit import AuditLog
from ostiary.gate.calibration import Calibration
from ostiary.gate.decision import Decision, Reason
from ostiary.gate.gate import Gate
from ostiary.gate.policy import LockoutRules, Policy

World = Any  # of conftest.py
Enrol = Callable[..., None]
BROKEN = ZeroDivisionError("0.123456789 is a number of somebody's face")


def test_the_right_living_person_passes(world: World, door: Gate) -> None:
    decision = door.verify(world.picture("ada again", liveness=0.75), "ada")
    assert (decision.accepted, decision.reason, decision.handle) == (True, "accepted", "ada")
    assert decision.liveness == pytest.approx(0.75)
    assert decision.similarity == pytest.approx(0.9)
    assert (decision.configuration, decision.time, decision.faces, decision.frames) == ("HHH", world.now, 1, 1)
    assert set(decision.outcomes.values()) == {"passed"}
    assert list(decision.milliseconds) == ["enrolment", "detection", "quality", "liveness", "matching"]
    assert min(decision.milliseconds.values()) >= 0
    assert (decision.retry_s, decision.problem) == (None, None)
    assert bool(decision)


def said_by(decision: Decision) -> str:
    """All that a decision prints but its times, in which any digits may stand."""
    timeless = replace(decision, stages=tuple(part._replace(milliseconds=0) for part in decision.stages))
    return repr(timeless) + str(timeless.to_dict())


def test_a_decision_does_not_change_and_shows_no_measurement_unasked(world: World, door: Gate) -> None:
    decision = door.verify(world.picture("ada again", liveness=0.7531), "ada")
    with pytest.raises(FrozenInstanceError):
        decision.accepted = False  # type: ignore[misc]
    assert "0.753" not in said_by(decision)
    assert "0.9" not in said_by(decision)
    assert decision.to_dict(measurements=True)["liveness"] == pytest.approx(0.7531)
    assert decision.to_dict(measurements=True)["similarity"] == pytest.approx(0.9)
    assert pickle.loads(pickle.dumps(decision)) == decision
    assert hash(decision) == hash(replace(decision))


REFUSALS: dict[str, tuple[tuple[str, ...], dict[str, Any], str]] = {
    "a photograph": (("ada",), {"liveness": 0.2}, "presentation_attack"),
    "somebody else": (("eve",), {}, "another_person"),
    "somebody else who is enrolled": (("bob",), {}, "another_person"),
    "nobody": (("nobody",), {}, "no_face"),
    "two people": (("ada", "bob"), {}, "several_faces"),
    "ada beside herself": (("ada", "ada"), {}, "several_faces"),
    "far away": (("ada",), {"widths": (19.0,)}, "too_small"),
    "no liveness": (("ada",), {"liveness": None}, "not_measured"),
    "NaN liveness": (("ada",), {"liveness": math.nan}, "not_measured"),
    "infinite liveness": (("ada",), {"liveness": math.inf}, "not_measured"),
    "liveness above 1": (("ada",), {"liveness": 1.0000001}, "not_measured"),
    "NaN similarity": (("ada",), {"matching": math.nan}, "not_measured"),
    "infinite similarity": (("ada",), {"matching": math.inf}, "not_measured"),
    "similarity above 1": (("ada",), {"matching": 1.0000001}, "not_measured"),
    "a broken detector": (("ada",), {"detection": BROKEN}, "error"),
    "a broken liveness": (("ada",), {"liveness": BROKEN}, "error"),
    "a broken matcher": (("ada",), {"matching": BROKEN}, "error"),
    "a sick machine": (("ada",), {"matching": MemoryError()}, "error"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_everybody_else_is_told_why_not(world: World, door: Gate, case: str) -> None:
    faces, answers, reason = REFUSALS[case]
    decision = door.verify(world.picture(*faces, **answers), "ada")
    assert (decision.accepted, decision.reason, decision.handle) == (False, reason, "ada")
    assert not decision
    assert (decision.problem is not None) == (reason == "error")
    assert [outcome for outcome in decision.outcomes.values() if outcome != "passed"] == [
        list(decision.outcomes.values())[-1]
    ]  # no stage is begun after one that has not passed


def test_every_combination_of_what_the_stages_may_do(world: World, door: Gate) -> None:
    """Through the whole gate: it opens where all have passed, and in no other case."""
    doings: dict[str, tuple[tuple[Any, float | None], ...]] = {
        "liveness": ((0.9, 0.5), (0.1, 0.5), (0.9, None), (BROKEN, 0.5), (math.nan, 0.5)),
        "matching": ((0.9, 0.85), (0.1, 0.85), (0.9, None), (BROKEN, 0.85), (math.nan, 0.85)),
        "detection": ((("ada",), 1), (("ada", "ada"), 1), (("nobody",), 1), (("ada",), None)),
    }
    opened = 0
    for alive, alike, (faces, whole) in itertools.product(*doings.values()):
        world.liveness_threshold, world.threshold = alive[1], alike[1]
        picture = world.picture(*faces, liveness=alive[0], matching=alike[0], detection=None if whole else BROKEN)
        for decision in (door.verify(picture, "ada"), door.identify(picture)):
            full = alive == (0.9, 0.5) and alike == (0.9, 0.85) and faces == ("ada",) and bool(whole)
            assert decision.accepted == full
            assert (decision.reason == "accepted") == full
            opened += full
    assert opened == 2


def test_what_broke_is_said_without_a_number_of_anybodys_face(
    world: World, door: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    decision = door.verify(world.picture(matching=BROKEN), "ada")
    assert decision.problem is not None
    assert decision.problem.startswith("ZeroDivisionError in conftest.py, line ")
    assert "The gate's stage 'matching' broke: ZeroDivisionError in conftest.py" in caplog.text
    assert "0.1234" not in caplog.text + said_by(decision)
    said = door.verify(world.picture(detection=ImageError("The camera was pulled out.")), "ada")
    assert (said.reason, said.problem) == ("error", "The camera was pulled out.")


def test_without_a_threshold_nobody_passes_and_the_gate_says_so(
    world: World, enrol: Enrol, caplog: pytest.LogCaptureFixture
) -> None:
    enrol("ada")
    world.problems = ("There is no threshold.",)
    gate = world.gate()
    assert gate.problems == ("There is no threshold.",) * 2  # of the liveness, and of the matcher
    assert "There is no threshold." in caplog.text
    for lacking in ("threshold", "liveness_threshold"):
        kept = getattr(world, lacking)
        for nothing in (None, 0.0, -1.0, math.nan):
            setattr(world, lacking, nothing)
            assert gate.verify(world.picture(), "ada").reason == "no_threshold"
        setattr(world, lacking, kept)
    assert gate.verify(world.picture(), "ada").accepted


def test_wrong_arguments_are_errors_of_the_caller(world: World, door: Gate, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="does not exist"):
        door.verify(tmp_path / "absent.png", "ada")
    with pytest.raises(ImageError, match="RGB uint8"):
        door.identify(np.zeros((4, 4), np.uint8))
    with pytest.raises(InputError, match="cannot be a user's handle"):
        door.verify(world.picture(), " ada")
    with pytest.raises(ConfigurationError, match="would not be used"):
        world.gate(calibration=Calibration())


def test_whom_nobody_enrolled_is_not_even_looked_at(world: World, door: Gate, enrol: Enrol) -> None:
    enrol("eve", retention=date(2026, 3, 1))
    assert door.verify(world.picture("eve"), "eve").accepted
    world.pass_time(86_400)
    seen = world.measured
    assert door.verify(world.picture("eve"), "eve").reason == "enrolment_expired"
    assert door.verify(world.picture("eve"), "nobody").reason == "not_enrolled"
    assert world.measured == seen


def test_templates_of_another_model_are_never_compared(world: World, enrol: Enrol) -> None:
    enrol("ada", "bob")
    world.model = "ef" * 32
    gate = world.gate()
    for decision in (gate.verify(world.picture(), "ada"), gate.identify(world.picture())):
        assert (decision.accepted, decision.reason) == (False, "enrolled_with_another_model")
    assert world.compared == 0
    enrol("ada")
    assert gate.verify(world.picture(), "ada").accepted
    assert gate.identify(world.picture()).handle == "ada"
    assert gate.identify(world.picture("bob")).reason == "unknown"
    world.preprocess_hash = "12" * 32
    assert gate.verify(world.picture(), "ada").reason == "enrolled_with_another_model"
    world.preprocess_hash, world.kind = "cd" * 32, "personal"
    assert gate.verify(world.picture(), "ada").reason == "enrolled_with_another_model"


def test_a_vault_that_does_not_open_is_no_empty_vault(world: World, door: Gate, enrol: Enrol) -> None:
    world.vault.add("zoe", b"damaged", "embedding", world.model, world.preprocess_hash, consent="said")
    assert door.verify(world.picture(), "zoe").reason == "error"
    assert door.identify(world.picture("bob")).handle == "bob"  # one damaged person keeps nobody else out
    with world.vault._access.store.writing() as connection:
        connection.exec_driver_sql("UPDATE ostiary_templates SET added = 'never'")
    assert door.verify(world.picture(), "ada").reason == "error"
    world.pass_time(60)
    assert door.identify(world.picture()).reason == "error"


def test_whoever_is_known_is_recognised(world: World, door: Gate) -> None:
    decision = door.identify(world.picture("bob"))
    assert (decision.accepted, decision.handle) == (True, "bob")
    stranger = door.identify(world.picture("eve"))
    assert (stranger.reason, stranger.handle) == ("unknown", None)
    assert stranger.similarity is not None
    photograph = door.identify(world.picture("bob", liveness=0.1))
    assert (photograph.reason, photograph.handle) == ("presentation_attack", None)


def test_whoever_was_deleted_or_renewed_does_not_pass_though_the_gate_kept_them(
    world: World, door: Gate, enrol: Enrol
) -> None:
    assert door.identify(world.picture("bob")).handle == "bob"
    world.vault.delete("bob")
    assert door.identify(world.picture("bob")).reason == "unknown"
    enrol("bob")
    assert door.identify(world.picture("bob")).reason == "unknown"  # nor is who came in the meantime known at once
    world.pass_time(door.policy.gallery_s)
    assert door.identify(world.picture("bob")).handle == "bob"
    world.vault.renew("bob", b"\0\0\x80\xbf" + bytes(8), "embedding", world.model, "cd" * 32, consent="anew")
    assert door.identify(world.picture("bob")).reason == "unknown"


def test_an_empty_vault_knows_nobody(world: World) -> None:
    assert world.gate().identify(world.picture()).reason == "not_enrolled"


def test_several_faces(world: World, enrol: Enrol, open_policy: Policy) -> None:
    enrol("ada", "bob")
    gates = {word: world.gate(replace(open_policy, several_faces=word)) for word in ("largest", "refuse", "each")}
    both = world.picture("ada", "bob", widths=(80.0, 120.0))
    assert gates["refuse"].identify(both).reason == "several_faces"
    assert gates["largest"].identify(both).handle == "bob"
    assert gates["each"].identify(both).handle == "bob"
    assert gates["largest"].verify(both, "ada").reason == "another_person"
    assert gates["each"].verify(both, "ada").reason == "another_person"
    behind = world.picture("ada", "eve", widths=(120.0, 80.0))
    assert gates["largest"].identify(behind).handle == "ada"
    assert gates["each"].identify(behind).reason == "unknown"  # nobody slips in behind a friend
    beside = world.picture("ada", "bob", liveness=(0.9, 0.1))
    assert gates["each"].identify(beside).reason == "presentation_attack"
    unsure = world.picture("ada", "bob", liveness=(0.9, math.nan))
    assert gates["each"].identify(unsure).reason == "not_measured"
    passer_by = world.picture("ada", "bob", widths=(80.0, 19.0))  # smaller than the smallest face
    assert [gates[word].identify(passer_by).handle for word in gates] == ["ada"] * 3


@pytest.fixture
def clips(world: World, enrol: Enrol, open_policy: Policy) -> Gate:
    """Three frames must agree, and two may be missing."""
    enrol("ada", "bob")
    return world.gate(replace(open_policy, frames=3, missing_allowed=2))


def test_frames_that_agree(world: World, clips: Gate) -> None:
    frames = (world.picture(liveness=alive) for alive in (0.9, 0.4, 0.9, 0.0))
    decision = clips.verify(frames, "ada")
    assert (decision.accepted, decision.frames) == (True, 3)
    assert len(list(frames)) == 1  # no more are taken than are needed
    assert decision.liveness == pytest.approx(0.7908, abs=1e-4)  # the mean of the log-odds 2.197, -0.405, 2.197
    weak = clips.verify((world.picture(liveness=alive) for alive in (0.6, 0.6, 0.2)), "ada")
    assert (weak.accepted, weak.reason) == (False, "presentation_attack")


CLIPS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "too few": ([{}, {}], "too_few_frames"),
    "none": ([], "too_few_frames"),
    "nobody in most": ([{}, {"who": "nobody"}, {"who": "nobody"}, {}, {"who": "nobody"}, {}], "no_face"),
    "too small": ([{"widths": (19.0,)}] * 3, "too_small"),
    "nobody at all": ([{"who": "nobody"}], "no_face"),
    "another person in one": ([{}, {"who": "eve"}, {}], "another_person"),
    "a photograph with a friend's life": (
        [{"liveness": 0.1}, {"liveness": 0.1}, {"who": "eve", "liveness": 1.0}],
        "another_person",
    ),
    "no number in one": ([{}, {"liveness": math.nan}, {}], "not_measured"),
    "no similarity in one": ([{}, {"matching": math.nan}, {}], "not_measured"),
    "broken in one": ([{}, {"matching": BROKEN}, {}], "error"),
    "broken before a good one": ([{"detection": BROKEN}, {}, {}, {}], "error"),
}


@pytest.mark.parametrize("case", CLIPS)
def test_frames_that_do_not_agree(world: World, clips: Gate, case: str) -> None:
    frames, reason = CLIPS[case]
    pictures = [
        world.picture(frame.get("who", "ada"), **{k: v for k, v in frame.items() if k != "who"})
        for frame in frames
    ]
    decision = clips.verify(iter(pictures), "ada")
    assert (decision.accepted, decision.reason) == (False, reason)


def test_frames_of_several_people_are_no_one(world: World, clips: Gate) -> None:
    decision = clips.identify([world.picture("ada"), world.picture("bob"), world.picture("ada")])
    assert (decision.reason, decision.handle) == ("frames_disagree", None)


def test_frames_without_a_face_are_passed_over(world: World, clips: Gate) -> None:
    frames = [world.picture(who) for who in ("nobody", "ada", "ada", "nobody", "ada")]
    assert clips.verify(frames, "ada").accepted


def test_a_source_that_breaks_is_a_refusal(world: World, clips: Gate) -> None:
    def camera() -> Iterator[Any]:
        yield world.picture()
        raise InputError("The camera was pulled out.")

    decision = clips.verify(camera(), "ada")
    assert (decision.accepted, decision.reason, decision.problem) == (False, "error", "The camera was pulled out.")
    assert clips.verify([world.picture(), np.zeros((4, 4), np.uint8)], "ada").reason == "error"


def test_nothing_reaches_a_threshold_above_one(world: World, clips: Gate) -> None:
    world.liveness_threshold = 1.5
    assert clips.verify([world.picture(liveness=1.0)] * 3, "ada").reason == "presentation_attack"


@pytest.fixture
def strict(open_policy: Policy) -> Policy:
    """Five refusals, then half a minute."""
    return replace(open_policy, lockout=LockoutRules(refusals=5, pause_s=30))


def test_who_fails_too_often_is_locked_out_at_every_door(world: World, enrol: Enrol, strict: Policy) -> None:
    enrol("ada", "bob")
    one, other = world.gate(strict), world.gate(strict, door="other")
    for gate, picture in zip(
        (one, other, one, other, one), (world.picture("eve"), world.picture(liveness=0.1)) * 3, strict=False
    ):
        assert gate.verify(picture, "ada").reason in ("another_person", "presentation_attack")
    seen = world.measured
    locked = other.verify(world.picture(), "ada")
    assert (locked.accepted, locked.reason, locked.retry_s) == (False, "locked_out", 30)
    assert world.measured == seen
    assert one.verify(world.picture("bob"), "bob").accepted  # another person is not
    assert one.identify(world.picture()).accepted  # nor who claims nothing
    world.pass_time(29.5)
    assert one.verify(world.picture(), "ada").retry_s == pytest.approx(0.5)
    world.pass_time(0.5)
    assert one.verify(world.picture(), "ada").accepted


def test_only_a_judged_face_is_a_failure(world: World, enrol: Enrol, strict: Policy) -> None:
    enrol("ada")
    gate = world.gate(strict)
    for _ in range(6):
        assert gate.verify(world.picture("nobody"), "ada").reason == "no_face"
        assert gate.verify(world.picture(liveness=math.nan), "ada").reason == "not_measured"
        assert gate.verify(world.picture(matching=BROKEN), "ada").reason == "error"
    for _ in range(4):
        gate.verify(world.picture("eve"), "ada")
    assert gate.verify(world.picture(), "ada").accepted  # and forgets the four
    for _ in range(4):
        gate.verify(world.picture("eve"), "ada")
    assert gate.verify(world.picture(), "ada").accepted


def test_where_nobody_is_claimed_the_door_is_locked(world: World, enrol: Enrol, strict: Policy) -> None:
    enrol("ada")
    gate, other = world.gate(strict), world.gate(strict, door="other")
    for _ in range(5):
        assert gate.identify(world.picture("eve")).reason == "unknown"
    assert gate.identify(world.picture()).reason == "locked_out"
    assert other.identify(world.picture()).accepted
    assert gate.verify(world.picture(), "ada").accepted


def test_parallel_requests_get_no_more_tries(world: World, enrol: Enrol, strict: Policy) -> None:
    enrol("ada")
    gate = world.gate(strict)
    pictures = [world.picture("eve") for _ in range(12)]
    with ThreadPoolExecutor(6) as pool:
        decisions = list(pool.map(lambda picture: gate.verify(picture, "ada"), pictures))
    assert sorted(one.reason for one in decisions) == ["another_person"] * 5 + ["locked_out"] * 7
    assert world.measured == 5


def test_a_lock_out_that_cannot_be_read_is_a_refusal(world: World, enrol: Enrol, strict: Policy) -> None:
    enrol("ada")
    gate = world.gate(strict)
    with world.vault._access.store.writing() as connection:
        connection.exec_driver_sql("DROP TABLE ostiary_tries")
    decision = gate.verify(world.picture(), "ada")
    assert (decision.accepted, decision.reason) == (False, "error")
    assert decision.outcomes == {"lockout": "error"}


def logged(log: AuditLog) -> list[tuple[str, str | None, dict[str, Any]]]:
    return [(one.event, one.user, dict(one.details)) for one in list(log.entries())[1:]]


def test_every_decision_about_a_face_is_logged(world: World, enrol: Enrol, strict: Policy, tmp_path: Path) -> None:
    enrol("ada")
    log = AuditLog(tmp_path / "audit.jsonl", world.vault.log_key)
    gate = world.gate(replace(strict, lockout=LockoutRules(refusals=1)), audit=log, door="north")
    assert gate.verify(world.picture(), "ada").outcomes["log"] == "passed"
    gate.identify(world.picture("nobody"))
    gate.identify(world.picture("eve"))
    gate.verify(world.picture(liveness=0.1), "ada")
    gate.verify(world.picture(), "ada")
    gate.identify(world.picture())
    by = {"door": "north", "mode": "verify"}
    assert logged(log) == [
        ("accepted", "ada", {"reason": "accepted", **by, "frames": 1}),
        ("refused", None, {"reason": "unknown", **by, "mode": "identify", "frames": 1}),
        ("refused", "ada", {"reason": "presentation_attack", **by, "frames": 1}),
        ("locked_out", "ada", {"reason": "locked_out", **by, "frames": 0}),
        ("locked_out", None, {"reason": "locked_out", **by, "mode": "identify", "frames": 0}),
    ]
    world.gate(replace(strict, lockout=None, log_unjudged=True), audit=log).verify(world.picture("nobody"), "ada")
    assert logged(log)[-1][2]["reason"] == "no_face"
    log.verify()


def test_what_cannot_be_logged_does_not_open(world: World, enrol: Enrol, tmp_path: Path) -> None:
    enrol("ada")
    (tmp_path / "audit.jsonl").write_text("no log\n")
    gate = world.gate(audit=AuditLog(tmp_path / "audit.jsonl"))
    decision = gate.verify(world.picture(), "ada")
    assert (decision.accepted, decision.reason) == (False, "error")
    assert decision.outcomes["log"] == "error"
    assert decision.outcomes["matching"] == "passed"


def test_measuring_everything_changes_no_answer(world: World, enrol: Enrol, open_policy: Policy) -> None:
    enrol("ada")
    quick, thorough = world.gate(), world.gate(replace(open_policy, thorough=True))
    attack = world.picture(liveness=0.1)
    assert (quick.verify(attack, "ada").similarity, quick.verify(attack, "ada").reason) == (
        None,
        "presentation_attack",
    )
    assert thorough.verify(attack, "ada").similarity == pytest.approx(1)
    for picture in (attack, world.picture(), world.picture("eve"), world.picture("eve", liveness=0.1)):
        decisions = [gate.verify(picture, "ada") for gate in (quick, thorough)]
        assert decisions[0].reason == decisions[1].reason


def test_nothing_of_a_face_is_printed_or_logged(
    world: World, door: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    decisions: list[Decision] = [
        door.verify(world.picture("ada again", liveness=0.987654), "ada"),
        door.identify(world.picture("ada again", liveness=0.012345)),
    ]
    shown = caplog.text + repr(door) + "".join(map(said_by, decisions))
    for secret in ("0.9876", "0.0123", "0.89999", "0.9000", "0.6"):
        assert secret not in shown


def test_the_page_explains_every_reason_and_every_setting() -> None:
    page = (Path(__file__).parents[2] / "docs" / "gate.md").read_text("utf-8")
    reasons = {word for part in get_args(Reason) for word in (get_args(part) or (part,))}
    assert {"accepted", "locked_out", "too_dark"} < reasons
    settings = {entry.name for entry in fields(Policy)}
    assert {name for name in reasons | settings if f"`{name}`" not in page} == set()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"several_faces": "all"}, "'all' says nothing about several faces"),
        ({"smallest_face": -1}, "cannot be -1 pixels wide"),
        ({"smallest_face": math.nan}, "cannot be nan pixels wide"),
        ({"frames": 0}, "0 frames"),
        ({"missing_allowed": -1}, "-1 missing ones"),
        ({"several_faces": "each", "frames": 2}, "only one face can be followed"),
        ({"gallery_s": math.inf}, "cannot be kept for inf s"),
    ],
)
def test_policies_that_make_no_sense(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        Policy(**changes)
