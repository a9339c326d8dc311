"""Which code made a result."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def commit() -> str:
    """The commit of the checkout that this code runs from, with ``+`` if it was changed; or ``unknown``.

    The environment variable ``OSTIARY_COMMIT`` says it where the code lies without its history.
    """
    said = os.environ.get("OSTIARY_COMMIT")
    if said:
        return said
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
