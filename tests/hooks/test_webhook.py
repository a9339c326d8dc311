"""Webhooks against a real server of this machine: what arrives, how it is signed, and what bad answers come to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ostiary.errors import ConfigurationError
from ostiary.hooks.dispatcher import Counts, Dispatcher
from ostiary.hooks.hook import HookError
from ostiary.hooks.webhook import Webhook, secret_of, signature

Make = Callable[..., Any]
SECRET = b"twenty-four bytes at least"


class Receiver:
    """A server that answers with what its list says, then with 200; it keeps what came."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status = receiver.answers.pop(0) if receiver.answers else 200
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", f"{receiver.address}/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    thread = threading.Thread(target=found.server.serve_forever, args=(0.01,))
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


def test_an_event_arrives_signed(receiver: Receiver, event: Make) -> None:
    sent = event()
    Webhook(f"{receiver.address}/door?of=house", secret=SECRET, clock=lambda: 1767225600.9).send(sent, 10)
    ((path, headers, body),) = receiver.requests
    assert path == "/door?of=house"
    assert json.loads(body) == json.loads(sent.body())
    assert headers["content-type"] == "application/json"
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == (sent.id, "1767225600")
    assert "liveness" not in json.loads(body)
    expected = hmac.new(SECRET, f"{sent.id}.1767225600.".encode() + body, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(expected).decode()


def test_without_a_secret_it_is_unsigned_and_measurements_must_be_asked_for(
    receiver: Receiver, event: Make
) -> None:
    Webhook(receiver.address, measurements=True).send(event(), 10)
    ((path, headers, body),) = receiver.requests
    assert (path, "webhook-signature" in headers) == ("/", False)
    assert json.loads(body)["liveness"] == 0.8125


def test_the_example_of_the_specification() -> None:
    """Key, id, time, body and signature of the example that Standard Webhooks gives."""
    secret = secret_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_secrets(event: Make) -> None:
    assert secret_of("just some characters") == b"just some characters"
    with pytest.raises(ConfigurationError, match="is no Base64"):
        secret_of("whsec_?")
    with pytest.raises(ConfigurationError, match="could be guessed"):
        Webhook("https://door.example", secret=b"short")
    hook = Webhook("https://door.example/secret-path", secret=SECRET)
    assert "secret" not in repr(hook) + hook.name


@pytest.mark.parametrize(
    ("status", "final"),
    [(302, True), (400, True), (404, True), (408, False), (429, False), (500, False), (503, False)],
)
def test_other_answers(receiver: Receiver, event: Make, status: int, final: bool) -> None:
    receiver.answers = [status]
    with pytest.raises(HookError, match=f"answered with status {status}") as found:
        Webhook(receiver.address).send(event(), 10)
    assert found.value.final == final
    assert len(receiver.requests) == 1, "no redirect is followed"


def test_a_server_that_is_away_or_silent(event: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and says nothing
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(HookError, match="does not answer"):
            Webhook(address).send(event(), 0.05)
    with pytest.raises(HookError, match=r"webhook 127\.0\.0\.1 does not answer \(Connection refused\)") as found:
        Webhook(address).send(event(), 10)
    assert not found.value.final


def test_a_server_that_comes_back_is_told_with_a_new_signature(
    receiver: Receiver, event: Make, until: Make
) -> None:
    times = iter((100.0, 200.0))
    receiver.answers = [503]
    dispatcher = Dispatcher(
        Webhook(receiver.address, secret=SECRET, clock=lambda: next(times)), first_pause_s=0.001
    )
    dispatcher.put(event())
    until(lambda: dispatcher.counts == Counts(sent=1))
    dispatcher.close(60)
    (_, first, body), (_, second, again) = receiver.requests
    assert first["webhook-id"] == second["webhook-id"]
    assert body == again
    assert (first["webhook-timestamp"], second["webhook-timestamp"]) == ("100", "200")
    assert first["webhook-signature"] != second["webhook-signature"]


def test_no_proxy_of_the_environment_is_asked(
    receiver: Receiver, event: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    Webhook(receiver.address).send(event(), 10)
    assert len(receiver.requests) == 1
