"""docs/personal.md: its example runs, and its tables are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ostiary.runtime.template import PRECISIONS, template_bytes
from ostiary.runtime.verifier_layers import ARCHITECTURES, F112

PAGE = (Path(__file__).parents[2] / "docs" / "personal.md").read_text()


def row(*cells: str | int) -> str:
    return f"| {' | '.join(cell if isinstance(cell, str) else f'{cell:,}' for cell in cells)} |"


def test_the_example_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(example, "personal.md", "exec"), {})
    assert re.fullmatch(r"\[\[0\.\d+\]\]\n", capsys.readouterr().out)


def test_the_costs() -> None:
    for name, shape in ARCHITECTURES.items():
        sizes = [template_bytes(shape, precision) for precision in PRECISIONS]
        assert row(name, shape.size, shape.parameters, shape.macs, shape.flops, *sizes) in PAGE


def test_the_layers() -> None:
    for layer in F112.layers:
        kernel = f"{layer.kernel} / {layer.stride}"
        channels = f"{layer.channels} -> {layer.out}"
        assert row(layer.name, channels, kernel, layer.side, layer.parameters, layer.macs) in PAGE
