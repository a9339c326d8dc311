"""``ostiary web`` and ``ostiary export golden`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ostiary.cli import web
from ostiary.errors import ConfigurationError


@pytest.fixture
def app() -> typer.Typer:
    commands = typer.Typer()
    for command in (web.build, web.serve, web.golden):
        commands.command()(command)
    return commands


def test_golden_vectors_are_written(app: typer.Typer, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "golden.json"
    arguments = ["golden", str(pictures / "astronaut.png"), "--out", str(out), "--configuration", "LLL"]
    ended = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert ended.exit_code == 0
    vectors = json.loads(out.read_text())
    assert vectors["enrolled"] == "astronaut"
    assert list(vectors["cases"][0]["alive"]) == ["LLL"]
    assert [path.name for path in tmp_path.iterdir()] == ["golden.json"]


def test_a_page_needs_the_runtime_and_a_server_a_page(app: typer.Typer, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="npm install onnxruntime-web"):
        CliRunner().invoke(
            app, ["build", "--out", str(tmp_path / "site"), "--runtime", str(tmp_path)], catch_exceptions=False
        )
    with pytest.raises(ConfigurationError, match="is no page"):
        CliRunner().invoke(app, ["serve", str(tmp_path)], catch_exceptions=False)
