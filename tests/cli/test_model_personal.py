"""``ostiary model personal``: what programs read, and what people read."""

from __future__ import annotations

import json

import pytest

from ostiary.cli.model_personal import personal
from ostiary.errors import ConfigurationError


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    personal(architecture="f112", as_json=True)
    cost = json.loads(capsys.readouterr().out)
    assert list(cost.pop("others")) == ["f112w", "f64"]
    assert cost == {
        "architecture": "f112",
        "size": 112,
        "parameters": 22_785,
        "macs": 2_339_544,
        "flops": 4_777_569,
        "template_bytes": {"fp32": 91_204, "fp16": 45_634, "int8": 25_894},
    }


def test_json_of_another(capsys: pytest.CaptureFixture[str]) -> None:
    personal(architecture="f64", as_json=True)
    cost = json.loads(capsys.readouterr().out)
    assert (cost["architecture"], cost["macs"], list(cost["others"])) == ("f64", 1_048_792, ["f112", "f112w"])
    with pytest.raises(ConfigurationError, match="no verifier 'f63'"):
        personal(architecture="f63", as_json=True)


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    personal(architecture="f112", as_json=False)
    printed = capsys.readouterr().out
    assert all(part in printed for part in ("f112w", "22,785", "2,339,544", "26,054"))
