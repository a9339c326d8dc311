"""Who may ask: tokens and their roles; and, without tokens, this machine alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ostiary.errors import ConfigurationError
from ostiary.serve.auth import RIGHTS, Tokens, make_token_file
from ostiary.serve.settings import ServerSettings

Serve = Callable[..., Any]
LONG = "0123456789abcdefghijklmnop"

ASKED = {
    "people": lambda client: client.get("/users"),
    "decide": lambda client: client.verify("ada"),
    "look": lambda client: client.post("/check", "ada", query={"liveness": False}),
    "check": lambda client: client.post("/check", "ada"),
    "settings": lambda client: client.get("/thresholds"),
    "metrics": lambda client: client.get("/metrics"),
}


@pytest.fixture
def guarded(serve: Serve, fakes: ModuleType) -> Any:
    """A server with tokens; nobody is enrolled."""
    return serve(tokens=Tokens.of(fakes.TOKENS.items()))


def test_a_role_has_its_rights_and_no_others(guarded: Any, fakes: ModuleType) -> None:
    assert set(ASKED) == set(RIGHTS["admin"])
    for role, token in fakes.TOKENS.items():
        with guarded.by(token) as client:
            may = {right for right, ask in ASKED.items() if ask(client).status_code == 200}
        assert may == RIGHTS[role], role


@pytest.mark.parametrize("token", [None, "wrong", "admin-", "a" * 5000])
def test_without_a_valid_token_nothing_is_answered_but_health(guarded: Any, token: str | None) -> None:
    with guarded.by(token) as client:
        for ask in ASKED.values():
            answer = ask(client)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert set(answer.json()) == {"error"}
        assert client.get("/health").json()["status"] == "ok"


def test_a_door_may_neither_enrol_nor_turn_the_dial_nor_see_measurements(guarded: Any, fakes: ModuleType) -> None:
    with guarded.by(fakes.TOKENS["admin"]) as admin:
        assert admin.enrol().status_code == 201
    with guarded.by(fakes.TOKENS["door"]) as door:
        assert door.enrol("bob", "bob").status_code == 403
        assert door.http.delete("/users/ada").status_code == 403
        assert door.verify("ada", configuration="LLL").status_code == 403
        shown = door.verify("ada", measurements=True).json()
        assert (shown["accepted"], shown["liveness"], shown["similarity"]) == (True, None, None)
        assert door.get("/about").json()["role"] == "door"
        assert door.get("/configurations").json()["may_choose"] is False


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::0"])
def test_a_server_that_others_reach_does_not_start_without_tokens(host: str) -> None:
    with pytest.raises(ConfigurationError, match="--token-file"):
        ServerSettings(host=host)
    assert ServerSettings(host=host, tokens=Tokens.of([("admin", LONG)])).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.9.1"])
def test_this_machine_alone_needs_none(host: str) -> None:
    assert ServerSettings(host=host).is_private


def test_a_proxy_lets_others_in() -> None:
    with pytest.raises(ConfigurationError, match="proxy"):
        ServerSettings(trusted_proxy="127.0.0.1")


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "door.example"},  # a name that was made to lead here
        {"host": "127.0.0.1.door.example"},
        {"host": ""},
        {"origin": "http://door.example"},
        {"origin": "null"},
        {"x-forwarded-for": "192.0.2.1"},
        {"forwarded": "for=192.0.2.1"},
    ],
)
def test_without_tokens_no_page_of_elsewhere_and_no_proxy_gets_in(client: Any, headers: dict[str, str]) -> None:
    answer = client.http.get("/users", headers=headers)
    assert answer.status_code == 403
    assert "ada" not in answer.text


def test_the_servers_own_page_may_ask(client: Any) -> None:
    host = client.http.base_url.netloc.decode()
    assert client.get("/users", origin=f"http://{host}").status_code == 200
    port = client.http.base_url.port
    assert client.get("/users", host=f"localhost:{port}").status_code == 200


def test_a_file_of_tokens_is_made_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    assert make_token_file(path)
    assert not make_token_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    tokens = Tokens.load(path)
    for line in path.read_text().splitlines():
        role, token = line.split()
        assert tokens.role_of(token) == role
        assert token not in repr(tokens)
    assert tokens.role_of("wrong") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "There is no token"),
        ("# nothing\n", "There is no token"),
        ("admin short", "under 24 characters"),
        (f"king {LONG}", "line 1"),
        (f"admin {LONG}\n\ndoor", "line 3"),
        (f"admin {LONG}\ndoor {LONG}", "two roles"),
    ],
)
def test_a_file_of_tokens_that_cannot_be(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "tokens"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        Tokens.load(path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"workers": 0},
        {"threads": 0},
        {"rate": 0},
        {"rate": float("nan")},
        {"largest_body": 0},
        {"port": -1},
        {"host": "no such host"},
        {"tls_key": Path("key.pem")},
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        ServerSettings(**wrong)
