"""From a face recipe and data to a trained network: what ``ostiary train face`` does."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from ostiary.data.identities import Identity, IdentityIndex, Portrait
from ostiary.data.pictures import PictureStore
from ostiary.errors import DataIndexError, InputError
from ostiary.networks.face_network import FaceNetwork
from ostiary.reports.provenance import commit
from ostiary.training.allocator import keep_freed_memory
from ostiary.training.checkpoint import load_tensors, save_tensors
from ostiary.training.embedding.batches import Faces
from ostiary.training.embedding.head_start import asked_beforehand, asked_live, head_start
from ostiary.training.embedding.live_teachers import LiveTeachers
from ostiary.training.embedding.portraits import Portraits, load_portraits
from ostiary.training.embedding.recipe import FaceRecipe
from ostiary.training.embedding.sharded import Part
from ostiary.training.embedding.task import FaceTask
from ostiary.training.embedding.teachers import read_targets
from ostiary.training.embedding.trained_start import begin_from
from ostiary.training.embedding.watcher import FaceWatcher
from ostiary.training.fit import fit, make_fabric

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class FaceRunSettings:
    """Where a run reads and writes, and on what it runs; none of it changes the curve."""

    out: Path
    cache: Path
    teachers: Path | None = None
    """Folder of ``train face-teacher``, for recipes that follow teachers asked beforehand."""
    peers: Path | None = None
    """Folder of deployed networks, for recipes with a watcher."""
    start: Path | None = None
    """``model.safetensors`` of an earlier run to start from, whatever start the recipe names."""
    seed: int = 0
    workers: int = 2
    processes: int = 1
    accelerator: str = "auto"
    precision: str = "32-true"
    resume: bool = True


@dataclass(frozen=True, slots=True)
class TrainedFaceNetwork:
    """A trained network with the record of how it came about."""

    network: FaceNetwork
    recipe: FaceRecipe
    record: dict[str, Any]


def train_face(
    recipe: FaceRecipe,
    index: IdentityIndex,
    pictures: PictureStore,
    settings: FaceRunSettings,
    progress: Progress | None = None,
) -> Path:
    """Train, and write ``model.safetensors`` beside the run's journal.

    Args:
        index: its split ``train`` is learnt from, but for the people that the recipe holds out.
        progress: called with (done, total) pictures decoded; the loop has a progress bar of its own.

    Returns:
        The path of ``model.safetensors``; ``load_face_network`` reads it.

    Raises:
        DataIndexError: nobody could be held out, or no picture could be used.
        InputError: the recipe follows teachers and their folder was not given, or does not fit.
        ConfigurationError: the run cannot start from ``settings.start``, which is of another network.
        WeightsError: ``settings.start`` cannot be read.

    """
    fabric = make_fabric(
        processes=settings.processes, accelerator=settings.accelerator, precision=settings.precision
    )
    if fabric.device.type == "cpu":
        keep_freed_memory()
    fabric.launch()
    torch.manual_seed(settings.seed)
    network = recipe.untrained()
    portraits = training_portraits(recipe, index, pictures, settings.cache, progress)
    learnt, development = apart(recipe, portraits)
    live = _live(recipe, settings.peers, fabric.device)
    faces = gather(recipe, learnt, settings.teachers)
    watcher = _watcher(recipe, settings.peers)
    resumed = settings.resume and (settings.out / "checkpoint.safetensors").exists()  # then it is in there
    if settings.start is not None and not resumed:
        begin_from(load_face_network(settings.start).network, network, settings.start)
    elif recipe.start == "watcher" and watcher is not None and not resumed:
        taught = asked_beforehand(faces, watcher) if live is None else asked_live(live, fabric.device)
        head_start(recipe, network, learnt, watcher, taught, settings.seed)
    part = Part(fabric.global_rank, fabric.world_size)
    task = FaceTask(
        recipe,
        network,
        faces,
        development,
        seed=settings.seed,
        workers=settings.workers,
        part=part,
        watcher=watcher,
        live=live,
        device=fabric.device,
    )
    _, history = fit(
        task, recipe.schedule, settings.out, fabric=fabric, seed=settings.seed, resume=settings.resume
    )
    path = settings.out / "model.safetensors"
    if fabric.is_global_zero:
        record = {
            "recipe": recipe.model_dump(mode="json"),
            "seed": settings.seed,
            "commit": commit(),
            "data": sorted({portrait.dataset for portrait in learnt.portraits}),
            "index_sha256": _hash(portraits.portraits),
            "start_sha256": None
            if settings.start is None
            else hashlib.sha256(settings.start.read_bytes()).hexdigest(),
            "pictures": len(learnt),
            "people": int(faces.people.max(initial=-1)) + 1,
            "held_out_people": len({portrait.person for portrait in development.portraits}),
            "dropped": len(portraits.dropped),
            "history": history,
        }
        save_tensors(path, dict(network.state_dict()), record)
        (settings.out / "model.json").write_text(json.dumps(record, indent=1))
    fabric.barrier()
    return path


def load_face_network(path: Path) -> TrainedFaceNetwork:
    """Read what ``train_face`` wrote; the network is rebuilt from the recipe inside the file.

    Raises:
        WeightsError: no such file, or not a model of ostiary.
        InputError: it is the model of another task.

    """
    tensors, record = load_tensors(path)
    try:
        recipe = FaceRecipe.model_validate(record.get("recipe"))
    except ValidationError:
        sentence = f"{path} is not of 'ostiary train face'; name the model.safetensors of such a run."
        raise InputError(sentence) from None
    network = recipe.untrained()
    network.load_state_dict(tensors)
    return TrainedFaceNetwork(network.eval(), recipe, record)


def training_portraits(
    recipe: FaceRecipe,
    index: IdentityIndex,
    pictures: PictureStore,
    cache: Path,
    progress: Progress | None = None,
) -> Portraits:
    """The crops of the split ``train``, decoded now or taken from the cache.

    Raises:
        DataIndexError: the split is empty, or not one picture could be used.

    """
    train = index.select(split="train")
    if not len(train):
        raise DataIndexError("The index has no pictures of split 'train': fill in its 'split' column.")
    return load_portraits(train, pictures, cache, recipe.preprocess.size, progress)


def apart(recipe: FaceRecipe, portraits: Portraits) -> tuple[Portraits, Portraits]:
    """What is learnt from, and the pictures of people held out for the figures of each epoch.

    People are held out by a hash of their name, so that more data does not move anybody to the other side;
    only such as have several pictures can be compared.

    Raises:
        DataIndexError: fewer than two people could be held out.

    """
    counts = Counter(portrait.person for portrait in portraits.portraits)
    held = {
        person
        for person, count in counts.items()
        if person is not None and count >= _FEWEST and _share(person) < recipe.held_out
    }
    if len(held) < 2:
        raise DataIndexError(
            f"Fewer than two people with {_FEWEST} pictures or more could be held out to judge the epochs: "
            "give more people, or a recipe that holds out a larger share."
        )
    learnt = [i for i, portrait in enumerate(portraits.portraits) if portrait.person not in held]
    judged = [i for i, portrait in enumerate(portraits.portraits) if portrait.person in held]
    return portraits.select(learnt), portraits.select(judged)


def gather(recipe: FaceRecipe, portraits: Portraits, teachers: Path | None) -> Faces:
    """Portraits with the number of each person, and the teachers' targets if the recipe follows any.

    Raises:
        InputError: the recipe follows teachers and their folder was not given, or does not fit.

    """
    people = IdentityIndex(portraits.portraits).classes()
    if recipe.prepared == "device":  # teachers are asked live, then
        return Faces(portraits, people, np.empty((1, len(portraits), 0), np.float16))
    if recipe.teaching is not None and recipe.teaching.teachers and teachers is None:
        raise InputError(
            f"The recipe {recipe.name!r} follows teachers: ask them with 'ostiary train face-teacher' and name "
            "the folder with --teachers."
        )
    return Faces(portraits, people, read_targets(teachers or Path(), recipe, portraits))


def _watcher(recipe: FaceRecipe, peers: Path | None) -> FaceWatcher | None:
    if recipe.teaching is None or recipe.teaching.watcher is None:
        return None
    if peers is None:
        raise InputError(
            f"The recipe {recipe.name!r} has a teacher that watches: name the folder of its file with --peers."
        )
    return FaceWatcher(peers, recipe.teaching.watcher, followed=recipe.teaching.followed)


def _live(recipe: FaceRecipe, peers: Path | None, device: torch.device) -> LiveTeachers | None:
    if recipe.prepared != "device" or recipe.teaching is None:
        return None
    if peers is None:
        raise InputError(
            f"The recipe {recipe.name!r} has live teachers: name the folder of their files with --peers."
        )
    return LiveTeachers(peers, recipe.teaching).to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload,no-any-return]


_FEWEST = 4
"""Pictures below which a person says little about false non-matches."""


def _share(person: Identity) -> float:
    """A number in [0, 1) that belongs to a person."""
    return int.from_bytes(hashlib.sha256("/".join(person).encode()).digest()[:4], "big") / 2**32


def _hash(portraits: Sequence[Portrait]) -> str:
    digest = hashlib.sha256()
    for portrait in portraits:
        digest.update(f"{portrait}\n".encode())
    return digest.hexdigest()
