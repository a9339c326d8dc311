"""``watch --on-decision``: who is told, and that a receiver which hangs keeps nobody waiting."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from ostiary.errors import ConfigurationError
from ostiary.gate.sources import Frame

Run = Callable[..., Any]
At = tuple[str, ...]


@pytest.fixture
def ada(run: Run, at: At, photo: Callable[[str], Path], pixels: Any, monkeypatch: pytest.MonkeyPatch) -> At:
    """Ada is enrolled, comes, goes, and somebody holds up her picture."""
    monkeypatch.delenv("OSTIARY_ON_DECISION", raising=False)
    assert run("enrol", "ada", photo("ada"), "--consent", "said", *at).exit_code == 0

    def frames(source: object) -> Iterator[Frame]:
        for index, name in enumerate(("nobody", "ada", "nobody", "attack")):
            yield Frame(pixels[name], index, index / 10, 0)

    monkeypatch.setattr("ostiary.gate.sources.frames", frames)
    return at


def test_each_decision_is_told(run: Run, ada: At) -> None:
    told: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/door"
        shown = run("watch", "--json", "--rest", "0.1", "--door", "north", "--on-decision", address, *ada)
        again = run("watch", "--rest", "0.1", *ada, OSTIARY_ON_DECISION=f"{address}#only=accepted")
        server.shutdown()
        thread.join()
    assert (shown.exit_code, again.exit_code) == (0, 0)
    assert [(one["door"], one["event_type"], one["reason"], one["handle"]) for one in told] == [
        ("north", "accepted", "accepted", "ada"),
        ("north", "refused", "presentation_attack", None),
        ("door", "accepted", "accepted", "ada"),
    ]
    assert "liveness" not in told[0]
    assert "similarity" not in told[0]


def test_a_receiver_that_hangs_keeps_nobody_waiting(run: Run, ada: At, monkeypatch: pytest.MonkeyPatch) -> None:
    decided: list[float] = []
    real = json.dumps

    def noted(*given: Any, **named: Any) -> str:
        decided.append(time.perf_counter())
        return real(*given, **named)

    monkeypatch.setattr("ostiary.hooks.dispatcher.Hooks.close", lambda _: None)  # the end may wait a moment
    monkeypatch.setattr("ostiary.cli.watch.json_module.dumps", noted)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        begun = time.perf_counter()
        shown = run("watch", "--json", "--rest", "0.1", "--on-decision", address, *ada)
    assert [json.loads(line)["accepted"] for line in shown.stdout.splitlines()] == [True, False]
    assert decided[-1] - begun < 5, "a try to tell takes 5 seconds, and there are two decisions"


def test_an_address_that_leads_nowhere_is_told_before_the_door_opens(run: Run, ada: At) -> None:
    with pytest.raises(ConfigurationError, match="begins with one of http:"):
        run("watch", "--on-decision", "doorbell", *ada)
