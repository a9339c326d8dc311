"""What deployed networks think of the training pictures: soft targets that a recipe can follow beside the labels.

The teachers saw far more people and cameras than any pack holds; their doubts tell which pictures are
ambiguous. Either they are asked once about each unchanged picture, and their answers lie in a CSV; or they
watch: they see every crop just as the network in training does, changed and painted on, and so teach what they
would say far beyond the pictures that there are (Beyer et al. 2022, "consistent teaching").
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ostiary.data.index import Sample
from ostiary.data.pictures import PictureStore
from ostiary.errors import DataIndexError, ImageError
from ostiary.faces.detector import Box
from ostiary.reports.peers import PEERS, PeerModel, mean_all_log_odds, mean_log_odds

COLUMNS = ("dataset", "path", "log_odds")
TEMPERATURE = 2.0
"""The teachers' log-odds are divided by this: they are surer of themselves than they are right."""


class Watcher:
    """Teachers that see the crops themselves, whole, whatever surroundings each was made for.

    They are opened where they are first asked, so that worker processes each have their own.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder, self._names = folder, names
        self._models: list[PeerModel] = []
        self._levels = np.zeros(0, np.float32)

    def __call__(self, crops: NDArray[np.uint8], datasets: Sequence[int]) -> NDArray[np.float32]:
        """Probability of bona fide (N,) of crops (N, S, S, 3), each of a numbered data set (N,)."""
        odds = self._odds(crops)
        return _probability(odds - self._levels[list(datasets)] if self._levels.size else odds)

    def learn_levels(self, crops: Sequence[tuple[NDArray[np.uint8], NDArray[np.bool_]]]) -> None:
        """From now on each data set's answers are counted from where its two classes part.

        A camera moves all answers of a teacher up or down; whoever follows it would learn to do the same, and no
        threshold would hold from one camera to the next.

        Args:
            crops: for each data set, in the order of their numbers: crops (N, S, S, 3), and which are bona fide.
                One with a single class is counted from the mean of the others.

        """
        found = np.array([_parting(self._odds(shown), real) for shown, real in crops], np.float32)
        known = np.isfinite(found)
        self._levels = np.where(known, found, found[known].mean() if known.any() else 0)
        self._models = []  # worker processes open their own

    def _odds(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        if not self._models:
            self._models = [PeerModel(peer, self._folder) for peer in PEERS if peer.name in self._names]
        size = crops.shape[1]
        # None of them looks beyond 1.5 times this face without stopping at the picture's border.
        face = Box(size / 6, size / 6, size / 1.5, size / 1.5)
        return np.asarray(mean_all_log_odds(self._models, list(crops), face), np.float32)


def ask_peers(
    index: Sequence[Sample], pictures: PictureStore, peers: Path, *, threads: int = 1
) -> Iterator[tuple[Sample, float | None]]:
    """Each sample with the mean of the log-odds of the peers in a folder; None without a box or a picture."""
    models = [PeerModel(peer, peers, threads=threads) for peer in PEERS]
    for sample in index:
        try:
            odds = sample.box and mean_log_odds(models, pictures.image(sample.path), sample.box)
        except ImageError:
            odds = None
        yield sample, odds


def write_soft_targets(path: Path, answers: Iterable[tuple[Sample, float | None]]) -> None:
    """Write the answers that there are; the file appears when it is whole."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows((s.dataset, s.path, f"{odds:.4f}") for s, odds in answers if odds is not None)
    partial.replace(path)


def read_soft_targets(path: Path, samples: Sequence[Sample]) -> NDArray[np.float32]:
    """Probability of bona fide for each sample, float32 (N,); NaN where the teachers were not asked.

    Raises:
        DataIndexError: the file is not one of soft targets, or speaks of none of the samples.

    """
    try:
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise DataIndexError(f"{path} must have the columns {', '.join(COLUMNS)}; write it again.")
            known = {(row["dataset"], row["path"]): float(row["log_odds"]) for row in reader}
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise DataIndexError(f"{path} cannot be read as soft targets ({error}); write it again.") from None
    odds = np.array([known.get((s.dataset, s.path), np.nan) for s in samples], np.float32)
    if not np.isfinite(odds).any():
        raise DataIndexError(
            f"{path} speaks of none of the {len(samples)} training pictures; make it for this index."
        )
    return _probability(odds)


def _parting(odds: NDArray[np.float32], bona_fide: NDArray[np.bool_]) -> float:
    """The log-odds at which as large a share of bona fide falls below as of attacks above; NaN for one class."""
    if bona_fide.all() or not bona_fide.any():
        return float("nan")
    cuts = np.unique(odds)
    below = np.searchsorted(np.sort(odds[bona_fide]), cuts) / bona_fide.sum()
    above = 1 - np.searchsorted(np.sort(odds[~bona_fide]), cuts) / (~bona_fide).sum()
    return float(cuts[np.argmin(np.abs(below - above))])


def _probability(odds: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-odds / TEMPERATURE)), np.float32)
