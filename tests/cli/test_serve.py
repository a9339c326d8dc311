"""``ostiary serve``: what the options come to, and what keeps a server from starting."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

pytest.importorskip("uvicorn", reason="the extra serve is not installed")

from ostiary.cli.serve import serve
from ostiary.errors import ConfigurationError, OstiaryError, VaultError
from ostiary.gate.keys import Passphrase
from ostiary.gate.vault import Vault
from ostiary.serve.opening import RememberedKey

app = typer.Typer(pretty_exceptions_enable=False)
app.command("serve")(serve)


def start(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    if isinstance(result.exception, OstiaryError):
        raise result.exception
    return result


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any]]:
    """Openings and settings of servers that would have run."""
    runs: list[tuple[Any, Any]] = []

    def run(opening: Any, settings: Any, tell: Callable[[str], None]) -> None:
        runs.append((opening, settings))
        tell("Listening on http://127.0.0.1:8000")

    monkeypatch.setattr("ostiary.serve.run.run", run)
    return runs


def test_options_become_a_server(at: tuple[str, ...], started: list[Any], tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    told = ("--host", "0.0.0.0", "--port", "0", "--workers", "3", "--token-file", str(tokens), "--frames", "2")
    result = start(*at, *told, "--configuration", "HLH", "--door", "north")
    assert result.exit_code == 0
    assert str(tokens) in result.stderr
    (opening, settings) = started[0]
    assert (settings.host, settings.port, settings.workers) == ("0.0.0.0", 0, 3)
    assert settings.tokens.role_of(tokens.read_text().split()[1]) == "admin"
    assert (opening.configuration, opening.name, opening.policy.frames) == ("HLH", "north", 2)
    secret = Path(at[3]).read_bytes()
    assert repr(secret)[2:-1] not in repr(opening)
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_without_tokens_it_listens_to_this_machine_alone(at: tuple[str, ...], started: list[Any]) -> None:
    assert start(*at).exit_code == 0
    assert started[0][1].host == "127.0.0.1"
    with pytest.raises(ConfigurationError, match="could open the door"):
        start(*at, "--host", "0.0.0.0")
    assert len(started) == 1


def test_a_key_is_asked_for_once_and_handed_on(tmp_path: Path) -> None:
    asked: list[object] = []

    class Asked(Passphrase):
        def key(self, record: Any) -> bytes:
            asked.append(record)
            return super().key(record)

    place = tmp_path / "vault.db"
    Vault.create(place, Passphrase("correct horse", cost=14)).close()
    remembered = RememberedKey(Asked("correct horse"))
    Vault(place, remembered).close()
    worker = pickle.loads(pickle.dumps(remembered))
    Vault(place, worker).close()
    assert len(asked) == 1
    assert repr(worker) == "RememberedKey(...)"
    with pytest.raises(VaultError, match="start the server again"):
        Vault(place, pickle.loads(pickle.dumps(RememberedKey(Asked("correct horse"))))).close()
