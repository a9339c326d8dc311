"""Whom a trained personal verifier may be measured on: people whom its training held out, or those of a split."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ostiary.data.identities import IdentityIndex
from ostiary.data.identity_readers import open_faces
from ostiary.errors import ConfigurationError, DataIndexError
from ostiary.runtime.embedding import EmbeddingModel
from ostiary.training.embedding.portraits import Portraits, load_portraits
from ostiary.training.embedding.run import apart, training_portraits
from ostiary.training.personal.backbone import open_backbone
from ostiary.training.personal.batches import Enrollable
from ostiary.training.personal.recipe import STORED
from ostiary.training.personal.run import TrainedPersonal, load_personal

BATCH = 64


@dataclass(frozen=True, slots=True)
class People:
    """A trained model, the people it learnt from, and those whom it is measured on, whom ``said`` describes."""

    model: TrainedPersonal
    learnt: Enrollable
    judged: Enrollable
    said: str


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="model.safetensors of `train personal`")
    parser.add_argument("--index", type=Path, action="append", required=True, help="identity CSV; repeatable")
    parser.add_argument("--images", type=Path, action="append", required=True, help="folder or tar; repeatable")
    parser.add_argument("--backbone", type=Path, required=True, help="the file of `train face-teacher`")
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded pictures, as in training")
    parser.add_argument("--split", help="judge people of this split, in place of those held out of the training")
    parser.add_argument("--weights", help="weights of the backbone, a file or a name; needed with --split")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures here as well")


def open_people(options: argparse.Namespace) -> People:
    """What the options name.

    Raises:
        ConfigurationError: the model was trained for another backbone, or --split came without --weights.
        DataIndexError: the split has no pictures.

    """
    if options.split is not None and options.weights is None:
        raise ConfigurationError(
            f"The backbone's file does not know the split {options.split!r}: name the backbone with --weights."
        )
    model, backbone = load_personal(options.model), open_backbone(options.backbone)
    if model.record["backbone_sha256"] != backbone.sha256:
        raise ConfigurationError(
            f"{options.model} was trained with another file of {model.record['backbone']} than "
            f"{options.backbone}: name the one that it was trained with."
        )
    index = IdentityIndex.concatenate(IdentityIndex.read_csv(path) for path in options.index)
    pictures, faces = open_faces(options.images), model.recipe.faces()
    learnt, held = apart(faces, training_portraits(faces, index, pictures, options.cache))
    if options.split is None:
        said = "people whom the training held out (development data: the training's figures were read on them)"
        judged = enrollable(held, backbone.of(held))
    else:
        chosen = index.select(split=options.split)
        if not len(chosen):
            raise DataIndexError(
                f"The index has no pictures of the split {options.split!r}; name one that it has."
            )
        portraits = load_portraits(chosen, pictures, options.cache, STORED)
        said = f"people of the split {options.split!r}"
        judged = enrollable(portraits, embedded(portraits, options.weights, str(model.record["backbone"])))
    return People(model, enrollable(learnt, backbone.of(learnt)), judged, said)


def enrollable(portraits: Portraits, embeddings: NDArray[np.float32]) -> Enrollable:
    return Enrollable(portraits, IdentityIndex(portraits.portraits).classes(), embeddings)


def embedded(portraits: Portraits, weights: str, name: str) -> NDArray[np.float32]:
    """Embeddings (N, D) by the backbone itself."""
    backbone = EmbeddingModel(weights)
    if backbone.name != name:
        raise ConfigurationError(
            f"The model was trained for {name}, and {weights} is {backbone.name}: name that one."
        )
    parts = [
        backbone.embed(portraits.crops(range(begin, min(begin + BATCH, len(portraits)))))
        for begin in range(0, len(portraits), BATCH)
    ]
    return np.concatenate(parts)


def header(people: People, options: argparse.Namespace) -> dict[str, Any]:
    """What stands above every table."""
    record = people.model.record
    return {
        "model": f"{people.model.recipe.form} {people.model.recipe.architecture}",
        "backbone": record["backbone"],
        "training_commit": record["commit"],
        "people": people.said,
        "seed": options.seed,
    }


def unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
