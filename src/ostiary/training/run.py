"""From a recipe's name and data to a trained model: what ``ostiary train liveness`` does."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ostiary.adaptive.configuration import blocks
from ostiary.adaptive.recalibrate import apply_statistics, recalibrate_mixture
from ostiary.data.index import Index
from ostiary.data.pictures import PictureStore
from ostiary.errors import DataIndexError, InputError
from ostiary.faces.crops import loose_crop
from ostiary.reports.provenance import commit
from ostiary.runtime.packaged import resolve_weights
from ostiary.training.allocator import keep_freed_memory
from ostiary.training.batches import LabelledWindows, dataset_names
from ostiary.training.checkpoint import save_tensors
from ostiary.training.fit import fit, make_fabric
from ostiary.training.liveness import LivenessTask
from ostiary.training.recipe import Recipe
from ostiary.training.sampling import balanced
from ostiary.training.soft_targets import Watcher, read_soft_targets
from ostiary.training.start import Start, from_scratch, from_trained, from_trunk
from ostiary.training.windows import build_windows

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Where a run reads and writes, and on what it runs; none of it changes the curve."""

    out: Path
    cache: Path
    trunk: Path | None = None
    """The ImageNet trunk, for recipes that start from it."""
    start: Path | str | None = None
    """For recipes that start from a trained network: ``model.safetensors`` of a run, a weights file, or a name of
    packaged weights; None for the packaged default."""
    soft_targets: Path | None = None
    """Soft targets of teachers, for recipes that follow them (``soft_targets.py``)."""
    peers: Path | None = None
    """Folder of deployed networks, for recipes whose teacher is watching."""
    seed: int = 0
    workers: int = 2
    processes: int = 1
    accelerator: str = "auto"
    precision: str = "32-true"
    resume: bool = True


def train_liveness(
    recipe: Recipe,
    index: Index,
    pictures: PictureStore,
    settings: RunSettings,
    progress: Callable[[], AbstractContextManager[Progress]] = lambda: nullcontext(_silent),
) -> Path:
    """Train, and write ``model.safetensors`` beside the run's journal.

    Args:
        index: must have the splits ``train`` and ``development``, disjoint in subjects.
        progress: shows how far the reading of pictures is; the loop has a progress bar of its own.

    Returns:
        The path of ``model.safetensors``; ``load_model`` reads it.

    Raises:
        DataIndexError: a split is missing, or a subject or recording is in two splits.
        InputError: the recipe needs a trunk or soft targets that were not given.
        ConfigurationError, WeightsError: the recipe cannot start from ``settings.start``; see ``start.py``.

    """
    _check(recipe, index, settings)
    torch.manual_seed(settings.seed)
    soft = settings.soft_targets if recipe.teacher_weight and recipe.teacher == "beforehand" else None
    with progress() as report:
        train = load_split(recipe, index, "train", pictures, settings.cache, soft, report)
        development = load_split(recipe, index, "development", pictures, settings.cache, None, report)
    network, origin = begin(recipe, settings, train)
    start = copy.deepcopy(network.state_dict()) if recipe.blend else {}
    watcher = None
    if recipe.teacher_weight and recipe.teacher == "watching" and settings.peers is not None:
        watcher = Watcher(settings.peers, recipe.watchers)
        if recipe.teacher_level == "data_set":
            watcher.learn_levels([*crops_by_dataset(recipe, train, settings.seed)])
    task = LivenessTask(
        recipe,
        network,
        train,
        development,
        seed=settings.seed,
        workers=settings.workers,
        watcher=watcher,
    )
    fabric = make_fabric(
        processes=settings.processes, accelerator=settings.accelerator, precision=settings.precision
    )
    if fabric.device.type == "cpu":
        keep_freed_memory()
    fabric.launch()
    _, history = fit(
        task, recipe.schedule, settings.out, fabric=fabric, seed=settings.seed, resume=settings.resume
    )
    if recipe.blend:
        blend(network, start, recipe, train)
    path = settings.out / "model.safetensors"
    if fabric.is_global_zero:
        record = {
            "recipe": recipe.model_dump(mode="json"),
            "seed": settings.seed,
            "commit": commit(),
            "data": list(index.datasets),
            "index_sha256": index_hash(index),
            "dropped": {"train": train.windows.dropped, "development": development.windows.dropped},
            "history": history,
        }
        if origin:
            record["started_from"] = origin
        save_tensors(path, dict(network.state_dict()), record)
        (settings.out / "model.json").write_text(json.dumps(record, indent=1))
    fabric.barrier()
    return path


def begin(recipe: Recipe, settings: RunSettings, train: LabelledWindows) -> Start:
    """The recipe's network with the weights that it starts from; see ``start.py``."""
    if recipe.start == "scratch":
        return from_scratch(recipe)
    pictures = calibration_batches(recipe, train, pictures=512)
    if recipe.start == "imagenet":
        assert settings.trunk is not None, "checked before anything was loaded"
        return from_trunk(recipe, settings.trunk, pictures)
    return from_trained(recipe, resolve_weights(settings.start), pictures)


def blend(network: nn.Module, start: dict[str, Tensor], recipe: Recipe, train: LabelledWindows) -> None:
    """Move the weights back towards ``start`` by the recipe's ``blend``, in place (WiSE-FT, Wortsman et al. 2022).

    The classifier stays where it started from nothing. BatchNorm statistics do not mix as weights do, so they are
    measured afresh on training faces.
    """
    with torch.no_grad():
        for name, weights in network.named_parameters():
            if recipe.start == "trained" or not name.startswith("classifier."):
                weights.lerp_(start[name], recipe.blend)
    words = recipe.words if blocks(network) else {"": 1.0}
    pictures = calibration_batches(recipe, train, pictures=512)
    apply_statistics(network, recalibrate_mixture(network, words, pictures))


def calibration_batches(
    recipe: Recipe, data: LabelledWindows, *, pictures: int, batch: int = 64, seed: int = 0
) -> Iterator[Tensor]:
    """Unchanged training crops as the network sees them at run time, drawn evenly over the data."""
    chosen = balanced(data.samples, pictures, seed, 0)
    for start in range(0, len(chosen), batch):
        crops = [loose_crop(*data.windows[int(i)], recipe.preprocess) for i in chosen[start : start + batch]]
        yield torch.from_numpy(recipe.preprocess.normalise(np.stack(crops)))


def crops_by_dataset(
    recipe: Recipe, data: LabelledWindows, seed: int, most: int = 300
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
    """Unchanged training crops (N, S, S, 3) of each data set, as many of each class, and which are bona fide."""
    rng = np.random.default_rng(seed)
    for name in dataset_names(data.samples):
        places: list[int] = []
        for label in ("bona_fide", "attack"):
            of_class = [i for i, s in enumerate(data.samples) if (s.dataset, s.label) == (name, label)]
            places += [int(i) for i in rng.permutation(of_class)[:most]]
        crops = [loose_crop(*data.windows[i], recipe.preprocess) for i in places]
        yield np.stack(crops), np.array([data.samples[i].label == "bona_fide" for i in places])


def load_split(
    recipe: Recipe,
    index: Index,
    split: str,
    pictures: PictureStore,
    cache: Path,
    soft_targets: Path | None = None,
    progress: Progress | None = None,
) -> LabelledWindows:
    """The windows of a split, cut now or taken from the cache."""
    samples = index.select(split=split)

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress(f"reading the {split} split", done, total)

    zoom = recipe.augmentation.zoom * (1 + 2 * recipe.augmentation.shift)
    windows = build_windows(samples, pictures, cache, recipe.preprocess, room=max(1.1, zoom), progress=report)
    kept = Index(samples[i] for i in windows.kept)
    soft = np.full(len(kept), np.nan, np.float32)
    if soft_targets is not None:
        soft = read_soft_targets(soft_targets, kept)
    return LabelledWindows(windows, kept, soft)


def index_hash(index: Index) -> str:
    """SHA-256 of the index's rows: names the data of a run without naming its place."""
    digest = hashlib.sha256()
    for sample in index:
        digest.update(f"{sample}\n".encode())
    return digest.hexdigest()


def _check(recipe: Recipe, index: Index, settings: RunSettings) -> None:
    index.check_disjoint()
    for split in ("train", "development"):
        labels = {sample.label for sample in index.select(split=split)}
        if labels != {"bona_fide", "attack"}:
            raise DataIndexError(
                f"The index's {split!r} split needs both bona fide and attack pictures; it has "
                f"{', '.join(sorted(labels)) or 'none'}. Fill in its 'split' column: train, development, test."
            )
    if recipe.start == "trained":
        resolve_weights(settings.start)
    if recipe.start == "imagenet" and settings.trunk is None:
        raise InputError(f"The recipe {recipe.name!r} starts from an ImageNet trunk: name its file with --trunk.")
    if recipe.teacher_weight and recipe.teacher == "watching":
        if settings.peers is None:
            raise InputError(
                f"The recipe {recipe.name!r} has a teacher that watches: name the folder of its file with --peers."
            )
    elif recipe.teacher_weight and settings.soft_targets is None:
        raise InputError(
            f"The recipe {recipe.name!r} follows soft targets: make them with 'ostiary train soft-targets' "
            "and name the file with --soft-targets."
        )


def _silent(what: str, done: int, total: int) -> None:
    """Progress that nobody wants to see."""
