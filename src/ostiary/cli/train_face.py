"""``ostiary train face`` and the question to its teachers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ostiary.cli.console import out, progress

if TYPE_CHECKING:
    from ostiary.data.identities import IdentityIndex

Index = Annotated[
    list[Path], typer.Option(help="Identity CSV (`data faces`); may be given several times.", show_default=False)
]
Images = Annotated[
    list[Path],
    typer.Option(help="Folder or tar of aligned crops; may be given several times.", show_default=False),
]
RecipeName = Annotated[str, typer.Option(help="Name of a face recipe; `ostiary train recipes` lists them.")]
Cache = Annotated[
    Path | None, typer.Option(help="Folder for decoded pictures; default: OUT/cache.", show_default=False)
]

Workers = Annotated[int, typer.Option(help="Processes that prepare pictures.")]
Processes = Annotated[
    int, typer.Option(help="Training processes on this host (with torchrun: its --nproc-per-node).")
]
Accelerator = Annotated[str, typer.Option(help="cpu, gpu or auto.")]
Precision = Annotated[str, typer.Option(help="32-true, bf16-mixed, ...")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start anew even if OUT holds a checkpoint.")]


def face(
    index: Index,
    images: Images,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder for checkpoints, curves and the model.")],
    recipe: RecipeName = "few_people",
    network: Annotated[
        str | None, typer.Option(help="Another network for the same recipe.", show_default=False)
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Another length than the recipe's.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides every random choice of the run.")] = 0,
    teachers: Annotated[
        Path | None, typer.Option(help="Folder of `train face-teacher`.", show_default=False)
    ] = None,
    peers: Annotated[
        Path | None,
        typer.Option(help="Folder of deployed networks, for a teacher that watches.", show_default=False),
    ] = None,
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
        out=out_folder, cache=cache or out_folder / "cache", teachers=teachers, peers=peers, seed=seed,
        workers=workers, processes=processes, accelerator=accelerator, precision=precision, resume=not fresh,
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
    index: Index,
    images: Images,
    teacher: Annotated[str, typer.Option(help="Whom to ask: sface or foamliu.")],
    peers: Annotated[Path, typer.Option(help="Folder of the teachers' ONNX files.")],
    out_folder: Annotated[Path, typer.Option("--out", help="Folder for one file a teacher.")],
    recipe: RecipeName = "few_people",
    cache: Cache = None,
) -> None:
    """Ask a deployed network for the embedding of every training picture, once; recipes can follow them.

    Example: ostiary train face-teacher --index people.csv --images people.tar --teacher sface --peers models
    --out runs/teachers
    """
    from ostiary.data.identity_readers import open_faces
    from ostiary.reports.embedders import open_embedder
    from ostiary.training.embedding.recipe import face_recipe
    from ostiary.training.embedding.run import training_portraits
    from ostiary.training.embedding.teachers import ask_teacher

    chosen = face_recipe(recipe)
    with progress() as report:
        portraits = training_portraits(
            chosen,
            read_index(index),
            open_faces(images),
            cache or out_folder / "cache",
            lambda done, total: report("reading the pictures", done, total),
        )
        path = ask_teacher(
            open_embedder(teacher, peers),
            chosen,
            portraits,
            out_folder,
            lambda done, total: report(f"asking {teacher}", done, total),
        )
    out.print(str(path))


def read_index(paths: list[Path]) -> IdentityIndex:
    """Several identity CSVs as one index."""
    from ostiary.data.identities import IdentityIndex

    return IdentityIndex.concatenate(IdentityIndex.read_csv(path) for path in paths)
