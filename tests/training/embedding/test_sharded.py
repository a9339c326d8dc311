"""Vectors spread over two gloo processes: the loss and the gradients of one process that holds them all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed
from torch.nn import functional

from ostiary.errors import ConfigurationError
from ostiary.training.embedding.margins import UNKNOWN, Margin, MarginHead
from ostiary.training.embedding.sharded import Part, ShardedMarginHead

MARGIN = Margin(scale=8, margin=0.4)
PEOPLE, DIMENSION, PROCESSES = 7, 8, 2


def drawn() -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings and labels of each process's batch, some of them unknown, and everybody's vectors."""
    generator = torch.Generator().manual_seed(0)
    embeddings = functional.normalize(torch.randn(PROCESSES, 6, DIMENSION, generator=generator), dim=2)
    labels = torch.randint(0, PEOPLE, (PROCESSES, 6), generator=generator)
    labels[0, :4] = UNKNOWN
    return embeddings, labels, torch.randn(PEOPLE, DIMENSION, generator=generator)


def test_two_processes_are_as_one(tmp_path: Path) -> None:
    embeddings, labels, vectors = drawn()
    embeddings.requires_grad_()
    head = MarginHead(PEOPLE, DIMENSION, MARGIN)
    head.weight.data = vectors
    loss = torch.stack([head(*batch) for batch in zip(embeddings, labels, strict=True)]).mean()
    loss.backward()
    assert embeddings.grad is not None
    assert head.weight.grad is not None

    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={PROCESSES}"]
    subprocess.run(
        [*command, __file__, str(tmp_path)], env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, timeout=120
    )
    for rank in range(PROCESSES):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert found["loss"].item() == pytest.approx(loss.item(), rel=1e-5)
        # The loop takes the mean over processes of the network's gradients, but each keeps those of its vectors.
        assert torch.allclose(found["embeddings"] / PROCESSES, embeddings.grad[rank], atol=1e-6)
        assert torch.allclose(found["vectors"], head.weight.grad[rank::PROCESSES], atol=1e-6)


def test_more_processes_than_people_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="use fewer"):
        ShardedMarginHead(2, DIMENSION, MARGIN, Part(2, 3))


if __name__ == "__main__":
    distributed.init_process_group("gloo")
    rank = distributed.get_rank()
    embeddings, labels, vectors = drawn()
    head = ShardedMarginHead(PEOPLE, DIMENSION, MARGIN, Part(rank, PROCESSES))
    head.weight.data = vectors[rank::PROCESSES].clone()
    mine = embeddings[rank].clone().requires_grad_()
    loss = head(mine, labels[rank])
    loss.backward()
    found = {"loss": loss.detach(), "embeddings": mine.grad, "vectors": head.weight.grad}
    torch.save(found, Path(sys.argv[1]) / f"{rank}.pt")
    distributed.destroy_process_group()
