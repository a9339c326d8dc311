"""What a trained network, or a deployed one of others, answers on rows it has not seen: a table of scores.

Networks are judged as they would run: BatchNorm statistics for each configuration, measured on training
pictures; the threshold of each configuration from development people.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ostiary.adaptive import apply_statistics, blocks, configured, recalibrate
from ostiary.data.index import Index, Sample
from ostiary.data.pictures import PictureStore
from ostiary.errors import ImageError
from ostiary.faces.crops import loose_crop
from ostiary.metrics.thresholds import choose_threshold
from ostiary.reports.peers import PEERS, PeerModel, mean_log_odds
from ostiary.reports.scores import Scores, ScoreTable
from ostiary.reports.scoring import NO_FACE, UNREADABLE
from ostiary.runtime.liveness_record import Threshold
from ostiary.training.liveness import predict
from ostiary.training.model import TrainedModel
from ostiary.training.run import calibration_batches, load_split
from ostiary.training.windows import build_windows

STOCK = "No PTA"
"""The configuration of a network without adaptive blocks, as the paper's tables call it."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Scores of the judged rows by configuration, and each configuration's threshold from development rows."""

    judged: ScoreTable
    thresholds: Mapping[str, Threshold]


def ask_network(
    model: TrainedModel,
    learnt: Index,
    judged: Index,
    pictures: PictureStore,
    cache: Path,
    words: Sequence[str],
    *,
    calibration_pictures: int = 512,
) -> Answers:
    """Every word's answers, with statistics and threshold of its own; a stock network answers as ``STOCK``."""
    recipe = model.recipe
    train = load_split(recipe, learnt, "train", pictures, cache)
    development = learnt.select(split="development")
    crops = {
        name: _crops(model, rows, pictures, cache) for name, rows in (("dev", development), ("judged", judged))
    }
    adaptive = bool(blocks(model.network))
    network = copy.deepcopy(model.network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    batches = list(calibration_batches(recipe, train, pictures=calibration_pictures)) if adaptive else []
    table: dict[str, Scores] = {}
    thresholds: dict[str, Threshold] = {}
    for word in words if adaptive else [""]:
        name = word or STOCK
        if adaptive:
            apply_statistics(network, recalibrate(network, word, batches))
        with configured(network, word):
            answers = {
                key: _scores(rows, kept, predict(network, pixels, recipe, torch.device("cpu")))
                for key, (rows, kept, pixels) in crops.items()
            }
        table[name] = answers["judged"]
        thresholds[name] = _threshold(answers["dev"], development)
    return Answers(ScoreTable(table), thresholds)


def ask_peers(
    names: Sequence[str], folder: Path, learnt: Index, judged: Index, pictures: PictureStore, *, label: str
) -> Answers:
    """The mean answer of deployed networks; their threshold too is chosen on the development rows."""
    models = [PeerModel(peer, folder) for peer in PEERS if peer.name in names]
    development = learnt.select(split="development")

    def ask(rows: Index) -> Scores:
        answers = [_peer_answer(models, sample, pictures) for sample in rows]
        odds = np.array([np.nan if isinstance(answer, str) else answer for answer in answers])
        reasons = tuple(answer if isinstance(answer, str) else "" for answer in answers)
        return Scores(tuple(rows), 1 / (1 + np.exp(-odds.clip(-60, 60))), reasons)

    return Answers(ScoreTable({label: ask(judged)}), {label: _threshold(ask(development), development)})


def _peer_answer(models: Sequence[PeerModel], sample: Sample, pictures: PictureStore) -> float | str:
    if sample.box is None:
        return NO_FACE
    try:
        return mean_log_odds(models, pictures.image(sample.path), sample.box)
    except ImageError:
        return UNREADABLE


_Crops = tuple[Index, list[int], NDArray[np.uint8]]


def _crops(model: TrainedModel, rows: Index, pictures: PictureStore, cache: Path) -> _Crops:
    """The rows, the places of those with a face, and their crops as the network sees them at run time."""
    preprocess = model.recipe.preprocess
    windows = build_windows(rows, pictures, cache, preprocess, room=1.1)
    return rows, windows.kept, np.stack([loose_crop(*windows[i], preprocess) for i in range(len(windows))])


def _scores(rows: Index, kept: Sequence[int], liveness: NDArray[np.float32]) -> Scores:
    values = np.full(len(rows), np.nan)
    # Seven digits are all that a float32 holds; score files stay small.
    values[kept] = [float(f"{value:.7g}") for value in liveness]
    reasons = tuple(NO_FACE if np.isnan(value) else "" for value in values)
    return Scores(tuple(rows), values, reasons)


def _threshold(scores: Scores, development: Index) -> Threshold:
    name = "development split of " + ", ".join(development.datasets)
    return choose_threshold(scores.trials(), data=name, rule="eer")
