"""The one training loop.

It knows schedules, processes, checkpoints and logs; what is learnt is a ``Task`` (``liveness.py`` builds
one from a recipe). Nothing here draws a random number: a task's batches, words and changes depend on the
seed and the step alone, so a run that was killed and resumed, or spread over processes, walks the same curve.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ostiary.errors import ConfigurationError
from ostiary.training.checkpoint import Checkpoints, load_tensors, pack, save_tensors, unpack
from ostiary.training.journal import Journal
from ostiary.training.schedule import Schedule

Shard = TypeVar("Shard")


class Task(Protocol, Generic[Shard]):
    """What the loop asks of that which is learnt."""

    network: nn.Module
    """What is trained: with all that a checkpoint must hold.

    It may have ``heads``, parameters with a weight decay of their own, and ``local_names``, tensors that differ
    from process to process and are no part of the model that comes out.
    """
    steps_per_epoch: int

    @property
    def passes(self) -> int:
        """How many losses each shard of this step has."""

    def batches(self, first_step: int, steps: int, shards: range) -> Iterator[list[Shard]]:
        """For each step from ``first_step`` on: these shards of its batch, in order."""

    def begin_step(self, step: int) -> str:
        """Set the network for this step; a word for the log (the configuration)."""

    def losses(self, network: nn.Module, shard: Shard, device: torch.device) -> Iterator[Tensor]:
        """The ``passes`` losses of one shard, each the mean over its pictures; their gradients add up."""

    def validate(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """Figures on development data; ``development_quality`` (higher is better) chooses the best epoch."""


def make_fabric(*, processes: int = 1, accelerator: str = "auto", precision: str = "32-true") -> Fabric:
    """Fabric for one process, or for many by ``torchrun`` (``processes``: of all machines together)."""
    torch.backends.cudnn.benchmark = True  # a run's batches are all of one shape
    # Branches that a step's word leaves out get no gradient: the reducer must look for them.
    strategy: Any = DDPStrategy(find_unused_parameters=True) if processes > 1 else "auto"
    here = min(processes, int(os.environ.get("LOCAL_WORLD_SIZE", processes)))  # which torchrun sets
    return Fabric(
        accelerator=accelerator,
        devices=here,
        num_nodes=processes // here,
        strategy=strategy,
        precision=precision,  # type: ignore[arg-type]
    )


def fit(
    task: Task[Any], schedule: Schedule, out: Path, *, fabric: Fabric, seed: int, resume: bool = True
) -> tuple[nn.Module, list[dict[str, Any]]]:
    """Train, and return the chosen network (on the CPU, in eval mode) with the figures of each epoch.

    Args:
        out: folder for ``checkpoint.safetensors``, ``best.safetensors``, ``steps.csv``, ``epochs.csv``
            and ``curves.png``.
        resume: go on from the checkpoint in ``out`` if there is one.

    Raises:
        ConfigurationError: the processes cannot share the recipe's shards evenly.

    """
    if schedule.shards % fabric.world_size:
        raise ConfigurationError(
            f"{fabric.world_size} processes cannot share {schedule.shards} shards evenly; set the recipe's "
            "shards to a multiple of the number of processes."
        )
    out.mkdir(parents=True, exist_ok=True)
    # Channels last: 1.5 times faster on a CPU, on an H200 1.4 to 2.3 times (results/face/gpu.md).
    network: nn.Module = task.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = schedule.make_optimiser(network)
    average = _average_of(network, schedule.average)
    local = frozenset(getattr(network, "local_names", ()))
    checkpoints = Checkpoints(out, rank=fabric.global_rank, processes=fabric.world_size, apart=bool(local))
    history: list[dict[str, Any]] = []
    done = 0
    found = checkpoints.load() if resume else None
    if found is not None:
        tensors, record = found
        unpack(tensors, network, optimiser, average)
        history, done = record["history"], record["steps"]
    wrapped, wrapped_optimiser = fabric.setup(network, optimiser)
    if average is not None:
        average.to(fabric.device)

    steps = schedule.epochs * task.steps_per_epoch
    per_process = schedule.shards // fabric.world_size
    shards = range(fabric.global_rank * per_process, (fabric.global_rank + 1) * per_process)
    batches = task.batches(done, steps, shards)
    journal = Journal(out, steps=steps, done=done, active=fabric.is_global_zero)
    with journal:
        for step in range(done, steps):
            started = time.perf_counter()
            batch = next(batches)
            waited = time.perf_counter() - started
            word = task.begin_step(step)
            rate = schedule.rate(step, steps)
            for group in optimiser.param_groups:
                group["lr"] = rate
            loss = _step(fabric, task, wrapped, wrapped_optimiser, batch, seed, step, shards)
            if average is not None:
                average.update_parameters(network)
            elapsed = time.perf_counter() - started
            journal.step(
                {
                    "step": step,
                    "epoch": step // task.steps_per_epoch,
                    "word": word,
                    "loss": round(loss, 6),
                    "learning_rate": rate,
                    "pictures_per_second": round(schedule.batch / elapsed, 2),
                    "waiting": round(waited / elapsed, 4),
                }
            )
            if (step + 1) % task.steps_per_epoch == 0:
                shown = network if average is None else average.module
                _end_epoch(fabric, task, shown, schedule, out, history, step, local)
                journal.epoch(history)
                record = {"history": history, "steps": step + 1, "seed": seed}
                checkpoints.save(pack(network, optimiser, average), record, fabric.barrier)
    chosen, _ = load_tensors(out / "best.safetensors")
    network.load_state_dict(chosen, strict=not local)
    return network.cpu().eval(), history


def _average_of(network: nn.Module, decay: float) -> AveragedModel | None:
    if not decay:
        return None
    rule = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=rule, use_buffers=True)


def _step(
    fabric: Fabric,
    task: Task[Any],
    network: Any,
    optimiser: Any,
    batch: list[Any],
    seed: int,
    step: int,
    shards: range,
) -> float:
    """One update from this process's shards; the loss is the mean over all processes."""
    network.train()
    optimiser.zero_grad(set_to_none=True)  # None, not zero: Adam must leave the branches of other words alone
    total = torch.zeros((), device=fabric.device)
    for place, (number, shard) in enumerate(zip(shards, batch, strict=True)):
        torch.manual_seed(hash((seed, step, number)) % 2**63)  # drop-out that does not depend on the process
        losses = task.losses(network, shard, fabric.device)
        for left in reversed(range(task.passes)):
            with fabric.no_backward_sync(network, enabled=left > 0 or place < len(batch) - 1):
                loss = next(losses) / len(batch)
                fabric.backward(loss)
            total += loss.detach()
    optimiser.step()
    return float(fabric.all_reduce(total, reduce_op="mean"))  # type: ignore[arg-type]


def _end_epoch(
    fabric: Fabric,
    task: Task[Any],
    network: nn.Module,
    schedule: Schedule,
    out: Path,
    history: list[dict[str, Any]],
    step: int,
    local: frozenset[str],
) -> None:
    """Measure on development data and keep the network if it is the one that the schedule asks for."""
    network.eval()
    figures = task.validate(network, fabric.device) if fabric.is_global_zero else {}
    network.train()
    figures = fabric.broadcast(figures)
    best = max((row["development_quality"] for row in history), default=float("-inf"))
    history.append({"epoch": (step + 1) // task.steps_per_epoch, "steps": step + 1, **figures})
    better = schedule.keep == "last" or figures["development_quality"] > best
    if better and fabric.is_global_zero:
        whole = {name: tensor for name, tensor in network.state_dict().items() if name not in local}
        save_tensors(out / "best.safetensors", whole, {"epoch": history[-1]["epoch"]})
