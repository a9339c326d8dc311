from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from ostiary.cli import pages


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    """What the commands ask of the library, which has tests of its own."""
    seen: list[tuple[Any, dict[str, Any]]] = []

    def robustness(*arguments: Any, **options: Any) -> dict[str, Any]:
        seen.append((arguments, options))
        return {"worst": {"LLL": "LLL fears [the] dark."}, "rows": []}

    def write_pages(*arguments: Any, **options: Any) -> Path:
        seen.append((arguments, options))
        return Path("out/index.html")

    monkeypatch.setattr("ostiary.reports.robustness.evaluate_robustness", robustness)
    monkeypatch.setattr("ostiary.reports.pages.write_pages", write_pages)
    return seen


def _run(*arguments: str | Path) -> Any:
    app = typer.Typer(pretty_exceptions_enable=False)
    for command in (pages.robustness, pages.pages, pages.explain):
        app.command()(command)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


DATA = ("--index", "a.csv", "--images", "a.tar", "--out", "out")


def test_robustness_says_the_worst_case(calls: list[tuple[Any, dict[str, Any]]]) -> None:
    result = _run("robustness", *DATA, "--configuration", "LLL", "--configuration", "HHH", "--limit", "9")
    assert result.stdout == "LLL fears [the] dark.\n"
    ((arguments, options),) = calls
    assert arguments == ([Path("a.csv")], [Path("a.tar")], Path("out"))
    assert (options["configurations"], options["limit"], options["split"]) == (["LLL", "HHH"], 9, None)
    assert '"rows": []' in _run("robustness", *DATA, "--json").stdout


def test_pages_say_where_they_are_and_that_they_are_private(calls: list[tuple[Any, dict[str, Any]]]) -> None:
    result = _run("pages", *DATA, "--scores", "s.csv", "--maps", "0", "--split", "development")
    assert result.stdout == f"{Path('out/index.html')}\n"
    assert "do not publish" in result.stderr
    options = calls[0][1]
    assert (options["scores"], options["maps"], options["split"]) == ([Path("s.csv")], 0, "development")


def test_explain_writes_its_picture(pictures: Path, tmp_path: Path) -> None:
    result = _run("explain", pictures / "grace_hopper.jpg", "--out", tmp_path / "why.png")
    assert "threshold" in result.stdout
    assert (tmp_path / "why.png").stat().st_size > 10_000
