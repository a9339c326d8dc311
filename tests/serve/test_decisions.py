"""What the server answers to faces: decisions with status 200, as the gate makes them, and no more than that."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

from ostiary.gate.decision import Reason
from ostiary.serve.words import HELP

Serve = Callable[..., Any]


def test_who_is_enrolled_passes_and_a_refused_face_is_an_answer(client: Any) -> None:
    passed = client.verify("ada")
    assert passed.status_code == 200
    answer = passed.json()
    assert (answer["accepted"], answer["reason"], answer["handle"]) == (True, "accepted", "ada")
    assert answer["sentence"] == "Welcome, ada. You may pass."
    assert set(answer["outcomes"].values()) == {"passed"}
    for who, user, reason in (
        ("bob", "ada", "another_person"),
        ("attack", "ada", "presentation_attack"),
        ("nobody", "ada", "no_face"),
        ("ada", "eve", "not_enrolled"),
    ):
        refused = client.verify(who, user)
        assert (refused.status_code, refused.json()["accepted"], refused.json()["reason"]) == (200, False, reason)


def test_identify_says_who(client: Any) -> None:
    assert client.post("/identify", "ada").json()["handle"] == "ada"
    unknown = client.post("/identify", "bob").json()
    assert (unknown["accepted"], unknown["handle"], unknown["reason"]) == (False, None, "unknown")


def test_measurements_are_asked_for_by_name(client: Any) -> None:
    plain = client.verify("ada").json()
    assert plain["liveness"] is plain["similarity"] is None
    more = client.verify("ada", measurements=True).json()
    assert (more["liveness"], more["similarity"]) == (pytest.approx(0.9876), pytest.approx(1))


def test_check_says_whether_it_lives_and_not_who_it_is(client: Any) -> None:
    alive = client.post("/check", "bob").json()
    assert (alive["fit"], alive["accepted"], alive["reason"]) == (True, True, "bona_fide")
    assert alive["size"] == [256, 256]
    assert alive["quality"]["face_width"] == pytest.approx(101.6, abs=3)
    assert alive["liveness"] is None
    attack = client.post("/check", "attack").json()
    assert (attack["fit"], attack["accepted"], attack["reason"]) == (True, False, "presentation_attack")
    nobody = client.post("/check", "nobody").json()
    assert (nobody["fit"], nobody["accepted"], nobody["faces"]) == (False, None, 0)
    assert nobody["sentence"] == "No face is in view. Step in front of the camera."


def test_a_look_does_not_tell_an_attack_from_a_person(client: Any) -> None:
    looks = [client.post("/check", who, query={"liveness": False}).json() for who in ("ada", "attack")]
    for look in looks:
        assert (look["fit"], look["accepted"], look["reason"]) == (True, None, "fit")
    assert client.post("/check", "ada", "ada").status_code == 400


def test_frames_of_a_presentation_must_agree(serve: Serve) -> None:
    client = serve({"frames": 2})
    client.enrol()
    assert client.post("/verify", "ada", "ada", user="ada").json()["accepted"]
    assert client.post("/verify", "ada", "bob", user="ada").json()["reason"] == "another_person"
    assert client.post("/verify", "ada", user="ada").json()["reason"] == "too_few_frames"


def test_the_dial_turns_for_one_request(client: Any) -> None:
    assert client.verify("ada", configuration="LLL").json()["configuration"] == "LLL"
    assert client.verify("ada").json()["configuration"] == "HHH"
    unknown = client.verify("ada", configuration="ZZZ")
    assert (unknown.status_code, "There is no configuration 'ZZZ'" in unknown.json()["error"]) == (400, True)
    listed = client.get("/configurations").json()
    assert [(one["word"], one["worthwhile"]) for one in listed["configurations"]] == [
        ("LLL", True),
        ("HLH", False),  # slower than LLL and erred more
        ("HHH", True),
    ]


def test_parallel_requests_get_no_more_tries_than_there_are(serve: Serve) -> None:
    client = serve({"refusals": 3, "seconds": 0.02}, threads=4, waiting=40)
    client.enrol()
    with ThreadPoolExecutor(8) as pool:
        answers = [one.json() for one in pool.map(client.verify, ["bob"] * 16)]
    assert sorted(one["reason"] for one in answers) == ["another_person"] * 3 + ["locked_out"] * 13
    locked = client.verify("ada").json()
    assert (locked["accepted"], locked["reason"]) == (False, "locked_out")
    assert 0 < locked["retry_s"] <= 30
    assert "Try again in" in locked["sentence"]


def test_no_photo_touches_the_disk(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SpooledTemporaryFile, "rollover", lambda _: pytest.fail("a photo was written to a file"))
    noise = np.random.default_rng(0).integers(0, 256, (1100, 1100, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG", compress_level=0)
    assert len(file.getvalue()) > 3 * 2**20  # the usual parser would have written it
    assert client.post("/verify", file.getvalue(), user="ada").status_code == 200


def test_decisions_are_in_the_audit_log(serve: Serve, tmp_path: Path) -> None:
    client = serve({"log": tmp_path / "audit.jsonl"})
    client.enrol()
    client.verify("bob")
    client.http.delete("/users/ada")
    events = [json.loads(line)["event"] for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert events == ["log_started", "enrolled", "refused", "deleted"]


def test_every_reason_has_words_for_whoever_stands_there() -> None:
    assert set(HELP) == {word for part in get_args(Reason) for word in get_args(part)}
