"""docs/personal.md: its example runs, and its tables are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ostiary.runtime.embedding import EmbeddingModel
from ostiary.runtime.template import PRECISIONS, template_bytes
from ostiary.runtime.verifier_layers import ARCHITECTURES, F112

PAGE = (Path(__file__).parents[2] / "docs" / "personal.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def row(*cells: str | int) -> str:
    return f"| {' | '.join(cell if isinstance(cell, str) else f'{cell:,}' for cell in cells)} |"


def test_the_example_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[0], "personal.md", "exec"), {})
    assert re.fullmatch(r"\[\[0\.\d+\]\]\n", capsys.readouterr().out)


def test_a_gate_in_a_few_lines(
    embedder: EmbeddingModel,
    generator_file: Path,
    files: dict[str, Path],
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ada1.jpg", "ada2.jpg", "at_the_door.jpg"):
        (tmp_path / name).write_bytes((pictures / "astronaut.png").read_bytes())
    for name, file in (
        ("FACE_WEIGHTS", embedder.path),
        ("GENERATOR", generator_file),
        ("VERIFIER", files["input"]),
    ):
        monkeypatch.setenv(f"OSTIARY_{name}", str(file))
    exec(compile(EXAMPLES[1], "personal.md", "exec"), {"key": bytes(range(32))})
    assert capsys.readouterr().out.startswith("Decision(accepted=")


def test_the_costs() -> None:
    for name, shape in ARCHITECTURES.items():
        sizes = [template_bytes(shape, precision) for precision in PRECISIONS]
        assert row(name, shape.size, shape.parameters, shape.macs, shape.flops, *sizes) in PAGE


def test_the_layers() -> None:
    for layer in F112.layers:
        kernel = f"{layer.kernel} / {layer.stride}"
        channels = f"{layer.channels} -> {layer.out}"
        assert row(layer.name, channels, kernel, layer.side, layer.parameters, layer.macs) in PAGE
