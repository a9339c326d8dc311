"""What the server says of itself, what it counts, and what its log does not say."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from ostiary.serve.door import Door

Serve = Callable[..., Any]


def test_about_and_thresholds(client: Any) -> None:
    about = client.get("/about").json()
    assert (about["door"], about["role"], about["frames"]) == ("door", "admin", 1)
    known = client.get("/thresholds").json()
    assert (known["liveness_origin"], known["matching_origin"]) == ("weights", "calibration")
    assert known["liveness"][0]["word"] == "HHH"
    assert known["matching"]["target"] == "fmr=0.001"


def test_counters(own_client: Any) -> None:
    client = own_client
    client.verify("ada")
    client.verify("bob")
    client.post("/check", "nobody")
    client.get("/users/somebody")
    text = client.get("/metrics").text
    for line in (
        'ostiary_decisions_total{question="verify",reason="accepted"} 1.0',
        'ostiary_decisions_total{question="verify",reason="another_person"} 1.0',
        'ostiary_decisions_total{question="check",reason="no_face"} 1.0',
        'ostiary_requests_total{method="POST",route="/verify",status="200"} 2.0',
        'ostiary_requests_total{method="GET",route="/users/{user}",status="404"} 1.0',
        'ostiary_stage_seconds_count{stage="matching"} 2.0',
    ):
        assert line in text
    assert "ada" not in text
    assert "somebody" not in text


def test_the_log_has_a_number_and_a_reason_but_no_handle(
    own_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client = own_client
    caplog.set_level(logging.INFO, "ostiary.serve")
    answer = client.verify("ada", "ada")
    client.get("/users/ada")
    client.http.delete("/users/ada")
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("ostiary.serve")]
    number = answer.headers["x-request-id"]
    assert any(f"request={number} POST /verify 200" in line and "reason=accepted" in line for line in lines)
    assert any("GET /users/{user} 200" in line for line in lines)
    numbers, said = zip(*(line.split(maxsplit=1) for line in lines), strict=True)
    assert len(set(numbers)) == len(lines)
    assert "ada" not in "\n".join(said)  # in a number drawn at random it may stand


def test_what_breaks_is_told_without_its_text(
    client: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("0.123456 of a face")

    monkeypatch.setattr(Door, "look", broken)
    answer = client.post("/check", "ada")
    assert answer.status_code == 500
    assert answer.json()["error"].startswith("Something broke here")
    assert "ZeroDivisionError in test_state.py" in caplog.text
    assert "0.123456" not in caplog.text + answer.text
    assert client.get("/health").status_code == 200
