"""Training over several machines: a ``torchrun`` on each, here two that meet on this one.

Two processes of one ``torchrun`` are in test_fit.py, of which this file takes the recipe, and which is its script.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("test_fit.py")
_found = importlib.util.spec_from_file_location("fit_as_script", SCRIPT)
assert _found is not None
assert _found.loader is not None
_fits = importlib.util.module_from_spec(_found)
_found.loader.exec_module(_fits)
data = _fits.data  # the fixture


def test_two_machines_walk_the_curve_of_one_process(data: Path, tmp_path: Path) -> None:
    one = _fits.train(data, tmp_path / "one", _fits.ONE_STEP)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    outputs = [tmp_path / f"machine {number}.log" for number in range(2)]
    with ExitStack() as stack:
        machines = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "torch.distributed.run", "--nnodes=2", f"--node-rank={number}"),
                    *("--nproc-per-node=1", "--master-addr=127.0.0.1", f"--master-port={port}"),
                    *(str(SCRIPT), str(data), str(tmp_path / "two"), "2", "one_step"),
                ],
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=subprocess.DEVNULL,
                stderr=stack.enter_context(output.open("w")),
            )
            for number, output in enumerate(outputs)
        ]
        for machine in machines:
            stack.callback(machine.kill)  # if one fails, the other would wait for it
        ended = [machine.wait(900) for machine in machines]
    assert ended == [0, 0], [output.read_text()[-1500:] for output in outputs]
    two = _fits.steps(tmp_path / "two")
    assert [row["word"] for row in two] == [row["word"] for row in one]
    assert _fits.losses(two) == pytest.approx(_fits.losses(one), rel=1e-3)
    first, second = (_fits.load_tensors(tmp_path / name / "checkpoint.safetensors")[0] for name in ("one", "two"))
    moments = [name for name in first if name.endswith("/exp_avg")]
    assert moments
    assert all((first[name] - second[name]).norm() <= 1e-3 * first[name].norm() + 1e-9 for name in moments)
