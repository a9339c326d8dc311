"""Limits: rates that several processes share, sizes before anything is decoded, and a queue that has an end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ostiary.serve.limits import RateLimit, make_table

Serve = Callable[..., Any]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_and_then_a_steady_rate() -> None:
    clock = Clock()
    rates = RateLimit(2, 3, clock=clock)
    assert [rates.wait("10.0.0.1") for _ in range(3)] == [0, 0, 0]
    assert rates.wait("10.0.0.1") == pytest.approx(0.5)
    clock.now += 0.5
    assert rates.wait("10.0.0.1") == 0
    assert rates.wait("10.0.0.1") == pytest.approx(0.5)
    assert rates.wait("10.0.0.2") == 0  # nobody waits for others
    clock.now += 100
    assert [rates.wait("10.0.0.1") > 0 for _ in range(4)] == [False, False, False, True]


def test_processes_share_a_table_and_a_network_one_rate(tmp_path: Path) -> None:
    make_table(tmp_path / "rates")
    clock = Clock()
    first, second = (RateLimit(1, 2, table=tmp_path / "rates", clock=clock) for _ in range(2))
    assert first.wait("2001:db8::1") == 0
    assert second.wait("2001:db8::2") == 0
    assert first.wait("2001:db8::3") == pytest.approx(1)
    assert first.wait("2001:db8:0:1::1") == 0


def test_too_many_requests_are_told_when_to_come_back(serve: Serve) -> None:
    client = serve(rate=0.5, burst=2)
    answers = [client.get("/health") for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 200, 429, 429]
    assert 1 <= int(answers[3].headers["retry-after"]) <= 2
    assert answers[3].json() == {"error": "Too many requests from this address: ask less often."}


def test_a_large_body_is_refused_by_its_header_and_by_its_bytes(serve: Serve) -> None:
    client = serve(largest_body=10_000)
    assert client.post("/verify", b"\xff\xd8\xff" + bytes(20_000), user="ada").status_code == 413
    headers = {"content-type": "multipart/form-data; boundary=x"}
    unknown_length = client.http.post("/verify", content=iter([bytes(6000)] * 2), headers=headers)
    assert unknown_length.status_code == 413
    assert "10000 bytes" in unknown_length.json()["error"]


def test_a_body_that_does_not_arrive_is_given_up(serve: Serve) -> None:
    client = serve(body_s=0.2)
    host, port = client.http.base_url.host, client.http.base_url.port
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(
            b"POST /verify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x"
        )
        assert b" 408 " in connection.recv(4096).split(b"\r\n")[0]


def test_pixels_are_counted_before_they_are_decoded(serve: Serve) -> None:
    client = serve(max_pixels=256 * 256 - 1)
    answer = client.post("/verify", "ada", user="ada")
    assert (answer.status_code, "256x256 pixels" in answer.json()["error"]) == (400, True)
    assert serve(max_pixels=256 * 256).post("/verify", "ada", user="ada").status_code == 200


def test_whoever_comes_when_the_queue_is_full_is_sent_away(serve: Serve) -> None:
    client = serve({"seconds": 0.4}, threads=1, waiting=1)
    client.enrol()
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(client.verify, ["ada"] * 6))
    statuses = sorted(one.status_code for one in answers)
    assert statuses[0] == 200
    assert statuses[-1] == 503
    busy = next(one for one in answers if one.status_code == 503)
    assert int(busy.headers["retry-after"]) >= 1
    assert busy.json()["error"].startswith("The server is busy")
    assert client.verify("ada").json()["accepted"]  # and all is well again


def test_others_are_answered_while_a_face_is_judged(serve: Serve) -> None:
    client = serve({"seconds": 0.5})
    client.enrol()
    slow = threading.Thread(target=client.verify, args=("ada",))
    slow.start()
    time.sleep(0.1)
    begun = time.perf_counter()
    assert client.get("/health").status_code == 200
    assert time.perf_counter() - begun < 0.4
    slow.join()
