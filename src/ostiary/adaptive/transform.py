"""Make an ordinary network adaptive: find its runs of same-shape blocks, and give them a second depth.

The rules, and why they are what they are:

- A block is a child of an ``nn.Sequential``, called once with one tensor in a probe pass, that returns a
  tensor of the same shape and has parameters of its own.
- Consecutive blocks of equal structure (class, state shapes, printed form) make a run. Where a run lies
  inside a block of another run, the outer one counts.
- The last ``heavy`` blocks of a run become the heavy branch with the weights they have. So the word with
  every letter H computes exactly what the network computed before; `make_adaptive` checks that.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, TypeVar, cast

import torch
from torch import Tensor, nn

from ostiary.adaptive.block import Adaptive
from ostiary.adaptive.configuration import blocks
from ostiary.adaptive.modes import evaluating
from ostiary.adaptive.probe import BlockReport, probe
from ostiary.errors import ConfigurationError

Net = TypeVar("Net", bound=nn.Module)
LightInit = Literal["fresh", "copy-first", "copy-last"]


@dataclass(frozen=True)
class Run:
    """Consecutive blocks of equal structure in one ``nn.Sequential``.

    ``parent`` is the path of the Sequential (``""`` for the network itself), ``names`` its children.
    ``shape`` (of one example's features, without the batch) and ``parameters`` (of one block) are what
    `find_runs` saw; they play no part in comparisons, and whoever writes a run by hand leaves them out.
    """

    parent: str
    names: tuple[str, ...]
    shape: tuple[int, ...] = field(default=(), compare=False)
    parameters: int = field(default=0, compare=False)

    @property
    def paths(self) -> tuple[str, ...]:
        """The blocks' paths in the network."""
        return tuple(f"{self.parent}.{name}" if self.parent else name for name in self.names)


Choose = Callable[[Sequence[Run]], Sequence[Run]]


def largest(count: int) -> Choose:
    """Choose the ``count`` runs whose blocks have most parameters.

    In a convolutional network these are the widest ones; unlike a channel count, the number needs no
    knowledge of which axis holds the channels. ConfigurationError if there are fewer runs.
    """

    def choose(runs: Sequence[Run]) -> Sequence[Run]:
        if len(runs) < count:
            raise ConfigurationError(f"Asked for the {count} largest runs, but the network has {len(runs)}.")
        return sorted(runs, key=lambda run: run.parameters, reverse=True)[:count]

    return choose


def find_runs(net: nn.Module, example: Tensor, *, min_run: int = 2) -> list[Run]:
    """The runs of at least ``min_run`` blocks, in the order in which the network computes them.

    ``example`` is an input of the network (batch first); one pass in evaluation mode is made with it.
    """
    return _runs_of(probe(net, example).reports, min_run)


def make_adaptive(
    net: Net,
    example: Tensor,
    *,
    runs: Sequence[Run] | None = None,
    choose: Choose | None = None,
    heavy: int = 2,
    light: int = 1,
    light_init: LightInit = "fresh",
) -> Net:
    """A copy of ``net`` in which each run's last ``heavy`` blocks have ``light`` blocks as an alternative.

    ``runs`` names the runs; without it they are found, and ``choose`` (such as ``largest(3)``) may select
    among them, all being taken by default. ``example`` is an input of the network, for the probe pass.
    ``light_init``: ``"fresh"`` re-initialises the new blocks by their own ``reset_parameters`` (repeatable
    under ``torch.manual_seed``); ``"copy-first"`` and ``"copy-last"`` copy the first or last of the heavy
    blocks. Layers outside the runs keep their names, so their state dictionaries still fit.

    ConfigurationError names the block and the reason where a run cannot be made adaptive, or no run exists.
    """
    if not 1 <= light < heavy:
        raise ConfigurationError(
            f"The light depth {light} must be at least 1 and less than the heavy depth {heavy}."
        )
    if blocks(net):
        raise ConfigurationError(f"{type(net).__name__} is adaptive already; give the network it was made from.")
    seen = probe(net, example)
    chosen = _chosen(seen.reports, runs, choose, heavy)
    adaptive = copy.deepcopy(net)
    for position, run in enumerate(chosen):
        _replace(adaptive, run, position, heavy, light, light_init)
    _check_unchanged(adaptive, example, seen.output)
    return adaptive


def _chosen(
    reports: Sequence[BlockReport], runs: Sequence[Run] | None, choose: Choose | None, heavy: int
) -> list[Run]:
    """The runs to replace, in network order."""
    if runs is None:
        found = _runs_of(reports, heavy)
        if not found:
            raise ConfigurationError(_why_none(reports, heavy))
        runs = found if choose is None else choose(found)
    if not runs:
        raise ConfigurationError("No run was chosen; an adaptive network needs at least one.")
    by_path = {report.path: report for report in reports}
    for run in runs:
        _check_run(run, by_path, heavy)
    _check_apart(runs)
    return sorted(runs, key=lambda run: by_path[run.paths[0]].order)


def _runs_of(reports: Sequence[BlockReport], min_run: int) -> list[Run]:
    """Group the blocks, which come Sequential by Sequential, into runs; drop those inside others' blocks."""
    groups: list[list[BlockReport]] = []
    for report in reports:
        if report.objection:
            continue
        if groups and report.continues(groups[-1][-1]):
            groups[-1].append(report)
        else:
            groups.append([report])
    long_enough = sorted((group for group in groups if len(group) >= min_run), key=lambda group: group[0].order)
    found = [
        Run(group[0].parent, tuple(report.name for report in group), group[0].shape, group[0].parameters)
        for group in long_enough
    ]
    return [run for run in found if not any(_lies_inside(run, other) for other in found)]


def _lies_inside(run: Run, other: Run) -> bool:
    return any(path == run.parent or run.parent.startswith(f"{path}.") for path in other.paths)


def _check_run(run: Run, by_path: dict[str, BlockReport], heavy: int) -> None:
    """ConfigurationError unless the blocks exist, are fit, follow each other and suffice for ``heavy``."""
    for path in run.paths:
        if path not in by_path:
            raise ConfigurationError(f"{path} is not a child of an nn.Sequential of this network.")
        if by_path[path].objection:
            raise ConfigurationError(f"{path} cannot be made adaptive: it {by_path[path].objection}.")
    for before, after in pairwise(run.paths):
        if not by_path[after].continues(by_path[before]):
            raise ConfigurationError(f"{after} does not follow {before}, or is not of the same structure.")
    if len(run.names) < heavy:
        raise ConfigurationError(
            f"The run {', '.join(run.paths)} has {len(run.names)} blocks; a heavy branch takes {heavy}."
        )


def _check_apart(runs: Sequence[Run]) -> None:
    paths = [path for run in runs for path in run.paths]
    if len(set(paths)) < len(paths):
        raise ConfigurationError("A block is in two runs; each block can be replaced once.")
    for run in runs:
        if any(_lies_inside(run, other) for other in runs):
            raise ConfigurationError(
                f"The run in {run.parent} lies inside a block of another run; choose one of them."
            )


def _replace(net: nn.Module, run: Run, position: int, heavy: int, light: int, light_init: LightInit) -> None:
    """Put an `Adaptive` in the place of the last ``heavy`` blocks of ``run``, under the first one's name."""
    parent = net.get_submodule(run.parent)
    names = run.names[-heavy:]
    originals = [cast(nn.Module, getattr(parent, name)) for name in names]
    sources = originals[-light:] if light_init == "copy-last" else originals[:light]
    copies = copy.deepcopy(sources)
    if light_init == "fresh":
        for block in copies:
            _reset(block)
    block = Adaptive(nn.Sequential(*originals), nn.Sequential(*copies), position)
    for wrapper in (block, block.heavy, block.light):
        wrapper.training = parent.training
    setattr(parent, names[0], block)
    for name in names[1:]:
        delattr(parent, name)


def _reset(module: nn.Module) -> None:
    """Initialise afresh by the module's own rule, or else by its children's."""
    # torch's attention layer names the same method with an underscore.
    reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
    if callable(reset):
        reset()
        return
    if next(module.parameters(recurse=False), None) is not None:
        raise ConfigurationError(
            f"{type(module).__name__} has parameters but no reset_parameters method; add one, or use "
            "light_init 'copy-first' or 'copy-last'."
        )
    for child in module.children():
        _reset(child)


def _check_unchanged(adaptive: nn.Module, example: Tensor, expected: object) -> None:
    """All-heavy must give, bit for bit, what the network gave before."""
    try:
        with evaluating(adaptive):
            output = adaptive(example)
        torch.testing.assert_close(output, expected, rtol=0, atol=0, equal_nan=True)
    except Exception as error:  # whatever a network's own code raises when it finds fewer blocks than before
        raise ConfigurationError(
            f"{type(adaptive).__name__} does not compute the same with adaptive blocks in place ({error}): "
            "perhaps it indexes its blocks from outside, or draws random numbers in evaluation mode."
        ) from error


def _why_none(reports: Sequence[BlockReport], heavy: int) -> str:
    objections = "; ".join(f"{report.path} {report.objection}" for report in reports if report.objection)
    reason = objections or "no neighbouring children of an nn.Sequential are of the same structure"
    return f"The network has no run of {heavy} same-shape blocks to make adaptive: {reason}."
