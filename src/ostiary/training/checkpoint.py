"""A run's state in safetensors files, replaced in one move: a killed run leaves the old or the new one.

Where processes hold different tensors (parts of what is too large for one), each has a file of its own beside
the first one's, which is written last and says which of them belong to it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ostiary.errors import WeightsError


def save_tensors(path: Path, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
    """Write tensors and a JSON record as one file; ``path`` is never seen half-written."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    contiguous = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    save_file(contiguous, partial, metadata={"record": json.dumps(record)})
    partial.replace(path)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what ``save_tensors`` wrote.

    Raises:
        WeightsError: no such file, or it is damaged or of another kind.

    """
    try:
        with safe_open(path, "pt") as file:
            record = json.loads((file.metadata() or {})["record"])
            return {name: file.get_tensor(name) for name in file.keys()}, record  # noqa: SIM118
    except FileNotFoundError:
        raise WeightsError(f"{path} does not exist; train first, or name another folder.") from None
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise WeightsError(f"{path} is not a checkpoint of ostiary ({error}); train again.") from None


def pack(network: nn.Module, optimiser: torch.optim.Optimizer, average: nn.Module | None) -> dict[str, Tensor]:
    """All tensors that a run needs to go on, in one flat dictionary."""
    tensors = {f"network/{name}": tensor for name, tensor in network.state_dict().items()}
    if average is not None:
        tensors |= {f"average/{name}": tensor for name, tensor in average.state_dict().items()}
    # By name, not by place as torch does it: which parameters share a group may change from version to version,
    # and momentum given to another parameter of the same shape would go unnoticed.
    names: dict[Tensor, str] = {parameter: name for name, parameter in network.named_parameters()}
    for parameter, state in optimiser.state.items():
        of_one = f"optimiser/{names[parameter]}/"
        tensors |= {of_one + key: torch.as_tensor(value) for key, value in state.items()}
    return tensors


def unpack(
    tensors: dict[str, Tensor],
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: nn.Module | None,
) -> None:
    """Put back what ``pack`` took.

    Raises:
        WeightsError: it was taken from another network, or from one with other heads.

    """
    members = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    places = {parameter: place for place, parameter in enumerate(members)}
    state: dict[int, dict[str, Tensor]] = {}
    try:
        network.load_state_dict(_under(tensors, "network/"))
        if average is not None:
            average.load_state_dict(_under(tensors, "average/"))
        named = dict(network.named_parameters())
        for entry, tensor in _under(tensors, "optimiser/").items():
            name, key = entry.split("/")
            state.setdefault(places[named[name]], {})[key] = tensor
    except (RuntimeError, KeyError):
        raise WeightsError(
            "The checkpoint in this folder is of another recipe or version; train into another folder."
        ) from None
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


class Checkpoints:
    """The checkpoint of a run in ``folder``, as one of its ``processes`` sees it.

    ``apart`` says that processes hold different tensors; else the first one's stand for all.
    """

    def __init__(self, folder: Path, *, rank: int, processes: int, apart: bool) -> None:
        self._folder, self._rank, self._processes, self._apart = folder, rank, processes, apart
        self._main = folder / "checkpoint.safetensors"

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors of this process and the record of the run; None where no epoch has ended.

        Raises:
            WeightsError: the file is damaged, or parts of another number of processes lie in the folder.

        """
        if not self._main.exists():
            return None
        tensors, record = load_tensors(self._main)
        if record.get("apart", 1) != (self._processes if self._apart else 1):
            raise WeightsError(
                f"{self._main} is of a run of {record.get('apart', 1)} processes that each hold a part: go on "
                "with as many, or train into another folder."
            )
        if self._apart and self._rank:
            tensors, _ = load_tensors(self._part(record["steps"]))
        return tensors, record

    def save(self, tensors: dict[str, Tensor], record: dict[str, Any], barrier: Callable[[], None]) -> None:
        """Called by every process at the end of an epoch; ``barrier`` waits for all of them."""
        if self._apart and self._rank:
            save_tensors(self._part(record["steps"]), tensors, {})
        barrier()
        if not self._rank:
            save_tensors(self._main, tensors, {**record, "apart": self._processes if self._apart else 1})
        barrier()
        if self._apart and self._rank:
            for old in self._folder.glob(f"checkpoint.{self._rank}.*.safetensors"):
                if old != self._part(record["steps"]):
                    old.unlink()

    def _part(self, steps: int) -> Path:
        return self._folder / f"checkpoint.{self._rank}.{steps}.safetensors"


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
