"""A server that tells its decisions; whoever is told can neither delay an answer nor change it."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from ostiary.errors import ConfigurationError
from ostiary.serve.settings import ServerSettings


def test_decisions_are_told_and_looks_and_enrolments_are_not(serve: Callable[..., Any]) -> None:
    told: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Receiver) as receiver:
        thread = threading.Thread(target=receiver.serve_forever, args=(0.01,))
        thread.start()
        client = serve(on_decision=(f"http://127.0.0.1:{receiver.server_port}/",))
        assert client.enrol().status_code == 201
        assert client.post("/check", "ada").status_code == 200
        assert client.verify("ada", measurements="true").json()["similarity"] is not None
        assert not client.verify("bob").json()["accepted"]
        assert client.post("/identify", "ada").json()["accepted"]
        deadline = time.monotonic() + 60
        while len(told) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        count = 'ostiary_hook_events_total{hook="webhook 127.0.0.1",outcome="sent"} 3.0'
        while count not in client.get("/metrics").text:  # the last answer may still be on its way
            assert time.monotonic() < deadline
            time.sleep(0.01)
        receiver.shutdown()
        thread.join()
    assert [(one["reason"], one["handle"], one["door"]) for one in told] == [
        ("accepted", "ada", "door"),
        ("another_person", "ada", "door"),
        ("accepted", "ada", "door"),
    ]
    assert not any("similarity" in one for one in told)


def test_a_receiver_that_hangs_delays_no_answer(serve: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        client = serve({"refusals": 10**6}, on_decision=(address,))
        assert client.enrol().status_code == 201
        begun = time.perf_counter()
        reasons = [client.verify("bob").json()["reason"] for _ in range(3)]
        assert reasons == ["another_person"] * 3
        assert time.perf_counter() - begun < 5, "a try to tell takes 5 seconds"


def test_what_cannot_be_told_keeps_the_server_from_starting() -> None:
    with pytest.raises(ConfigurationError, match="is without TLS"):
        ServerSettings(on_decision=("http://door.example/",))
    with pytest.raises(ConfigurationError, match="held by one process alone"):
        ServerSettings(on_decision=("gpio:17",), workers=2)
    settings = ServerSettings(on_decision=("https://door.example/hidden", "gpio:17"))
    assert "hidden" not in repr(settings)
