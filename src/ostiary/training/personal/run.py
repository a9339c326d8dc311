"""From a personal recipe, data and a backbone to a trained generator: what ``ostiary train personal`` does."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from ostiary.data.identities import IdentityIndex
from ostiary.data.pictures import PictureStore
from ostiary.errors import InputError
from ostiary.networks.hypernetwork import Hypernetwork
from ostiary.networks.static_verifier import StaticVerifier
from ostiary.reports.provenance import commit
from ostiary.training.allocator import keep_freed_memory
from ostiary.training.checkpoint import load_tensors, save_tensors
from ostiary.training.embedding.portraits import Portraits
from ostiary.training.embedding.run import apart, training_portraits
from ostiary.training.fit import fit, make_fabric
from ostiary.training.personal.backbone import Backbone, open_backbone
from ostiary.training.personal.batches import Enrollable
from ostiary.training.personal.recipe import PersonalRecipe
from ostiary.training.personal.sampling import PeopleSampler, Suspects
from ostiary.training.personal.task import PersonalTask, calibrated, make_network

Progress = Callable[[int, int], None]

SUSPECTS = "suspects.csv"


@dataclass(frozen=True, slots=True)
class PersonalRunSettings:
    """Where a run reads and writes, and on what it runs."""

    out: Path
    cache: Path
    backbone: Path
    """File of ``train face-teacher``: the backbone's embeddings of the unchanged pictures."""
    start: Path | None = None
    """``model.safetensors`` of a static network, for recipes that start from one."""
    seed: int = 0
    workers: int = 2
    processes: int = 1
    accelerator: str = "auto"
    precision: str = "32-true"
    resume: bool = True


@dataclass(frozen=True, slots=True)
class TrainedPersonal:
    """A trained generator, or a static network, with the record of how it came about."""

    network: Hypernetwork | StaticVerifier
    recipe: PersonalRecipe
    record: dict[str, Any]


def train_personal(
    recipe: PersonalRecipe,
    index: IdentityIndex,
    pictures: PictureStore,
    settings: PersonalRunSettings,
    progress: Progress | None = None,
) -> Path:
    """Train, and write ``model.safetensors`` and ``suspects.csv`` beside the run's journal.

    Args:
        recipe: what to train.
        index: its split ``train`` is learnt from, but for the people that the recipe holds out.
        pictures: aligned crops of 112 pixels.
        settings: where and on what.
        progress: called with (done, total) pictures decoded; the loop has a progress bar of its own.

    Returns:
        The path of ``model.safetensors``; ``load_personal`` reads it.

    Raises:
        DataIndexError: nobody could be held out, too few people are left, or no picture could be used.
        InputError: the backbone's file does not fit, or the recipe needs a start and none was given.

    """
    fabric = make_fabric(
        processes=settings.processes, accelerator=settings.accelerator, precision=settings.precision
    )
    if fabric.device.type == "cpu":
        keep_freed_memory()
    fabric.launch()
    backbone = open_backbone(settings.backbone)
    start = _start(recipe, settings.start)
    portraits = training_portraits(recipe.faces(), index, pictures, settings.cache, progress)
    learnt, development = (_enrollable(part, backbone) for part in apart(recipe.faces(), portraits))
    torch.manual_seed(settings.seed)
    network = make_network(recipe, backbone.dimension, start)
    centre = recipe.distillation.centre
    centre = calibrated(learnt) if centre is None else centre
    task = PersonalTask(
        recipe, network, learnt, development,
        seed=settings.seed, workers=settings.workers, centre=centre, device=fabric.device,
    )  # fmt: skip
    suspects = _suspects(recipe, learnt, settings.seed)
    _, history = fit(
        task, recipe.schedule, settings.out, fabric=fabric, seed=settings.seed, resume=settings.resume
    )
    path = settings.out / "model.safetensors"
    if fabric.is_global_zero:
        record = {
            "task": "personal",
            "recipe": recipe.model_dump(mode="json"),
            "dimension": backbone.dimension,
            "backbone": backbone.name,
            "backbone_sha256": backbone.sha256,
            "centre": round(centre, 6),
            "start_sha256": _sha256(settings.start) if start is not None and settings.start is not None else None,
            "seed": settings.seed,
            "commit": commit(),
            "data": sorted({portrait.dataset for portrait in portraits.portraits}),
            "pictures": len(learnt.portraits),
            "people": int(learnt.people.max(initial=-1)) + 1,
            "held_out_people": int(development.people.max(initial=-1)) + 1,
            "dropped": len(portraits.dropped),
            "suspected_duplicates": len(suspects.duplicates),
            "suspected_mislabels": len(suspects.mislabels),
            "history": history,
        }
        _list_suspects(settings.out / SUSPECTS, suspects, learnt)
        save_tensors(path, dict(network.state_dict()), record)
        (settings.out / "model.json").write_text(json.dumps(record, indent=1))
    fabric.barrier()
    return path


def load_personal(path: Path) -> TrainedPersonal:
    """Read what ``train_personal`` wrote; the network is rebuilt from the recipe inside the file.

    Raises:
        WeightsError: no such file, or not a model of ostiary.
        InputError: it is the model of another task.

    """
    tensors, record = load_tensors(path)
    if record.get("task") != "personal":
        raise InputError(f"{path} is not of 'ostiary train personal'; name the model.safetensors of such a run.")
    recipe = PersonalRecipe.model_validate(record["recipe"])
    blank = StaticVerifier(recipe.shape, record["dimension"]) if recipe.start == "static" else None
    network = make_network(recipe, record["dimension"], blank)
    network.load_state_dict(tensors)
    return TrainedPersonal(network.eval(), recipe, record)


def _start(recipe: PersonalRecipe, path: Path | None) -> StaticVerifier | None:
    if recipe.form == "static" or recipe.start == "noise":
        return None
    if path is None:
        raise InputError(
            f"The recipe {recipe.name!r} starts from a static network: train one with 'ostiary train personal "
            "--recipe personal_start' and name its model.safetensors with --start-from, or start from noise."
        )
    trained = load_personal(path)
    if trained.recipe.form != "static":
        raise InputError(f"{path} is of the form {trained.recipe.form!r}; a start must be a static network.")
    return cast(StaticVerifier, trained.network)


def _enrollable(portraits: Portraits, backbone: Backbone) -> Enrollable:
    return Enrollable(portraits, IdentityIndex(portraits.portraits).classes(), backbone.of(portraits))


def _suspects(recipe: PersonalRecipe, learnt: Enrollable, seed: int) -> Suspects:
    """None for a static network, which needs no labels."""
    if recipe.form == "static":
        return Suspects([], [])
    return PeopleSampler(learnt.people, learnt.embeddings, recipe, seed).suspects(learnt.embeddings)


def _list_suspects(path: Path, suspects: Suspects, learnt: Enrollable) -> None:
    """A CSV of (kind, picture, other picture) for whoever wants to look at them."""
    names = [portrait.path for portrait in learnt.portraits.portraits]
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("kind", "picture", "other"))
        writer.writerows(("duplicate", names[one], names[other]) for one, other in suspects.duplicates)
        writer.writerows(("mislabel", names[picture], "") for picture in suspects.mislabels)
    partial.replace(path)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
