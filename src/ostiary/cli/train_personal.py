"""``ostiary train personal``: the generator of personal verifiers, its start and its rival."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostiary.cli.console import out, progress
from ostiary.cli.training_options import (
    Accelerator,
    Cache,
    Crops,
    Epochs,
    Fresh,
    IdentityFiles,
    Precision,
    Processes,
    RunFolder,
    Seed,
    Workers,
)


def personal(
    index: IdentityFiles,
    images: Crops,
    backbone: Annotated[
        Path, typer.Option(help="File of `train face-teacher`: what the backbone makes of the pictures.")
    ],
    out_folder: RunFolder,
    recipe: Annotated[str, typer.Option(help="Name of a personal recipe.")] = "personal",
    form: Annotated[
        str | None,
        typer.Option(help="direct, basis, modulation, late, head; static: the rival.", show_default=False),
    ] = None,
    architecture: Annotated[str | None, typer.Option(help="f112, f112w or f64.", show_default=False)] = None,
    start: Annotated[
        str | None, typer.Option(help="Another start than the recipe's: static or noise.", show_default=False)
    ] = None,
    start_from: Annotated[
        Path | None,
        typer.Option(help="model.safetensors of a run with --recipe personal_start.", show_default=False),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            help="hard, early_hard, patience, schedule, penalty, distillation or weights; may be given several "
            "times.",
            show_default=False,
        ),
    ] = None,
    epochs: Epochs = None,
    seed: Seed = 0,
    cache: Cache = None,
    workers: Workers = 2,
    processes: Processes = 1,
    accelerator: Accelerator = "auto",
    precision: Precision = "32-true",
    fresh: Fresh = False,
) -> None:
    """Train what makes a verifier of one embedding; resumes from OUT if it holds a checkpoint.

    Example: ostiary train personal --index train.csv --images crops.tar --backbone teachers/sface.npz
    --recipe personal_start --out runs/static
    """
    from ostiary.cli.train_face import read_index
    from ostiary.data.identity_readers import open_faces
    from ostiary.training.personal.recipe import changed, personal_recipe
    from ostiary.training.personal.run import PersonalRunSettings, train_personal

    chosen = changed(
        personal_recipe(recipe),
        form=form,
        architecture=architecture,
        start=start,
        epochs=epochs,
        processes=processes,
        without=without or (),
    )
    settings = PersonalRunSettings(
        out=out_folder,
        cache=cache or out_folder / "cache",
        backbone=backbone,
        start=start_from,
        seed=seed,
        workers=workers,
        processes=processes,
        accelerator=accelerator,
        precision=precision,
        resume=not fresh,
    )
    with progress() as report:
        path = train_personal(
            chosen,
            read_index(index),
            open_faces(images),
            settings,
            lambda done, total: report("reading the pictures", done, total),
        )
    out.print(str(path))
