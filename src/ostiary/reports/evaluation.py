"""The two evaluations that the command line offers: of our model on pictures, of anybody's score file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import ostiary
from ostiary.data.index import Index
from ostiary.data.pictures import open_pictures
from ostiary.errors import ConfigurationError, DataIndexError
from ostiary.faces.quality import QualityLimits
from ostiary.reports.folder import replacing
from ostiary.reports.liveness_report import Report, build_report
from ostiary.reports.markdown import render
from ostiary.reports.plots import draw_plots
from ostiary.reports.scores import ScoreTable, read_scores, write_scores
from ostiary.reports.scoring import score
from ostiary.runtime.foreign import open_liveness
from ostiary.runtime.liveness import LivenessModel
from ostiary.runtime.liveness_record import Metadata, Threshold

Progress = Callable[[str, int, int], None]
"""Called with (what is done, steps done, steps in all)."""


def evaluate_liveness(
    indexes: Sequence[Path],
    images: Sequence[Path],
    out: Path,
    *,
    configuration: str = "all",
    threshold: float | None = None,
    weights: Path | str | None = None,
    split: str | None = None,
    quality: QualityLimits | None = None,
    latency: Path | None = None,
    seed: int = 0,
    command: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Score pictures with a liveness model, and write scores, report and plots into ``out``.

    Args:
        indexes: CSV files of the data; their rows are joined.
        images: folders or tars. As many as indexes: each index has its own, in the same order. Otherwise
            each index may find its pictures in any of them.
        out: folder for scores.csv, report.md, report.json and the plots; replaced file by file at the end.
        configuration: a word of the model, or "all".
        threshold: for all configurations; by default each has the one stored with the weights.
        weights: a weights file or a packaged name.
        split: judge these rows only ("train", "development", "test").
        quality: judge only faces that have this; the others are non-responses with a cause.
        latency: JSON that ``ostiary bench liveness --json`` printed, for the plot of error against time.
        seed: of the bootstrap.
        command: what the user typed, stored in the report.
        progress: told of every step.

    Raises:
        ConfigurationError: no such word, a threshold outside [0, 1], or ``out`` cannot be written.
        DataIndexError: an index is wrong, or names pictures that are not there.

    """
    _check_threshold(threshold)
    model = open_liveness(weights)
    metadata = model.metadata
    words = model.words if configuration == "all" else [_known(configuration, metadata)]
    own = len(images) == len(indexes)
    stores = [open_pictures(source) for source in images] if own else [open_pictures(images)] * len(indexes)
    tables = []
    for path, store in zip(indexes, stores, strict=True):
        step = _step(progress, f"scoring {path.stem}")
        tables.append(score(_rows(path, split), store, model, words, quality=quality, progress=step))
    header = {
        "command": command,
        "model": _describe(model),
        "default_configuration": metadata.default_configuration,
        "quality": quality and asdict(quality),
    }
    thresholds = _stored_thresholds(metadata, words) if threshold is None else dict.fromkeys(words, threshold)
    cost = _cost_by_time(latency) if latency else _cost_by_operations(metadata)
    return _publish(ScoreTable.concatenate(tables), thresholds, header, out, cost, seed, progress)


def evaluate_scores(
    scores: Sequence[Path],
    out: Path,
    *,
    threshold: float | None = None,
    seed: int = 0,
    command: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """The same report from score files, whoever's model made them; see ``scores.py`` for their columns.

    Without ``threshold`` there is no operating point, only readings of the curve.

    Raises:
        ScoreFileError: a file breaks its contract.
        ConfigurationError: the threshold is outside [0, 1], or ``out`` cannot be written.

    """
    _check_threshold(threshold)
    table = ScoreTable.concatenate(read_scores(path) for path in scores)
    thresholds = {} if threshold is None else dict.fromkeys(table.configurations, threshold)
    return _publish(table, thresholds, {"command": command, "model": None}, out, None, seed, progress)


def _publish(
    table: ScoreTable,
    thresholds: Mapping[str, Threshold | float],
    header: Mapping[str, Any],
    out: Path,
    cost: Mapping[str, Any] | None,
    seed: int,
    progress: Progress | None,
) -> Report:
    """Build the report and write everything, or nothing."""
    step = _step(progress, "measuring")
    run = {
        **header,
        "ostiary": ostiary.__version__,
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
    }
    with replacing(out, stale=("det.png", "scores_*.png", "error_against_cost.png")) as folder:
        report = build_report(table, thresholds, run, cost=cost, seed=seed, progress=step)
        write_scores(table, folder / "scores.csv")
        plots = draw_plots(table, report, folder)
        (folder / "report.md").write_text(render(report, plots), encoding="utf-8")
        text = json.dumps(report, indent=1, allow_nan=False)
        (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    return report


def _rows(path: Path, split: str | None) -> Index:
    index = Index.read_csv(path).select(split=split)
    if not len(index):
        raise DataIndexError(f"{path}: has no rows of split {split!r}; name another split, or none for all rows.")
    return index


def _check_threshold(threshold: float | None) -> None:
    if threshold is not None and not 0 <= threshold <= 1:  # also refuses NaN
        raise ConfigurationError(f"A threshold of {threshold} accepts all or nothing; give one in [0, 1].")


def _known(word: str, metadata: Metadata) -> str:
    if word not in metadata.configurations:
        known = ", ".join(metadata.configurations)
        raise ConfigurationError(
            f"There is no configuration {word!r} in {metadata.name}; it has {known}, or say all."
        )
    return word


def _stored_thresholds(metadata: Metadata, words: Sequence[str]) -> dict[str, Threshold | float]:
    records = {word: metadata.configurations[word].threshold for word in words}
    return {word: record for word, record in records.items() if record is not None}


def _describe(model: LivenessModel) -> dict[str, str]:
    return {
        "name": model.metadata.name,
        "version": model.metadata.version,
        "precision": model.metadata.precision,
        "training_commit": model.metadata.training_commit,
        "sha256": hashlib.sha256(model.path.read_bytes()).hexdigest(),
    }


def _cost_by_operations(metadata: Metadata) -> dict[str, Any]:
    macs = {word: record.macs for word, record in metadata.configurations.items()}
    heavy = max(macs, key=lambda word: (word.count("H"), macs[word]))
    return {
        "measure": f"multiply-adds, relative to {heavy}",
        "by_configuration": {word: count / macs[heavy] for word, count in macs.items()},
    }


def _cost_by_time(path: Path) -> dict[str, Any]:
    try:
        measured = json.loads(path.read_text(encoding="utf-8"))["configurations"]
        ratios = {word: float(found["specialised"]) for word, found in measured.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ConfigurationError(
            f"{path}: is not what `ostiary bench liveness --json` prints; run it and give its output."
        ) from None
    return {
        "measure": "time of a specialised session, relative to the stock network",
        "by_configuration": ratios,
    }


def _step(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(what, done, total)
