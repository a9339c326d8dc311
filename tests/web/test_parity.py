"""The page's code gives what Python gives; the tests themselves are written in its language, beside this file."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ostiary.runtime.packaged import FOLDER, resolve_weights

HERE = Path(__file__).parent


def run_node(node: str, name: str, **environment: str | Path) -> None:
    variables = os.environ | {key: os.fspath(value) for key, value in environment.items()}
    command = [node, "--test", os.fspath(HERE / name)]
    finished = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "# pass 0" not in finished.stdout


def test_rules_crops_and_quality(node: str, golden: Path) -> None:
    run_node(node, "steps.test.mjs", GOLDEN=golden)


def test_from_the_pixels_to_the_decision(node: str, node_modules: Path, golden: Path, face_weights: Path) -> None:
    run_node(
        node,
        "decision.test.mjs",
        GOLDEN=golden,
        NODE_MODULES=node_modules,
        LIVENESS=resolve_weights(),
        DETECTOR=FOLDER / "face_detection_yunet.onnx",
        FACE=face_weights,
    )
