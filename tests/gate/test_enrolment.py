"""Enrolment takes good photos of one living person, and keeps a template of them and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ostiary import read_image
from ostiary.errors import ImageError, InputError, NotEnrolledError
from ostiary.gate.audit import AuditLog
from ostiary.gate.gate import Gate

World = Any  # of conftest.py
Enrol = Callable[..., None]


@pytest.fixture(autouse=True)
def good(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fakes' pictures have the quality of a good photo: what is asked for is tested below by a real one."""
    monkeypatch.setattr("ostiary.gate.examination.measure", lambda *_: None)
    monkeypatch.setattr("ostiary.gate.examination.causes", lambda *_: ())


def test_a_person_is_enrolled_from_several_photos(world: World, tmp_path: Path) -> None:
    gate = world.gate()
    photos = [world.picture("ada"), world.picture("ada again")]
    report = gate.enrol("ada", photos, consent="signed, folder 7", retention=date(2027, 3, 1))
    assert (report.enrolled, report.reason, bool(report)) == (True, "enrolled", True)
    assert report.sentence == "'ada' is enrolled from 2 photos; no photo is kept."
    assert [photo.accepted for photo in report.photos] == [True, True]
    stored = world.vault.open("ada")
    assert (stored.consent, stored.retention) == ("signed, folder 7", date(2027, 3, 1))
    (template,) = stored.templates
    assert (template.kind, template.model, template.preprocess_hash) == ("embedding", "ab" * 32, "cd" * 32)
    np.testing.assert_allclose(
        np.frombuffer(template.template, "<f4"), np.array([1.8, 0.6, 0]) / np.sqrt(3.6), 1e-6
    )
    decision = gate.verify(world.picture("ada again"), "ada")
    assert decision.accepted
    assert decision.similarity == pytest.approx((1 + 1.8 / np.sqrt(3.6)) / 2)


REFUSED: dict[str, tuple[tuple[str, ...], dict[str, Any], str, str]] = {
    "a photograph of a photograph": (("ada",), {"liveness": 0.1}, "presentation_attack", "a print or a screen"),
    "nobody": (("nobody",), {}, "no_face", "no face was found"),
    "two people": (("ada", "bob"), {}, "several_faces", "several faces"),
    "far away": (("ada",), {"widths": (19.0,)}, "too_small", "the face is too small"),
    "no number": (("ada",), {"liveness": float("nan")}, "not_measured", "gave no number"),
    "broken": (("ada",), {"liveness": ZeroDivisionError()}, "error", "a stage broke"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_photo_that_is_refused_at_the_door_is_refused_here(world: World, case: str) -> None:
    faces, answers, reason, said = REFUSED[case]
    report = world.gate().enrol("ada", [world.picture(), world.picture(*faces, **answers)], consent="said")
    assert (report.enrolled, report.reason) == (False, reason)
    assert report.sentence.startswith("Photo 2 cannot be enrolled: ")
    assert said in report.sentence
    assert [photo.accepted for photo in report.photos] == [True, False]
    assert world.vault.list() == ()


def test_quality_is_asked_for_whatever_the_policy_says(
    world: World, monkeypatch: pytest.MonkeyPatch, pictures: Path
) -> None:
    monkeypatch.undo()
    dark = (read_image(pictures / "astronaut.png") * 0.1).astype(np.uint8)
    report = world.gate(detector=None).enrol("ada", dark, consent="said")
    assert (report.reason, report.photos[0].causes) == ("too_dark", ("too_dark",))
    assert report.sentence == "Photo 1 cannot be enrolled: the face is too dark."


def test_liveness_is_not_asked_for_where_somebody_watched(world: World) -> None:
    gate = world.gate()
    assert not gate.enrol("ada", world.picture(liveness=0.1), consent="said")
    assert world.measured == 1
    assert gate.enrol("ada", world.picture(liveness=0.1), consent="said", watched=True)
    assert world.measured == 1


def test_photos_that_disagree_are_refused(world: World) -> None:
    gate = world.gate()
    report = gate.enrol("ada", [world.picture(who) for who in ("ada", "eve", "ada again")], consent="said")
    assert (report.enrolled, report.reason) == (False, "photos_disagree")
    assert report.sentence == "Photo 2 shows another face than the others: enrol photos of one person."
    assert [photo.reason for photo in report.photos] == ["accepted", "photos_disagree", "accepted"]
    two = gate.enrol("ada", [world.picture("ada"), world.picture("eve")], consent="said")
    assert two.sentence == "The two photos show different faces: enrol photos of one person."
    world.threshold = None
    unknown = gate.enrol("ada", [world.picture("ada"), world.picture("ada")], consent="said")
    assert (unknown.enrolled, unknown.reason) == (False, "no_threshold")
    assert world.vault.list() == ()


def test_nobody_takes_over_a_handle(world: World, enrol: Enrol) -> None:
    enrol("ada")
    gate = world.gate()
    report = gate.enrol("ada", world.picture("eve"), consent="said")
    assert (report.enrolled, report.reason) == (False, "already_enrolled")
    assert gate.enrol("ada", world.picture("ada again"), consent="with glasses")
    assert len(world.vault.open("ada").templates) == 2
    assert gate.enrol("ada", world.picture("eve"), consent="another person", renew=True)
    assert len(world.vault.open("ada").templates) == 1
    assert gate.verify(world.picture("eve"), "ada").accepted
    assert gate.verify(world.picture("ada"), "ada").reason == "another_person"
    with pytest.raises(NotEnrolledError):
        gate.enrol("zoe", world.picture("bob"), consent="said", renew=True)


def test_after_a_change_of_model_a_renewal_is_asked_for(world: World, enrol: Enrol) -> None:
    enrol("ada", model="ef" * 32)
    gate = world.gate()
    report = gate.enrol("ada", world.picture(), consent="said")
    assert (report.enrolled, report.reason) == (False, "enrolled_with_another_model")
    assert "renew it" in report.sentence
    assert gate.enrol("ada", world.picture(), consent="said", renew=True)
    assert gate.verify(world.picture(), "ada").accepted


def test_one_face_has_one_handle_unless_it_is_meant(world: World, enrol: Enrol) -> None:
    enrol("ada", "bob")
    gate = world.gate()
    report = gate.enrol("eva", world.picture("ada again"), consent="said")
    assert (report.enrolled, report.reason, report.other) == (False, "enrolled_as_another", "ada")
    assert report.to_dict()["other"] == "ada"
    assert not gate.enrol("bob", world.picture("ada"), consent="said", renew=True)
    assert gate.enrol("eva", world.picture("ada again"), consent="said", duplicates=False)


def test_who_was_enrolled_here_is_known_at_once(world: World, door: Gate) -> None:
    assert door.identify(world.picture("eve")).reason == "unknown"
    assert door.enrol("eve", world.picture("eve"), consent="said")
    assert door.identify(world.picture("eve")).handle == "eve"


def test_no_photo_and_no_template_is_anywhere_but_sealed(world: World, tmp_path: Path) -> None:
    buffer = tmp_path / "photo.png"
    Image.fromarray(world.picture()).save(buffer)
    photo = buffer.read_bytes()
    buffer.unlink()
    report = world.gate().enrol("ada", photo, consent="said")
    assert report.enrolled
    template = world.vault.open("ada").templates[0].template
    disk = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert photo not in disk
    assert template not in disk
    assert str(np.frombuffer(template, "<f4")[0]) not in repr(report) + str(report.to_dict())


def test_what_was_enrolled_is_logged(world: World, tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "log" / "audit.jsonl")
    gate = world.gate(audit=log)
    gate.enrol("ada", world.picture(), consent="said")
    gate.enrol("ada", world.picture(), consent="said", renew=True, watched=True)
    entries = [(one.event, one.user, one.details["watched"]) for one in list(log.entries())[1:]]
    assert entries == [("enrolled", "ada", False), ("renewed", "ada", True)]


def test_wrong_arguments(world: World) -> None:
    gate = world.gate()
    for user, photos, error, sentence in (
        ("ada", [], InputError, "There is no photo"),
        ("ada", ["absent.jpg"], ImageError, "does not exist"),
        (" ", world.picture(), InputError, "cannot be a user's handle"),
    ):
        with pytest.raises(error, match=sentence):
            gate.enrol(user, photos, consent="said")
    with pytest.raises(InputError, match="consent note is empty"):
        gate.enrol("ada", world.picture(), consent=" ")
    assert world.vault.list() == ()
