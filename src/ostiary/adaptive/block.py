"""A block with two depths: `Adaptive` computes its heavy branch, its light one, or the mean of both."""

from __future__ import annotations

from torch import Tensor, nn

from ostiary.errors import ConfigurationError

LETTERS = "HLB"
"""Heavy, Light, Both: the choices of one block, the alphabet of configuration words."""


class Mean(nn.Module):
    """The element-wise mean of two modules' outputs; what letter ``B`` computes."""

    def __init__(self, heavy: nn.Module, light: nn.Module) -> None:
        super().__init__()
        self.heavy = heavy
        self.light = light

    def forward(self, x: Tensor) -> Tensor:
        """Any tensor that both modules accept -> the mean of what they return."""
        mean: Tensor = (self.heavy(x) + self.light(x)) / 2
        return mean


class Adaptive(Mean):
    """A drop-in for a run of same-shape blocks whose depth is chosen after training (Khabarlak 2022).

    ``heavy`` and ``light`` map a tensor to one of the same shape and share no weights. ``letter`` says
    what `forward` computes: ``"H"`` heavy(x), ``"L"`` light(x), ``"B"`` the mean of the two. It is plain
    Python state: not in the state dictionary, and free to change between any two calls.

    ``position`` orders the blocks of one network where the order of registration is not the order of
    computation; `make_adaptive` sets it.
    """

    def __init__(self, heavy: nn.Module, light: nn.Module, position: int = 0) -> None:
        super().__init__(heavy, light)
        self.letter = "H"
        self.position = position

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) -> (N, ...) of the same shape, by ``letter``; ConfigurationError for an unknown letter."""
        if self.letter == "B":
            return super().forward(x)
        branch: Tensor = self.branch()(x)
        return branch

    def branch(self) -> nn.Module:
        """What the letter selects, as a plain module with the same weights: heavy, light, or their `Mean`."""
        if self.letter == "H":
            return self.heavy
        if self.letter == "L":
            return self.light
        if self.letter == "B":
            return Mean(self.heavy, self.light)
        raise ConfigurationError(
            f"An adaptive block has the letter {self.letter!r}; set it to one of {', '.join(LETTERS)}."
        )

    def extra_repr(self) -> str:
        """The letter, for ``print(net)``."""
        return f"letter={self.letter!r}"
