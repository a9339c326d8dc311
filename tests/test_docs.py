"""README and docs say what is true: code runs, links lead somewhere, figures have a home."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_python_example_of_the_readme_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    assert re.search(r"(True bona_fide|False presentation_attack)", capsys.readouterr().out)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_of_the_checkout(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_results_that_pages_name_exist(page: Path) -> None:
    for name in re.findall(r"`(results/[\w./*]+)`", page.read_text()):
        assert list(ROOT.glob(name.rstrip("/"))), f"{page.name} names {name}"


def test_no_page_or_source_names_a_place_of_one_machine() -> None:
    tracked = [
        p for folder in ("src", "tests", "docs", "benchmarks", "results") for p in (ROOT / folder).rglob("*")
    ]
    machine = re.compile(r"(?<![\w.])/(?:work|root|home)/")
    for path in tracked:
        if path.suffix in (".py", ".md", ".json", ".csv", ".toml") and path != Path(__file__).resolve():
            assert not machine.search(path.read_text(encoding="utf-8")), os.fspath(path)
