"""One pass through a network that tells which children of its Sequentials may become adaptive blocks."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ostiary.adaptive.modes import evaluating


@dataclass(frozen=True)
class BlockReport:
    """What the probe saw of one child of an ``nn.Sequential``.

    ``objection`` says why it cannot be a block of a run (``None``: it can); it reads after "the block ...".
    ``order`` counts calls in the order of computation. ``shape`` leaves out the batch.
    """

    parent: str
    name: str
    objection: str | None
    order: int
    shape: tuple[int, ...]
    parameters: int
    signature: object
    given: object
    returned: object

    @property
    def path(self) -> str:
        """The child's path in the network."""
        return f"{self.parent}.{self.name}" if self.parent else self.name

    def continues(self, before: BlockReport) -> bool:
        """Whether this block has the structure of ``before`` and takes its output, in one Sequential."""
        return (
            self.parent == before.parent and self.given is before.returned and self.signature == before.signature
        )


@dataclass(frozen=True)
class Probe:
    """The network's output for the example, and a report on each child of each Sequential, in their order."""

    output: object
    reports: list[BlockReport]


def probe(net: nn.Module, example: Tensor) -> Probe:
    """Run ``net`` once on ``example`` in evaluation mode and report on the children of its Sequentials."""
    calls: dict[nn.Module, list[_Call]] = defaultdict(list)
    handles = _watch(net, calls)
    try:
        with evaluating(net):
            output = net(example)
    finally:
        for handle in handles:
            handle.remove()
    owners = _owners(net)
    return Probe(output, [_report(*child, calls, owners) for child in _children(net)])


@dataclass
class _Call:
    order: int
    arguments: tuple[object, ...]
    keywords: bool
    versions: list[int]
    returned: object = None
    changes_input: bool = field(default=False)


def _children(net: nn.Module) -> list[tuple[str, str, nn.Module]]:
    """(parent path, name, module) of each child of each Sequential; a shared instance comes repeatedly."""
    return [
        (path, name, child)
        for path, module in net.named_modules()
        if isinstance(module, nn.Sequential)
        for name, child in module._modules.items()
        if child is not None
    ]


def _watch(net: nn.Module, calls: dict[nn.Module, list[_Call]]) -> list[RemovableHandle]:
    """Record each call of each child; `calls` fills while the network runs."""
    started = 0

    def before(module: nn.Module, arguments: tuple[object, ...], keywords: dict[str, object]) -> None:
        nonlocal started
        calls[module].append(_Call(started, arguments, bool(keywords), _versions(arguments)))
        started += 1

    def after(module: nn.Module, arguments: tuple[object, ...], returned: object) -> None:
        call = calls[module][-1]
        call.returned = returned
        call.changes_input = _versions(arguments) != call.versions

    handles = []
    for module in {child for _, _, child in _children(net)}:
        handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
        handles.append(module.register_forward_hook(after))
    return handles


def _versions(arguments: tuple[object, ...]) -> list[int]:
    """Torch counts in-place changes of each tensor."""
    return [argument._version for argument in arguments if isinstance(argument, Tensor)]


def _owners(net: nn.Module) -> dict[nn.Parameter, list[str]]:
    """Every path under which each parameter is reached."""
    owners: dict[nn.Parameter, list[str]] = defaultdict(list)
    for path, parameter in net.named_parameters(remove_duplicate=False):
        owners[parameter].append(path)
    return owners


def _report(
    parent: str,
    name: str,
    module: nn.Module,
    calls: dict[nn.Module, list[_Call]],
    owners: dict[nn.Parameter, list[str]],
) -> BlockReport:
    seen = calls.get(module, [])
    first = seen[0] if seen else _Call(-1, (), False, [])
    given = first.arguments[0] if first.arguments else None
    path = f"{parent}.{name}" if parent else name
    return BlockReport(
        parent=parent,
        name=name,
        objection=_objection_to_calls(seen) or _objection_to_module(path, module, owners),
        order=first.order,
        shape=tuple(given.shape[1:]) if isinstance(given, Tensor) else (),
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        signature=_signature(module),
        given=given,
        returned=first.returned,
    )


def _objection_to_calls(calls: list[_Call]) -> str | None:
    if not calls:
        return "was not called"
    if len(calls) > 1:
        return "is called more than once, so its weights are shared"
    call = calls[0]
    if len(call.arguments) != 1 or call.keywords:
        return "takes more than one input"
    given = call.arguments[0]
    if not isinstance(given, Tensor) or not isinstance(call.returned, Tensor):
        return "takes or returns something else than a tensor"
    if given.shape != call.returned.shape:
        return f"changes the shape from {tuple(given.shape)} to {tuple(call.returned.shape)}"
    if call.changes_input:
        return "changes its input in place, which would disturb the other branch"
    return None


def _objection_to_module(path: str, module: nn.Module, owners: dict[nn.Parameter, list[str]]) -> str | None:
    parameters = list(module.parameters())
    if not parameters:
        return "has no parameters"
    if any(not owner.startswith(f"{path}.") for parameter in parameters for owner in owners[parameter]):
        return "shares weights with another part of the network"
    # Depth is drawn per word here; a block that drops itself at random as well would train neither depth.
    if any(type(part).__name__.lower() in {"droppath", "stochasticdepth"} for part in module.modules()):
        return "contains stochastic depth, which the choice of words replaces; set it to zero or remove it"
    return None


def _signature(module: nn.Module) -> object:
    """Equal for blocks of equal structure, whatever their weights."""
    state = [(name, tuple(value.shape), value.dtype) for name, value in module.state_dict().items()]
    return type(module), state, repr(module)
