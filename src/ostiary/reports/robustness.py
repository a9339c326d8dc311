"""How fast a liveness model gives way when pictures get worse: error rates along five axes.

Pictures are degraded before the face is cut out (``degradations.py``), each at the box that it has in the
unchanged picture, so that the network is judged and not the detector. Every level judges the same
presentations: the difference to the unchanged pictures is the harm that the level does.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ostiary
from ostiary.data.index import Index, Sample
from ostiary.data.pictures import PictureStore, open_pictures
from ostiary.errors import ConfigurationError, DataIndexError, ImageError, InputError
from ostiary.faces.crops import loose_crop
from ostiary.faces.detector import Box, FaceDetector
from ostiary.metrics.bootstrap import DRAWS
from ostiary.metrics.pad import PadRates, pad_rates
from ostiary.reports.degradations import AXES, CLEAN, Axis
from ostiary.reports.folder import replacing
from ostiary.reports.liveness_report import LEVEL
from ostiary.reports.markdown import ALL
from ostiary.reports.robustness_page import draw_curves, render_robustness, worst_case
from ostiary.reports.scores import Scores, ScoreTable
from ostiary.reports.scoring import NO_FACE, UNREADABLE, Detects, find_face
from ostiary.runtime.liveness import LivenessModel

RATES = ("auc", "eer", "apcer_max", "apcer_pooled", "bpcer")

Robustness = dict[str, Any]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Condition:
    """One level of one axis, or the unchanged picture, which has no axis."""

    axis: Axis | None = None
    level: float | None = None

    def crop(self, image: NDArray[np.uint8], box: Box, name: str, model: LivenessModel) -> NDArray[np.uint8]:
        """The crop that ``model`` takes, cut from the picture after it was changed."""
        if self.axis is not None and self.level is not None:
            image, box = self.axis.change(image, box, self.level, name)
        return loose_crop(image, box, model.metadata.preprocess)

    def describe(self) -> str:
        """The change in words."""
        if self.axis is None or self.level is None:
            return "unchanged pictures"
        return self.axis.describe(self.level)


def evaluate_robustness(
    indexes: Sequence[Path],
    images: Sequence[Path],
    out: Path,
    *,
    configurations: Sequence[str] = (),
    weights: Path | str | None = None,
    split: str | None = None,
    limit: int | None = None,
    axes: Sequence[Axis] = AXES,
    draws: int = DRAWS,
    seed: int = 0,
    command: str | None = None,
    progress: Progress | None = None,
) -> Robustness:
    """Judge a model on degraded pictures; write robustness.json, robustness.md and curves into ``out``.

    Args:
        indexes: CSV files of the data.
        images: folders or tars: one for each index in the same order, or all for every index.
        out: folder for the results, replaced file by file at the end.
        configurations: words of the model; its default if none is given.
        weights: a weights file or a packaged name.
        split: judge these rows only.
        limit: at most so many presentations of each index, evenly spread over it.
        axes: in which ways the pictures are made worse.
        draws: bootstrap draws.
        seed: of the bootstrap.
        command: what the user typed, stored in the report.
        progress: told of every step.

    Raises:
        ConfigurationError: no such word, a word without a threshold, or ``out`` cannot be written.
        DataIndexError: an index is wrong, lacks a class, or names pictures that are not there.

    """
    model = LivenessModel(weights)
    words = list(dict.fromkeys(configurations)) or [model.metadata.default_configuration]
    thresholds = {word: model.threshold(word).value for word in words}
    own = len(images) == len(indexes)
    parts = []
    for place, path in enumerate(indexes):
        index = evenly(Index.read_csv(path).select(split=split), limit)
        pictures = open_pictures(images[place] if own else images)
        step = _step(progress, f"scoring {path.stem}")
        parts.append(degraded_scores(index, pictures, model, words, axes, progress=step))
    scores = {condition: ScoreTable.concatenate(part[condition] for part in parts) for condition in parts[0]}
    header = {
        "command": command,
        "model": {"name": model.metadata.name, "version": model.metadata.version},
        "ostiary": ostiary.__version__,
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
    }
    with replacing(out, stale=("robustness*.png",)) as folder:
        report = build_robustness(
            scores, thresholds, header, draws=draws, seed=seed, progress=_step(progress, "measuring")
        )
        plots = draw_curves(report, folder)
        (folder / "robustness.md").write_text(render_robustness(report, plots), encoding="utf-8")
        text = json.dumps(report, indent=1, allow_nan=False)
        (folder / "robustness.json").write_text(text + "\n", encoding="utf-8")
    return report


def evenly(index: Index, limit: int | None) -> Index:
    """At most ``limit`` samples, evenly spread over each class, in the order of the index.

    Raises:
        ConfigurationError: the limit is not positive.

    """
    if limit is None or len(index) <= limit:
        return index
    if limit < 1:
        raise ConfigurationError(f"A limit of {limit} leaves nothing to judge; give a positive number.")
    ranked = sorted(range(len(index)), key=lambda place: index[place].label)
    kept = {ranked[int((step + 0.5) * len(ranked) / limit)] for step in range(limit)}
    return Index(sample for place, sample in enumerate(index) if place in kept)


def degraded_scores(
    index: Index,
    pictures: PictureStore,
    model: LivenessModel,
    words: Sequence[str],
    axes: Sequence[Axis] = AXES,
    detector: Detects | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> dict[Condition, ScoreTable]:
    """Score every sample of ``index`` under each condition and word, unchanged pictures first.

    A sample without a box gets that of the largest face in the unchanged picture. No face and unreadable
    pictures are non-responses, the same under every condition.

    Raises:
        DataIndexError: a class is missing, a picture is not there, or a box cannot be used.

    """
    if len({sample.label for sample in index}) < 2:
        raise DataIndexError(
            f"The index has {len(index)} rows to judge and not both classes; give bona fide and attacks, or "
            "another split."
        )
    conditions = [Condition(), *(Condition(axis, level) for axis in axes for level in axis.levels)]
    liveness = {word: np.full((len(conditions), len(index)), np.nan) for word in words}
    reasons = [""] * len(index)
    finder = detector if detector is not None else FaceDetector()
    for place, sample in enumerate(index):
        crops = _crops(sample, pictures, model, conditions, finder)
        if isinstance(crops, str):
            reasons[place] = crops
        else:
            for word in words:  # a specialised session is kept for two words; more would be made anew each time
                liveness[word][:, place] = model.liveness(crops, word, switched=len(words) > 2)
        if progress:
            progress(place + 1, len(index))
    return {
        condition: ScoreTable({word: Scores(tuple(index), liveness[word][row], tuple(reasons)) for word in words})
        for row, condition in enumerate(conditions)
    }


def build_robustness(
    scores: Mapping[Condition, ScoreTable],
    thresholds: Mapping[str, float],
    header: Mapping[str, Any],
    *,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Robustness:
    """The report as plain values: ``header``, ``axes``, ``rows`` and, by word, the ``worst`` case in a sentence.

    A row is one data set, configuration, axis and level, with ``auc``, ``eer``, ``apcer_max``,
    ``apcer_pooled`` and ``bpcer`` (the last three at the stored threshold) and their ``intervals``. Where there
    are several data sets the rows of "all" come first.
    """
    table = next(iter(scores.values()))
    first = next(iter(table.configurations.values()))
    datasets: list[str | None] = [*table.datasets]
    if len(datasets) > 1:
        datasets.insert(0, None)
    words = list(table.configurations)
    wanted = [(name, word, condition) for name in datasets for word in words for condition in scores]
    rows = []
    for name, word, condition in wanted:
        found = scores[condition].configurations[word]
        rates = pad_rates(found.trials(name), thresholds[word], targets=(), draws=draws, seed=seed, level=LEVEL)
        rows.append({**_named(word, condition, name), **_plain(rates)})
        if progress:
            progress(len(rows), len(wanted))
    axes = {condition.axis.name: condition.axis for condition in scores if condition.axis}
    return {
        "format": "1",
        "header": {
            **header,
            "data": table.datasets,
            "splits": dict(sorted(Counter(sample.split for sample in first.samples).items())),
            "n": len(first.samples),
            "without_answer": dict(sorted(Counter(filter(None, first.reasons)).items())),
            "seed": seed,
            "bootstrap_draws": draws,
            "level": LEVEL,
        },
        "axes": {
            name: {"title": axis.title, "levels": list(axis.levels), "clean_place": axis.clean_place}
            for name, axis in axes.items()
        },
        "worst": {word: worst_case(rows, word) for word in words},
        "rows": rows,
    }


def _named(word: str, condition: Condition, dataset: str | None) -> dict[str, Any]:
    return {
        "configuration": word,
        "data": ALL if dataset is None else dataset,
        "axis": CLEAN if condition.axis is None else condition.axis.name,
        "level": condition.level,
        "change": condition.describe(),
    }


def _plain(rates: PadRates) -> dict[str, Any]:
    found = {name: getattr(rates, name) for name in RATES}
    return {
        "threshold": rates.threshold,
        "n_bona_fide": rates.n_bona_fide,
        "n_attack": rates.n_attack,
        "people": rates.people,
        **{name: rate.value if rate else None for name, rate in found.items()},
        "worst_species": rates.worst_species,
        "intervals": {
            name: [rate.interval.low, rate.interval.high] for name, rate in found.items() if rate is not None
        },
    }


def _crops(
    sample: Sample,
    pictures: PictureStore,
    model: LivenessModel,
    conditions: Sequence[Condition],
    detector: Detects,
) -> NDArray[np.uint8] | str:
    """The crop under each condition (conditions, size, size, 3), or the reason why there is none."""
    try:
        image = pictures.image(sample.path)
    except ImageError:
        return UNREADABLE
    face = None if sample.box else find_face(image, None, detector)
    box = face.box if face else sample.box
    if box is None:
        return NO_FACE
    try:
        return np.stack([condition.crop(image, box, sample.path, model) for condition in conditions])
    except InputError as error:
        raise DataIndexError(f"The box of {sample.path!r} cannot be used: {error}") from None


def _step(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(what, done, total)
