"""One network from several runs: the mean of their weights (a model soup, Wortsman et al. 2022).

Runs that start from the same trunk mostly end in one valley, where the mean is a network as good as they are, and
holds something of what each has learnt. The mean of BatchNorm statistics is only a stopgap: exports and studies
measure them anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch

from ostiary.errors import ConfigurationError, WeightsError
from ostiary.training.checkpoint import load_tensors, save_tensors

SAME = ("index_sha256", "data")
"""What the runs must have in common, beside the network."""


def average_models(models: Sequence[Path], out: Path) -> Path:
    """Write the mean of ``model.safetensors`` of runs on the same rows; the first one's recipe stands for all.

    Raises:
        ConfigurationError: fewer than two, other networks, or runs that learnt from other rows.
        WeightsError: a file cannot be read, or is of a run that is not finished.

    """
    if len(models) < 2:
        raise ConfigurationError("An average takes two models or more.")
    (first, record), *others = [load_tensors(path) for path in models]
    records = [record, *(other for _, other in others)]
    for path, one in zip(models, records, strict=True):
        if "recipe" not in one:
            raise WeightsError(f"{path} is no model.safetensors of a finished run; name that file.")
    for path, (tensors, other) in zip(models[1:], others, strict=True):
        if {name: one.shape for name, one in tensors.items()} != {name: one.shape for name, one in first.items()}:
            raise ConfigurationError(f"{path} is of another network than {models[0]}: they have no average.")
        if any(other.get(key) != record.get(key) for key in SAME):
            raise ConfigurationError(
                f"{path} learnt from other rows than {models[0]}: nobody could say whom the average has seen."
            )
    mean = {}
    for name, tensor in first.items():
        every = torch.stack([tensor, *(tensors[name] for tensors, _ in others)])
        mean[name] = every.mean(0) if tensor.is_floating_point() else tensor
    parts = [
        {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "recipe": one["recipe"]}
        for path, one in zip(models, records, strict=True)
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(out, mean, {**record, "average_of": parts})
    return out
