"""Time of a training step: PTA (words by the paper's table) over No PTA, interleaved in one run.

Whole steps (forward, backward, Adam) on random pictures, batch 32, 128x128, channels last, one thread;
CPU time of the process, since machines are shared. Prints a Markdown table; ``--out`` writes JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ostiary.adaptive import PAPER_SAMPLING, WordSampler, configure, count
from ostiary.networks.mobilenet_v2 import mobilenet_v2, pta_mobilenet_v2
from ostiary.training.allocator import keep_freed_memory


def stepper(network: nn.Module) -> tuple[nn.Module, torch.optim.Optimizer]:
    network = network.train().to(memory_format=torch.channels_last)
    return network, torch.optim.Adam(network.parameters(), 1e-4)


def step(
    network: nn.Module, optimiser: torch.optim.Optimizer, inputs: torch.Tensor, labels: torch.Tensor
) -> float:
    start = time.process_time()
    optimiser.zero_grad(set_to_none=True)
    functional.cross_entropy(network(inputs), labels).backward()
    optimiser.step()
    return time.process_time() - start


def expected_ratio() -> float:
    """Multiply-adds of a PTA step over a stock step under the paper's table."""
    example = torch.zeros(1, 3, 128, 128)
    network = pta_mobilenet_v2()
    total = 0.0
    for word, share in PAPER_SAMPLING.items():
        configure(network, word)
        total += share * count(network, example).macs
    return total / count(mobilenet_v2(), example).macs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument(
        "--keep-freed-memory",
        action="store_true",
        help="as training does; run once with and once without",
    )
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.keep_freed_memory:
        keep_freed_memory()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    inputs = torch.randn(arguments.batch, 3, 128, 128).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 2, (arguments.batch,))
    contenders = {"stock": stepper(mobilenet_v2()), "pta": stepper(pta_mobilenet_v2())}
    words = WordSampler(PAPER_SAMPLING, 0)
    times: dict[str, list[float]] = {"stock": [], "pta": []}
    for number in range(arguments.rounds + 3):
        configure(contenders["pta"][0], words.word(number))
        for name in rng.permutation(list(contenders)):
            seconds = step(*contenders[name], inputs, labels)
            if number >= 3:  # warm-up
                times[name].append(seconds)
    # The mean over rounds: an epoch is a sum of steps, and the words differ in cost on purpose.
    means = {name: float(np.mean(values)) for name, values in times.items()}
    draws = rng.integers(0, arguments.rounds, (2000, arguments.rounds))
    ratios = np.array(times["pta"])[draws].mean(1) / np.array(times["stock"])[draws].mean(1)
    result = {
        "ratio": means["pta"] / means["stock"],
        "interval": np.percentile(ratios, [2.5, 97.5]).tolist(),
        "expected_by_multiply_adds": expected_ratio(),
        "stock_ms": 1000 * means["stock"],
        "pictures_per_second": {name: arguments.batch / value for name, value in means.items()},
        "rounds": arguments.rounds,
        "batch": arguments.batch,
        "keeps_freed_memory": arguments.keep_freed_memory,
    }
    low, high = result["interval"]
    print("| step PTA / No PTA | 95 % interval | by multiply-adds | pictures/s a thread: No PTA | PTA | rounds |")
    print("|---|---|---|---|---|---|")
    rates = result["pictures_per_second"]
    print(
        f"| {result['ratio']:.3f} | {low:.3f} to {high:.3f} | {result['expected_by_multiply_adds']:.3f} "
        f"| {rates['stock']:.1f} | {rates['pta']:.1f} | {arguments.rounds} |"
    )
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
