"""What the Containerfile promises, as far as it can be seen without an engine."""

from __future__ import annotations

import os
import re
import venv
from pathlib import Path
from subprocess import run

import pytest

ROOT = Path(__file__).parents[2]
LINES = re.sub(r"\\\n", " ", (ROOT / "Containerfile").read_text()).splitlines()


def steps(kind: str) -> list[str]:
    return [line.removeprefix(kind).strip() for line in LINES if line.startswith(f"{kind} ")]


def test_it_does_not_run_as_root_and_fetches_nothing_but_packages() -> None:
    (account,) = steps("USER")
    assert int(account.split(":")[0]) > 0
    assert LINES.index(f"USER {account}") < next(
        at for at, line in enumerate(LINES) if line.startswith("ENTRYPOINT")
    )
    assert steps("ADD") == []
    assert not re.search(r"curl|wget|git |https?://(?!127\.0\.0\.1)", "\n".join(steps("RUN")))
    assert steps("VOLUME") == ["/data"]


def test_what_it_sets_are_variables_that_the_commands_know() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "src/ostiary").rglob("*.py"))
    names = {name for step in steps("ENV") for name in re.findall(r"(OSTIARY_\w+)=", step)}
    assert names == {"OSTIARY_VAULT", "OSTIARY_KEY_FILE", "OSTIARY_TOKEN_FILE", "OSTIARY_LOG"}
    assert all(f'"{name}"' in sources for name in names)


def test_no_secret_is_copied_into_it() -> None:
    kept = [line for line in (ROOT / ".containerignore").read_text().split() if line.startswith("!")]
    assert kept == ["!constraints.txt", "!LICENSE", "!pyproject.toml", "!README.md", "!src"]


@pytest.mark.skipif("OSTIARY_CONTAINER" not in os.environ, reason="takes minutes: set OSTIARY_CONTAINER")
def test_its_steps_work_in_a_clean_environment(tmp_path: Path) -> None:
    venv.create(tmp_path / "clean", with_pip=True)
    python = tmp_path / "clean/bin/python"
    install = next(step for step in steps("RUN") if "pip install" in step)
    extras = re.search(r"/source(\[[\w,]+\])", install)
    assert extras is not None
    wanted = ["-q", "-c", str(ROOT / "constraints.txt"), f"{ROOT}{extras[1]}"]
    run([python, "-m", "pip", "install", *wanted], check=True, timeout=1200)
    done = run([tmp_path / "clean/bin/ostiary", "serve", "--help"], capture_output=True, text=True, timeout=60)
    assert "--token-file" in done.stdout
