"""``ostiary train face`` and the question to its teachers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ostiary.cli.console import out, progress
from ostiary.cli.training_options import (
    Accelerator,
    Cache,
    Crops,
    Epochs,
    Fresh,
    IdentityFiles,
    Network,
    Peers,
    Precision,
    Processes,
    RunFolder,
    Seed,
    Teachers,
    Workers,
)

if TYPE_CHECKING:
    from ostiary.data.identities import IdentityIndex

RecipeName = Annotated[str, typer.Option(help="Name of a face recipe; `ostiary train recipes` lists them.")]


def face(
    index: IdentityFiles,
    images: Crops,
    out_folder: RunFolder,
    recipe: RecipeName = "few_people",
    network: Network = None,
    start_from: Annotated[
        Path | None,
        typer.Option(
            help="model.safetensors of an earlier run to start from; a network with a dial starts from the one "
            "without.",
            show_default=False,
        ),
    ] = None,
    epochs: Epochs = None,
    seed: Seed = 0,
    teachers: Teachers = None,
    peers: Peers = None,
    cache: Cache = None,
    workers: Workers = 2,
    processes: Processes = 1,
    accelerator: Accelerator = "auto",
    precision: Precision = "32-true",
    fresh: Fresh = False,
) -> None:
    """Train a face network. An interrupted run goes on where its last epoch ended, on the same curve.

    Example: ostiary train face --index people.csv --images people.tar --teachers runs/teachers --out runs/face
    """
    from ostiary.data.identity_readers import open_faces
    from ostiary.training.embedding.recipe import altered, face_recipe
    from ostiary.training.embedding.run import FaceRunSettings, train_face

    chosen = altered(face_recipe(recipe), network=network, epochs=epochs, processes=processes)
    settings = FaceRunSettings(
        out=out_folder, cache=cache or out_folder / "cache", teachers=teachers, peers=peers, start=start_from,
        seed=seed, workers=workers, processes=processes, accelerator=accelerator, precision=precision,
        resume=not fresh,
    )  # fmt: skip
    with progress() as report:
        path = train_face(
            chosen,
            read_index(index),
            open_faces(images),
            settings,
            lambda done, total: report("reading the pictures", done, total),
        )
    out.print(str(path))


def face_teacher(
    index: IdentityFiles,
    images: Crops,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder for one file a teacher.")],
    teacher: Annotated[str | None, typer.Option(help="Whom to ask: sface or foamliu.", show_default=False)] = None,
    peers: Annotated[
        Path | None, typer.Option(help="Folder of the teachers' ONNX files.", show_default=False)
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="Ask a weights file, or a name that `weights list` shows.", show_default=False),
    ] = None,
    recipe: RecipeName = "few_people",
    cache: Cache = None,
) -> None:
    """Ask a network for the embedding of every training picture, once: a teacher, or a personal backbone.

    Example: ostiary train face-teacher --index people.csv --images people.tar --teacher sface --peers models
    --out runs/teachers
    """
    from ostiary.data.identity_readers import open_faces
    from ostiary.reports.embedders import choose_embedder
    from ostiary.training.embedding.recipe import face_recipe
    from ostiary.training.embedding.run import training_portraits
    from ostiary.training.embedding.teachers import ask_teacher

    chosen = face_recipe(recipe)
    asked = choose_embedder(weights, [teacher] if teacher else [], peers)
    with progress() as report:
        portraits = training_portraits(
            chosen,
            read_index(index),
            open_faces(images),
            cache or out_folder / "cache",
            lambda done, total: report("reading the pictures", done, total),
        )
        path = ask_teacher(
            asked,
            chosen,
            portraits,
            out_folder,
            lambda done, total: report(f"asking {asked.name}", done, total),
        )
    out.print(str(path))


def read_index(paths: list[Path]) -> IdentityIndex:
    """Several identity CSVs as one index."""
    from ostiary.data.identities import IdentityIndex

    return IdentityIndex.concatenate(IdentityIndex.read_csv(path) for path in paths)
