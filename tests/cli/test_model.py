"""``ostiary model liveness``: what programs read, and what people read."""

from __future__ import annotations

import json

import pytest

from ostiary.cli.model import liveness


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    liveness(as_json=True)
    costs = json.loads(capsys.readouterr().out)
    assert len(costs) == 28
    assert list(costs)[:2] == ["mobilenet_v2", "HHH"]
    assert list(costs)[-1] == "BBB"
    assert costs["LLL"] == {"parameters": 1_733_890, "macs": 81_966_592, "mops": 87.835138}


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    liveness(as_json=False)
    printed = capsys.readouterr().out
    assert all(part in printed for part in ("mobilenet_v2", "2,226,434", "81,966,592", "87.84"))
