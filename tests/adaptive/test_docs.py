"""The example of docs/adaptive.md runs and shows what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import ostiary.adaptive as library

PAGE = (Path(__file__).parents[2] / "docs" / "adaptive.md").read_text(encoding="utf-8")


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    threads = torch.get_num_threads()
    names: dict[str, object] = {}
    exec(compile(example, "docs/adaptive.md", "exec"), names)
    torch.set_num_threads(threads)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["HH", "HL", "HB", "LH", "LL", "LB", "BH", "BL", "BB"]
    accuracy = {line.split()[0]: float(line.split()[-1]) for line in lines}
    assert min(accuracy.values()) > 0.9
    small = names["small"]
    assert isinstance(small, torch.nn.Module)
    assert library.words(small) == [""]


def test_every_public_name_is_on_the_page() -> None:
    missing = [name for name in library.__all__ if f"`{name}" not in PAGE]
    assert not missing
