"""Fixtures that several folders of tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run of CI: a new one found by chance belongs to whoever changes the code.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

# Tests run beside each other, and sums must not depend on how many threads a process happens to have.
os.environ.setdefault("OMP_NUM_THREADS", "1")

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def pictures() -> Path:
    """The folder of freely licensed and synthetic pictures that comes with the checkout."""
    return DATA


@pytest.fixture(scope="session")
def packs() -> Path:
    """The folder of the research packs (``data/``, ``models/``): OSTIARY_PACKS, or beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("OSTIARY_PACKS", beside))
    if not (folder / "data").is_dir():
        pytest.skip(f"the packs are not at {folder}; set OSTIARY_PACKS to run this test")
    return folder
