"""BatchNorm statistics for each configuration word, measured after training.

While words are sampled in training, running statistics hold an exponential average over whatever words
came last, and the word with both branches, never trained, has none of its own. So after training the
statistics of each word are measured afresh: a cumulative average over some hundreds to thousands of
training pictures without augmentation. `apply_statistics` puts them into the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ostiary.adaptive.configuration import WordSampler, configuration, configure, configured
from ostiary.adaptive.modes import evaluating
from ostiary.errors import ConfigurationError

BatchStatistics: TypeAlias = dict[str, tuple[Tensor, Tensor]]
"""Path of each BatchNorm layer -> running mean and running variance, (channels,) each, on the CPU."""

Batches: TypeAlias = Iterable[Tensor | Sequence[Tensor]]
"""Input batches, or tuples whose first item is one, as a data loader yields them."""


def recalibrate(net: nn.Module, word: str, loader: Batches) -> BatchStatistics:
    """The statistics of every BatchNorm layer that ``word`` uses, averaged over the batches of ``loader``.

    BatchNorm uses the batch's own statistics meanwhile, as in training; everything else (dropout) is in
    evaluation mode. ``net`` comes out as it went in: apply the result with `apply_statistics`. All batches
    count alike, so they should be of one size. The average is of variances within batches; what the
    batches' means differ by is missing from it, which is little when batches are large and shuffled.

    ConfigurationError where the word does not exist or the loader yields nothing.
    """
    with configured(net, word):
        return _measure(net, loader, lambda _: word)


def recalibrate_all(net: nn.Module, words: Iterable[str], loader: Batches) -> dict[str, BatchStatistics]:
    """`recalibrate` for each word; ``loader`` is iterated once a word, so it must not be a generator."""
    return {word: recalibrate(net, word, loader) for word in words}


def recalibrate_mixture(
    net: nn.Module, table: Mapping[str, float], loader: Batches, seed: int = 0
) -> BatchStatistics:
    """One set of statistics for all words, in one pass whose words are drawn from ``table`` batch by batch.

    The comparison between statistics as trained and statistics per word; branches that no word of the
    table uses are left out.
    """
    with configured(net, configuration(net)):
        return _measure(net, loader, WordSampler(table, seed).word)


def apply_statistics(net: nn.Module, statistics: BatchStatistics) -> None:
    """Put measured statistics into the BatchNorm layers of ``net``; layers not named keep theirs.

    ConfigurationError, and no change, where a layer does not exist or has another number of channels.
    """
    layers = _layers(net)
    for name, (mean, variance) in statistics.items():
        if name not in layers:
            raise ConfigurationError(f"The network has no BatchNorm layer {name} to apply statistics to.")
        expected = (layers[name].num_features,)
        if tuple(mean.shape) != expected or tuple(variance.shape) != expected:
            raise ConfigurationError(
                f"The statistics of {name} have the shape {tuple(mean.shape)}; the layer needs {expected}."
            )
    for name, (mean, variance) in statistics.items():
        cast(Tensor, layers[name].running_mean).copy_(mean)
        cast(Tensor, layers[name].running_var).copy_(variance)


def to_tensors(statistics: Mapping[str, BatchStatistics]) -> dict[str, Tensor]:
    """Statistics by word as one flat dictionary: keys ``WORD/layer/mean``, ``WORD/layer/var``."""
    return {
        f"{word}/{layer}/{kind}": value.contiguous()
        for word, layers in statistics.items()
        for layer, pair in layers.items()
        for kind, value in zip(("mean", "var"), pair, strict=True)
    }


def from_tensors(tensors: Mapping[str, Tensor]) -> dict[str, BatchStatistics]:
    """The inverse of `to_tensors`; ConfigurationError for a key of another form or without its partner."""
    statistics: dict[str, BatchStatistics] = {}
    for key in tensors:
        word, _, rest = key.partition("/")
        layer, _, kind = rest.rpartition("/")
        partner = f"{word}/{layer}/{'var' if kind == 'mean' else 'mean'}"
        if not layer or kind not in ("mean", "var") or partner not in tensors:
            raise ConfigurationError(
                f"The key {key!r} is not one of a pair WORD/layer/mean and WORD/layer/var of statistics."
            )
        if kind == "mean":
            statistics.setdefault(word, {})[layer] = (tensors[key], tensors[partner])
    return statistics


def _measure(net: nn.Module, loader: Batches, word_of: Callable[[int], str]) -> BatchStatistics:
    """Average over the batches, batch i by word ``word_of(i)``; layers that no batch reached are left out."""
    first = next(chain(net.parameters(), net.buffers()), None)
    device = torch.device("cpu") if first is None else first.device
    with evaluating(net), _cumulative(net) as layers:
        step = -1
        for step, batch in enumerate(loader):
            configure(net, word_of(step))
            net((batch if isinstance(batch, Tensor) else batch[0]).to(device))
        if step < 0:
            raise ConfigurationError(
                "The loader yielded no batches to measure BatchNorm statistics with; give one that is not "
                "empty and can be iterated for each word (a list or a data loader, not a generator)."
            )
        return {
            name: (_copy(layer.running_mean), _copy(layer.running_var))
            for name, layer in layers.items()
            if cast(Tensor, layer.num_batches_tracked) > 0
        }


@contextmanager
def _cumulative(net: nn.Module) -> Iterator[dict[str, _BatchNorm]]:
    """All BatchNorm layers reset and set to average over all batches to come; restored afterwards."""
    layers = _layers(net)
    saved = {name: (layer.momentum, layer.training, _state(layer)) for name, layer in layers.items()}
    for layer in layers.values():
        layer.reset_running_stats()
        layer.momentum = None
        layer.training = True
    try:
        yield layers
    finally:
        for name, (momentum, training, state) in saved.items():
            layer = layers[name]
            layer.momentum, layer.training = momentum, training
            for buffer, value in zip(_buffers(layer), state, strict=True):
                buffer.copy_(value)


def _layers(net: nn.Module) -> dict[str, _BatchNorm]:
    """The layers that keep running statistics, by path."""
    return {
        name: module
        for name, module in net.named_modules()
        if isinstance(module, _BatchNorm) and module.track_running_stats
    }


def _buffers(layer: _BatchNorm) -> list[Tensor]:
    return [cast(Tensor, b) for b in (layer.running_mean, layer.running_var, layer.num_batches_tracked)]


def _state(layer: _BatchNorm) -> list[Tensor]:
    return [buffer.clone() for buffer in _buffers(layer)]


def _copy(buffer: Tensor | None) -> Tensor:
    return cast(Tensor, buffer).clone().cpu()
