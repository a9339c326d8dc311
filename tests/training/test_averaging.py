"""The mean of several runs' weights, and what is refused to have one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ostiary.errors import ConfigurationError, WeightsError
from ostiary.training.averaging import average_models
from ostiary.training.checkpoint import load_tensors, save_tensors

RECORD = {"recipe": {"name": "toy"}, "index_sha256": "a", "data": ["door"], "seed": 0}


def model(path: Path, value: float, **record: Any) -> Path:
    tensors: dict[str, Tensor] = {"weight": torch.full((2, 3), value), "steps": torch.tensor(int(value))}
    save_tensors(path, tensors, {**RECORD, **record})
    return path


def test_weights_are_averaged_counters_are_the_first_ones(tmp_path: Path) -> None:
    paths = [model(tmp_path / f"{value}.safetensors", value, seed=int(value)) for value in (1.0, 2.0, 6.0)]
    tensors, record = load_tensors(average_models(paths, tmp_path / "deeper" / "mean.safetensors"))
    assert torch.equal(tensors["weight"], torch.full((2, 3), 3.0))
    assert tensors["steps"] == 1
    assert (record["seed"], len(record["average_of"])) == (1, 3)
    assert len({part["sha256"] for part in record["average_of"]}) == 3


def test_what_has_no_average_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    one, out = model(tmp_path / "one.safetensors", 1.0), tmp_path / "mean.safetensors"
    with pytest.raises(ConfigurationError, match="two models or more"):
        average_models([one], out)
    with pytest.raises(ConfigurationError, match="learnt from other rows"):
        average_models([one, model(tmp_path / "rows.safetensors", 1.0, index_sha256="b")], out)
    other = tmp_path / "other.safetensors"
    save_tensors(other, {"weight": torch.zeros(3, 2), "steps": torch.tensor(1)}, RECORD)
    with pytest.raises(ConfigurationError, match="another network"):
        average_models([one, other], out)
    with pytest.raises(WeightsError, match="does not exist"):
        average_models([one, tmp_path / "absent.safetensors"], out)
    save_tensors(other, load_tensors(one)[0], {"steps": 3})
    with pytest.raises(WeightsError, match=r"no model\.safetensors of a finished run"):
        average_models([one, other], out)
    assert not out.exists()
