"""How fast a weights file is, as ratios to the stock network in the same run.

All candidates are timed in turn (ostiary.runtime.timing): one thread, batch 1, CPU time of the calling
thread. The stock network is MobileNetV2 with batch normalisation folded and random weights, for time does not
depend on them. So is the network behind the 8-bit figures, unless 8-bit files are given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ostiary.adaptive import specialise
from ostiary.errors import ConfigurationError
from ostiary.export.onnx import liveness_model
from ostiary.export.quantize import int8_model
from ostiary.faces.preprocess import Preprocess
from ostiary.networks.mobilenet_v2 import mobilenet_v2, pta_mobilenet_v2
from ostiary.runtime.container import read_container
from ostiary.runtime.liveness import fixed_dimensions, selector
from ostiary.runtime.liveness_record import Metadata
from ostiary.runtime.packaged import resolve_weights
from ostiary.runtime.session import make_session
from ostiary.runtime.timing import Samples, interleave, ratio

#: What a free dimension of a peer's input becomes: the first is the batch, the others height and width.
FREE_BATCH, FREE_SIDE = 1, 128
#: Types of ONNX inputs that a peer may have.
PEER_TYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(float16)": np.float16}

Call = Callable[[], object]
Candidates = dict[tuple[str, ...], Call]


def measure_latency(
    weights: Path | str | None = None,
    *,
    words: Sequence[str] | None = None,
    int8: Sequence[Path] = (),
    int8_words: Sequence[str] = ("LLL",),
    peers: Sequence[Path] = (),
    rounds: int = 100,
    seed: int = 0,
) -> dict[str, Any]:
    """Time a weights file in both modes against the stock network, 8-bit models and peers.

    Args:
        weights: as for :class:`ostiary.runtime.liveness.LivenessModel`.
        words: configurations; by default all of the file.
        int8: 8-bit weights files. Without any, 8-bit models of ``int8_words`` are made of random weights.
        int8_words: see ``int8``.
        peers: other people's ONNX models of one input, fed with noise.
        rounds: timed calls of each candidate.
        seed: of the order and of the random weights.

    Returns:
        ``stock_ms``, ``stock_quartiles_ms``, ``runs``; ratios of medians to stock in
        ``configurations[WORD]["specialised" | "switched"]``, ``int8[WORD]`` and ``peers[NAME]``; and under
        ``quartiles`` the same keys with the quartiles of the rounds' ratios.

    Raises:
        WeightsError: a file cannot be used.
        ConfigurationError: the file lacks a word, or a peer's input is not understood.

    """
    metadata, content = read_container(resolve_weights(weights), Metadata)
    chosen = list(words or metadata.configurations)
    for word in chosen:
        if word not in metadata.configurations:
            known = ", ".join(metadata.configurations)
            raise ConfigurationError(f"there is no configuration {word!r} to time; the file has: {known}.")
    torch.manual_seed(seed)
    candidates: Candidates = {("stock",): _stock(metadata.preprocess)}
    candidates |= _configurations(metadata, content, chosen)
    candidates |= _int8(metadata.preprocess, int8, int8_words)
    candidates |= {("peers", path.stem): _peer(path) for path in peers}
    keys = {"/".join(key): key for key in candidates}
    samples = interleave({name: candidates[key] for name, key in keys.items()}, rounds=rounds, seed=seed)
    return _report({keys[name]: timed for name, timed in samples.items()}, rounds)


def _stock(preprocess: Preprocess) -> Call:
    return _call(liveness_model(mobilenet_v2().eval(), preprocess).SerializeToString(), preprocess)


def _configurations(metadata: Metadata, content: bytes, words: Sequence[str]) -> Candidates:
    calls: Candidates = {}
    pixels = _noise(metadata.preprocess)
    switchable = make_session(content)
    for word in words:
        feed = {"input": pixels, "sel": selector(word)} if len(metadata.configurations) > 1 else {"input": pixels}
        special = make_session(content, fixed_dimensions=fixed_dimensions(word))
        for mode, session in (("specialised", special), ("switched", switchable)):
            calls["configurations", word, mode] = partial(session.run, None, feed)
    return calls


def _int8(preprocess: Preprocess, files: Sequence[Path], words: Sequence[str]) -> Candidates:
    if files:
        read = [read_container(path, Metadata) for path in files]
        return {
            ("int8", metadata.default_configuration): _call(content, metadata.preprocess)
            for metadata, content in read
        }
    net = pta_mobilenet_v2().eval()
    noise = np.concatenate([_noise(preprocess)] * 4)
    return {
        ("int8", word): _call(int8_model(specialise(net, word), preprocess, noise).SerializeToString(), preprocess)
        for word in words
    }


def _call(content: bytes, preprocess: Preprocess) -> Call:
    session = make_session(content)
    feed = {"input": _noise(preprocess)}
    return partial(session.run, None, feed)


def _noise(preprocess: Preprocess) -> Any:
    return np.random.default_rng(0).standard_normal((1, 3, preprocess.size, preprocess.size)).astype(np.float32)


def _peer(path: Path) -> Call:
    session = make_session(path)
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in PEER_TYPES:
        raise ConfigurationError(f"{path} cannot be timed: a peer needs one input of floats or bytes.")
    shape = [
        size if isinstance(size, int) and size > 0 else FREE_SIDE if axis else FREE_BATCH
        for axis, size in enumerate(inputs[0].shape)
    ]
    noise = np.random.default_rng(0).uniform(0, 1, shape).astype(PEER_TYPES[inputs[0].type])
    return partial(session.run, None, {inputs[0].name: noise})


def _report(samples: dict[tuple[str, ...], Samples], rounds: int) -> dict[str, Any]:
    stock = samples.pop(("stock",))
    spread: dict[str, Any] = {"configurations": {}, "int8": {}, "peers": {}}
    report: dict[str, Any] = {
        "stock_ms": stock.median,
        "stock_quartiles_ms": list(stock.quartiles),
        "configurations": {},
        "int8": {},
        "peers": {},
        "runs": rounds,
        "quartiles": spread,
    }
    for (*groups, last), timed in samples.items():
        compared = ratio(timed, stock)
        for tree, value in ((report, compared.value), (spread, list(compared.quartiles))):
            for group in groups:
                tree = tree.setdefault(group, {})
            tree[last] = value
    return report
