"""From a trained model to a weights file fit for a door: what ``ostiary export liveness`` does.

Everything is chosen on development data alone: whose BatchNorm statistics each configuration runs with,
the threshold of each configuration, and the configuration that is used when nobody names one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ostiary.adaptive import (
    BatchStatistics,
    apply_statistics,
    blocks,
    configured,
    recalibrate_all,
    recalibrate_mixture,
    words,
)
from ostiary.data.index import Index, Sample
from ostiary.data.pictures import PictureStore
from ostiary.export.card import Card
from ostiary.export.onnx import export_liveness
from ostiary.export.quantize import export_int8
from ostiary.faces.crops import loose_crop
from ostiary.metrics.bootstrap import FEW_PEOPLE
from ostiary.metrics.cascade import Stage, choose_band
from ostiary.metrics.thresholds import Rule, choose_threshold
from ostiary.reports.scores import ScoreTable
from ostiary.reports.scoring import score
from ostiary.runtime.container import read_metadata
from ostiary.runtime.liveness import LivenessModel
from ostiary.runtime.liveness_record import Band, Metadata, Threshold
from ostiary.training.batches import LabelledWindows
from ostiary.training.liveness import by_dataset, one_a_recording, predict
from ostiary.training.model import TrainedModel
from ostiary.training.recipe import Recipe
from ostiary.training.run import calibration_batches, load_split

Setting = Literal["as_trained", "mixture", "per_configuration"]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Terms:
    """What the maker of a weights file says about it; it is stored inside."""

    name: str
    version: str
    licence: str
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Released:
    """Where the file is, and what was measured on the way: plain values, for ``results/``."""

    path: Path
    record: dict[str, Any]


def release_liveness(
    model: TrainedModel,
    index: Index,
    pictures: PictureStore,
    out: Path,
    terms: Terms,
    *,
    cache: Path,
    int8: str | None = None,
    calibration_pictures: int = 512,
    progress: Progress | None = None,
) -> Released:
    """Measure BatchNorm settings and thresholds on development data, and write the ONNX file.

    Args:
        index: the splits ``train`` (BatchNorm statistics) and ``development`` (all choices) are used.
        int8: write this word alone, with 8-bit weights and a threshold of its own.

    Raises:
        RateError: the development data cannot support a threshold.
        WeightsError: the exported file does not compute what the network does.

    """
    recipe = model.recipe
    train = load_split(recipe, index, "train", pictures, cache, progress=progress)
    development = load_split(recipe, index, "development", pictures, cache, progress=progress)
    setting, statistics, compared = choose_statistics(
        model.network, recipe, train, development, calibration_pictures, progress
    )
    network = copy.deepcopy(model.network)
    if setting == "mixture":
        apply_statistics(network, statistics["mixture"])
    per_word = statistics if setting == "per_configuration" else None
    origin = model.record.get("started_from", {})
    card = Card(
        name=terms.name,
        version=terms.version,
        licence=terms.licence,
        notes=" ".join(filter(None, [terms.notes, _descent(origin)])),
        data=sorted({*index.datasets, *origin.get("data", [])}),
        preprocess=recipe.preprocess,
        training_commit=model.record["commit"],
        default_configuration=int8 or words(network)[0],
    )

    def write(path: Path, card: Card) -> Path:
        if int8 is None:
            return export_liveness(network, path, card, statistics=per_word)
        batches = calibration_batches(recipe, train, pictures=256)
        return export_int8(network, int8, path, card, torch.cat(list(batches)).numpy(), statistics=per_word)

    with TemporaryDirectory() as folder:
        draft = write(Path(folder) / "draft.onnx", card)
        table, thresholds = choose_thresholds(draft, index, pictures, progress)
        macs = {word: record.macs for word, record in read_metadata(draft, Metadata).configurations.items()}
    errors = {word: threshold.rate for word, threshold in thresholds.items()}
    card = replace(
        card,
        thresholds=thresholds,
        development_errors=errors,
        default_configuration=default_word(errors, macs),
        cascade=None if int8 else choose_cascade(table, thresholds),
    )
    path = write(out, card)
    record = {
        "batch_normalisation": {"chosen": setting, "development": compared},
        "thresholds": {word: threshold.model_dump() for word, threshold in thresholds.items()},
        "default_configuration": card.default_configuration,
        "cascade": card.cascade and card.cascade.model_dump(),
        "bytes": path.stat().st_size,
        "training": {
            key: model.record[key]
            for key in ("seed", "commit", "data", "index_sha256", "average_of", "started_from")
            if key in model.record
        },
    }
    return Released(path, record)


def choose_statistics(
    network: nn.Module,
    recipe: Recipe,
    train: LabelledWindows,
    development: LabelledWindows,
    calibration_pictures: int,
    progress: Progress | None = None,
) -> tuple[Setting, Mapping[str, BatchStatistics], dict[str, Any]]:
    """Compare BatchNorm as trained, one mixture pass, and one pass a word; the lowest EER over words wins.

    The EER is the mean over development data sets (one frame a recording), then over all words.

    Returns:
        The winner; its statistics by word (``{"mixture": ...}`` for the mixture, empty for as trained);
        and ``{setting: {word: {"auc", "eer"}}}``.

    """
    if not blocks(network):
        return "as_trained", {}, {"as_trained": _measured(network, recipe, development, {}, [""])}
    # Channels last: the many passes below take two thirds of the time on a CPU.
    network = copy.deepcopy(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    loader = [
        batch.to(memory_format=torch.channels_last)
        for batch in calibration_batches(recipe, train, pictures=calibration_pictures)
    ]
    every = words(network)
    statistics: dict[Setting, Mapping[str, BatchStatistics]] = {
        "as_trained": {},
        "mixture": {"mixture": recalibrate_mixture(network, _evenly(every), _cycled(loader, len(every)))},
        "per_configuration": recalibrate_all(network, every, _CountedPasses(loader, progress, len(every))),
    }
    compared: dict[str, Any] = {}
    for setting, found in statistics.items():
        used = (
            {word: found[word if setting == "per_configuration" else "mixture"] for word in every} if found else {}
        )
        compared[setting] = _measured(network, recipe, development, used, every)
    means = {s: float(np.mean([row["eer"] for row in compared[s].values()])) for s in statistics}
    winner = min(means, key=lambda setting: means[setting])
    return winner, statistics[winner], compared


def choose_thresholds(
    weights: Path, index: Index, pictures: PictureStore, progress: Progress | None = None
) -> tuple[ScoreTable, dict[str, Threshold]]:
    """Scores of the development data, and the threshold of each configuration by ``rule_for`` its people."""
    model = LivenessModel(weights)
    development = index.select(split="development")

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress("scoring the development split", done, total)

    table = score(development, pictures, model, model.words, progress=report)
    name = "development split of " + ", ".join(development.datasets)
    rule = rule_for(next(iter(table.configurations.values())).trials().people)
    thresholds = {
        word: choose_threshold(scores.trials(), data=name, rule=rule)
        for word, scores in table.configurations.items()
    }
    return table, thresholds


def rule_for(people: int | None) -> Rule:
    """Where APCER and BPCER are equal; for fewer than ``FEW_PEOPLE``, between the centres of both classes."""
    return "centres" if people is not None and people < FEW_PEOPLE else "eer"


def choose_cascade(table: ScoreTable, thresholds: Mapping[str, Threshold]) -> Band | None:
    """From all-light to the better of all-heavy and all-both, for the pictures nearest to the threshold.

    None for a network that has no such words.
    """
    length = max(len(word) for word in thresholds)
    first, seconds = "L" * length, [letter * length for letter in "HB"]
    if not length or first not in thresholds or not set(seconds) <= set(thresholds):
        return None
    second = min(seconds, key=lambda word: thresholds[word].rate)

    def stage(word: str) -> Stage:
        return Stage(word, table.configurations[word].trials(), thresholds[word].value, cost=0.0)

    return choose_band(stage(first), stage(second), DOUBTFUL, data=thresholds[first].data)


def default_word(errors: Mapping[str, float], macs: Mapping[str, int]) -> str:
    """The cheapest of the words without a B (which recipes do not train) that are about as good as the best.

    Development data of some hundred people cannot tell words apart whose errors differ by less than ``ABOUT``.
    """
    trained = [word for word in errors if "B" not in word] or list(errors)
    best = min(errors[word] for word in trained)
    return min((word for word in trained if errors[word] <= best + ABOUT), key=lambda word: macs[word])


ABOUT = 0.01
"""One percentage point."""

DOUBTFUL = 0.1
"""Share of the development pictures that go on in the cascade."""


def _measured(
    network: nn.Module,
    recipe: Recipe,
    development: LabelledWindows,
    statistics: Mapping[str, BatchStatistics],
    every: Sequence[str],
) -> dict[str, dict[str, float]]:
    """Mean over data sets of AUC and EER of each word under its statistics; the network is left as it was."""
    places = one_a_recording(development.samples)
    samples: list[Sample] = [development.samples[i] for i in places]
    crops: NDArray[np.uint8] = np.stack([loose_crop(*development.windows[i], recipe.preprocess) for i in places])
    measured = {}
    for word in every:
        changed = copy.deepcopy(network).eval()
        if statistics:
            apply_statistics(changed, statistics[word])
        with configured(changed, word):
            areas, errors = by_dataset(samples, predict(changed, crops, recipe, torch.device("cpu")))
        measured[word] = {"auc": float(np.mean(areas)), "eer": float(np.mean(errors))}
    return measured


def inherited_licence(model: TrainedModel) -> str:
    """That of the weights which the training started from; Apache-2.0 where there were none, or they name none."""
    return model.record.get("started_from", {}).get("licence") or "Apache-2.0"


def _descent(origin: Mapping[str, Any]) -> str:
    """What a card must say of the weights that the training started from."""
    if not origin:
        return ""
    terms = f" ({origin['licence']})" if origin["licence"] else ""
    return f"Started from {origin['name']}{terms}."


def _evenly(every: Sequence[str]) -> dict[str, float]:
    return {word: 1 / len(every) for word in every}


def _cycled(loader: Sequence[Tensor], times: int) -> Iterator[Tensor]:
    """The mixture sees as many batches as would let each word have a few."""
    for place in range(max(len(loader), 4 * times)):
        yield loader[place % len(loader)]


class _CountedPasses:
    """A loader that says how often it has been gone through."""

    def __init__(self, loader: Sequence[Tensor], progress: Progress | None, passes: int) -> None:
        self._loader, self._progress, self._passes = loader, progress, passes
        self._done = 0

    def __iter__(self) -> Iterator[Tensor]:
        self._done += 1
        if self._progress is not None:
            self._progress("measuring BatchNorm of each configuration", self._done, self._passes)
        return iter(self._loader)
