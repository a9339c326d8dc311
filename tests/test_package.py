"""What `import ostiary` costs and shows."""

from __future__ import annotations

import subprocess
import sys

import pytest

import ostiary


def test_public_names_are_few_and_all_there() -> None:
    assert len(ostiary.__all__) <= 10
    for name in ostiary.__all__:
        assert getattr(ostiary, name).__name__ == name
    assert set(ostiary.__all__) == set(dir(ostiary))


def test_importing_loads_neither_torch_nor_onnxruntime() -> None:
    code = "import sys, ostiary; print(sorted({'torch', 'onnxruntime', 'onnx', 'numpy'} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


def test_the_main_job_needs_no_laboratory() -> None:
    """Every laboratory import is made impossible; a check must still work."""
    code = """
import sys
for name in ("torch", "onnx", "scipy", "sklearn", "matplotlib", "lightning_fabric", "safetensors"):
    sys.modules[name] = None
from ostiary.cli.app import main
main()
"""
    run = subprocess.run(
        [sys.executable, "-c", code, "check", "tests/data/astronaut.png", "--json"], capture_output=True, text=True
    )
    assert run.returncode in (0, 1), run.stderr
    assert '"liveness"' in run.stdout


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Livenes"):
        ostiary.Livenes  # type: ignore[attr-defined]  # noqa: B018
