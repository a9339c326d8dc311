"""``ostiary train``: from data to weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostiary.cli.console import err, out, progress
from ostiary.cli.training_options import (
    Accelerator,
    Cache,
    Epochs,
    Fresh,
    Images,
    Index,
    Network,
    Peers,
    Precision,
    Processes,
    RunFolder,
    Seed,
    SoftTargets,
    StartFrom,
    Trunk,
    Workers,
)


def liveness(
    index: Index,
    images: Images,
    out_folder: RunFolder,
    recipe: Annotated[
        str, typer.Option(help="Name of a recipe; `ostiary train recipes` lists them.")
    ] = "strangers",
    network: Network = None,
    epochs: Epochs = None,
    seed: Seed = 0,
    trunk: Trunk = None,
    start_from: StartFrom = None,
    soft_targets: SoftTargets = None,
    peers: Peers = None,
    cache: Cache = None,
    workers: Workers = 2,
    processes: Processes = 1,
    accelerator: Accelerator = "auto",
    precision: Precision = "32-true",
    fresh: Fresh = False,
) -> None:
    """Train a liveness network. An interrupted run goes on where its last epoch ended, on the same curve.

    Example: ostiary train liveness --index nuaa.csv --images nuaa.tar --recipe paper --out runs/nuaa
    """
    from ostiary.data.index import Index as DataIndex
    from ostiary.data.pictures import open_pictures
    from ostiary.training.recipe import changed
    from ostiary.training.recipe import recipe as named
    from ostiary.training.run import RunSettings, train_liveness

    chosen = changed(
        named(recipe), network=network, epochs=epochs, processes=processes, trained=start_from is not None
    )
    settings = RunSettings(
        out=out_folder, cache=cache or out_folder / "cache", trunk=trunk, start=start_from,
        soft_targets=soft_targets, peers=peers, seed=seed, workers=workers, processes=processes,
        accelerator=accelerator, precision=precision, resume=not fresh,
    )  # fmt: skip
    data = DataIndex.concatenate(DataIndex.read_csv(path) for path in index)
    out.print(str(train_liveness(chosen, data, open_pictures(images), settings, progress)))


def average(
    models: Annotated[
        list[Path], typer.Argument(help="model.safetensors of runs on the same rows.", show_default=False)
    ],
    out_file: Annotated[Path, typer.Option("--out", help="The model.safetensors to write.")],
) -> None:
    """Write the mean of several runs' weights, to be exported like a run of its own.

    Example: ostiary train average runs/a/model.safetensors runs/b/model.safetensors --out mean.safetensors
    """
    from ostiary.training.averaging import average_models

    out.print(str(average_models(models, out_file)), soft_wrap=True)


def soft_targets(
    index: Index,
    images: Images,
    peers: Annotated[Path, typer.Option(help="Folder of the teachers' ONNX files.")],
    out_file: Annotated[Path, typer.Option("--out", help="CSV to write.")],
    split: Annotated[str, typer.Option(help="Only this split.")] = "train",
) -> None:
    """Ask deployed networks about every training picture, once; recipes can follow their answers.

    Example: ostiary train soft-targets --index nuaa.csv --images nuaa.tar --peers peers --out soft.csv
    """
    from rich.progress import track

    from ostiary.data.index import Index as DataIndex
    from ostiary.data.pictures import open_pictures
    from ostiary.training.soft_targets import ask_peers, write_soft_targets

    data = DataIndex.concatenate(DataIndex.read_csv(path) for path in index).select(split=split)
    answers = ask_peers(data, open_pictures(images), peers)
    write_soft_targets(out_file, track(answers, "asking the teachers", total=len(data), console=err))


def recipes() -> None:
    """List the recipes.

    Example: ostiary train recipes
    """
    from ostiary.training.embedding.recipe import face_recipes
    from ostiary.training.personal.recipe import personal_recipes
    from ostiary.training.recipe import recipes as liveness_recipes

    for task, known in (
        ("liveness", liveness_recipes()),
        ("face", face_recipes()),
        ("personal", personal_recipes()),
    ):
        for recipe in known.values():
            out.print(f"{task:9}[bold]{recipe.name}[/bold]  {recipe.summary}", highlight=False, soft_wrap=True)
