"""The evaluation of personal verifiers that the command line offers: from a list of pairs to a folder of results.

A pair has two pictures. One way, the first enrols and the second is the probe, as at a door. Symmetrised, each
does both, and the logits are averaged: that takes two enrolments, and flatters. Beside them stand the cosine of
the backbone on the same pairs, the most that a verifier made of its embeddings can hope for, and a control: by the
theta of somebody else, nobody may be told from anybody.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import ostiary
from ostiary.errors import ConfigurationError
from ostiary.faces.preprocess import Preprocess
from ostiary.metrics.bootstrap import DRAWS
from ostiary.metrics.curve import auc
from ostiary.metrics.intervals import supports
from ostiary.metrics.verification import FMR_TARGETS, compare
from ostiary.metrics.verification_trials import Comparisons
from ostiary.reports.comparisons import ComparedPairs, compare_pairs, write_comparisons
from ostiary.reports.embedded import embed_pictures
from ostiary.reports.embedders import EmbedsFaces, describe
from ostiary.reports.folder import replacing
from ostiary.reports.personal_page import VIEWS, render_personal
from ostiary.reports.provenance import commit
from ostiary.reports.verification import Progress, check_compared, open_pairs
from ostiary.reports.verification_page import render
from ostiary.reports.verification_plot import NAME, draw_det
from ostiary.reports.verification_report import LEVEL, Report, build_verification_report

SHUFFLES = 5


class MakesVerifiers(Protocol):
    """What evaluation asks of a generator; ``training/personal/enrolment.py`` has it."""

    @property
    def backbone(self) -> str:
        """The name of the embedder that it needs."""

    def describe(self) -> dict[str, Any]:
        """What a report says of it."""

    def enrol(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embeddings (M, D) -> thetas (M, P)."""

    def logits(self, theta: NDArray[np.float32], crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """What the verifier of ``theta`` (P,) says of the backbone's crops (N, S, S, 3): (N,)."""


def evaluate_personal(
    verifiers: MakesVerifiers,
    embedder: EmbedsFaces,
    pairs: Path,
    images: Sequence[Path],
    out: Path,
    *,
    aligned: bool = False,
    rates: Sequence[float] = (),
    seed: int = 0,
    draws: int = DRAWS,
    command: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Judge the pairs of a list, and write comparisons, reports and plot into ``out``.

    Args:
        verifiers: what is measured.
        embedder: the backbone.
        pairs: a CSV of pairs, a list of LFW, or a ``.bin`` of InsightFace, which carries its own aligned pictures.
        images: folders or tars with the pictures of the list; none for a ``.bin``.
        out: folder for the results; replaced file by file at the end.
        aligned: the pictures are crops of the embedder's size already.
        rates: further FMRs at which FNMR is read; unlike those that are always read, they must be supported.
        seed: of the bootstrap, and of the control.
        draws: of the bootstrap.
        command: what the user typed, stored in the report.
        progress: told of every step.

    Returns:
        The report: ``one_way``, ``symmetrised`` and ``backbone`` each as of ``evaluate face``; ``differences`` of
        the first two from the last; ``shuffled_auc``, None where a class is missing.

    Raises:
        DataIndexError: the list or the pictures cannot be read, or no pair at all can be judged.
        RateError: the list has too few non-mated pairs for one of ``rates``.
        ConfigurationError: the embedder is not the backbone that the verifiers need, pictures beside a ``.bin`` or
            none beside a list, or ``out`` cannot be written.

    """
    if embedder.name != verifiers.backbone:
        raise ConfigurationError(
            f"These verifiers are made of embeddings of {verifiers.backbone}, not of {embedder.name}: name "
            "that backbone."
        )
    listed, pictures, are_crops = open_pairs(pairs, images, aligned)
    for rate in rates:
        supports(rate, sum(not pair.same for pair in listed), "non-mated pairs in the list")
    step = None if progress is None else lambda done, total: progress(f"embedding {pairs.stem}", done, total)
    keeping = _Keeping(embedder)
    embedded = embed_pictures(listed.paths, pictures, keeping, aligned=are_crops, progress=step)
    backbone = compare_pairs(listed, embedded)
    check_compared(backbone, pairs, embedded, rates)

    used = [pair for pair, known in zip(listed, backbone.used, strict=True) if known]
    first, second = (
        np.array([embedded.row[getattr(pair, side)] for pair in used]) for side in ("path_a", "path_b")
    )
    judged = _Judging(verifiers, embedded.plain, keeping.crops, progress)
    forth, back = judged.logits(first, second, "judging one way"), judged.logits(second, first, "judging back")
    compared = {
        "one_way": _with(backbone, forth),
        "symmetrised": _with(backbone, (forth + back) / 2),
        "backbone": backbone,
    }
    shared = {
        "command": command,
        "ostiary": ostiary.__version__,
        "commit": commit(),
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        "data": pairs.stem,
        "pairs_sha256": hashlib.sha256(pairs.read_bytes()).hexdigest(),
        "aligned": are_crops,
    }
    models = {**dict.fromkeys(VIEWS, verifiers.describe()), "backbone": describe(embedder)}
    targets = sorted({*FMR_TARGETS, *rates}, reverse=True)
    with replacing(out, stale=(NAME, "comparisons*.csv")) as folder:
        report: Report = {"format": "1", "header": {**shared, "model": models["one_way"]}}
        for name, found in compared.items():
            report[name] = build_verification_report(
                found,
                None,
                {**shared, "model": models[name]},
                reasons=embedded.reasons,
                pictures=len(listed.paths),
                targets=targets,
                draws=draws,
                seed=seed,
            )
        views = {name: found.comparisons() for name, found in compared.items()}
        report["differences"] = _differences(views, targets, draws, seed)
        report["shuffled_auc"] = _shuffled(judged, first, second, views["backbone"], seed)
        for name, found in compared.items():
            write_comparisons(found, folder / f"comparisons_{name}.csv")
        for name in ("one_way", "symmetrised"):
            (folder / f"{name}.md").write_text(render(report[name]), encoding="utf-8")
        plots = draw_det({VIEWS[name]: found for name, found in views.items()}, report["one_way"], folder)
        (folder / "report.md").write_text(render_personal(report, plots), encoding="utf-8")
        text = json.dumps(report, indent=1, allow_nan=False)
        (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    return report


class _Keeping:
    """An embedder that keeps the crops it was shown: the verifiers see the same ones."""

    def __init__(self, embedder: EmbedsFaces) -> None:
        self._embedder = embedder
        self._parts: list[NDArray[np.uint8]] = []

    @property
    def name(self) -> str:
        return self._embedder.name

    @property
    def preprocess(self) -> Preprocess:
        return self._embedder.preprocess

    @property
    def crops(self) -> NDArray[np.uint8]:
        """All of them (M, S, S, 3), in the order of their embeddings."""
        return np.concatenate(self._parts)

    def embed(self, crops: NDArray[np.uint8], *, flip: bool = False) -> NDArray[np.float32]:
        self._parts.append(crops)
        return self._embedder.embed(crops, flip=flip)


class _Judging:
    """Everybody is enrolled once; then each is asked about all of their probes together."""

    def __init__(
        self,
        verifiers: MakesVerifiers,
        embeddings: NDArray[np.float32],
        crops: NDArray[np.uint8],
        progress: Progress | None,
    ) -> None:
        self._verifiers, self._embeddings, self._crops, self._progress = verifiers, embeddings, crops, progress

    def logits(
        self, enrolled: NDArray[np.int64], probes: NDArray[np.int64], what: str = "the control"
    ) -> NDArray[np.float64]:
        """Of K pairs of rows, of who enrolled (K,) and of who comes (K,)."""
        found = np.empty(len(enrolled))
        rows, places = np.unique(enrolled, return_inverse=True)
        order = np.split(np.argsort(places, kind="stable"), np.cumsum(np.bincount(places))[:-1])
        for done, (row, members) in enumerate(zip(rows, order, strict=True), start=1):
            theta = self._verifiers.enrol(self._embeddings[row : row + 1])[0]
            found[members] = self._verifiers.logits(theta, self._crops[probes[members]])
            if self._progress:
                self._progress(what, done, len(rows))
        return found


def _with(backbone: ComparedPairs, logits: NDArray[np.float64]) -> ComparedPairs:
    """The same pairs with 1 / (1 + exp(-logit)) as their similarity."""
    values = np.full(len(backbone.pairs), np.nan)
    small = np.exp(-np.abs(logits))
    values[backbone.used] = np.where(logits >= 0, 1, small) / (1 + small)
    return ComparedPairs(backbone.pairs, values, backbone.reasons)


def _differences(
    views: dict[str, Comparisons], targets: Sequence[float], draws: int, seed: int
) -> dict[str, Report] | None:
    """The rates of each way less those of the backbone, by a paired bootstrap."""
    if not views["backbone"].both_classes:
        return None
    found = {}
    for name in ("one_way", "symmetrised"):
        apart = compare(views["backbone"], views[name], targets=targets, draws=draws, seed=seed, level=LEVEL)
        found[name] = {rate: {"value": one.value, "interval": [one.low, one.high]} for rate, one in apart.items()}
    return found


def _shuffled(
    judged: _Judging, first: NDArray[np.int64], second: NDArray[np.int64], comparisons: Comparisons, seed: int
) -> float | None:
    """Mean AUC where everybody is judged by a theta that was dealt out at random."""
    if not comparisons.both_classes:
        return None
    rng = np.random.default_rng(seed)
    rows = np.unique(first)
    found = []
    for _ in range(SHUFFLES):
        dealt = rng.permutation(rows)[np.searchsorted(rows, first)]
        ranks = np.unique(judged.logits(dealt, second), return_inverse=True)[1]
        found.append(auc(Comparisons.from_columns(ranks / max(1, ranks.max()), comparisons.same).as_trials()))
    return float(np.mean(found))
