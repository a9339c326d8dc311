"""``ostiary export personal`` and ``export verifier``: what makes verifiers, and what runs them."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ostiary.cli.console import err, progress
from ostiary.errors import ConfigurationError, MissingExtraError

Version = Annotated[str, typer.Option(help="Version of the weights.")]
Licence = Annotated[str, typer.Option(help="Licence of the weights.")]
Notes = Annotated[str, typer.Option(help="Anything a user of the weights should know.")]


class Theta(str, Enum):
    """How a verifier's file is given the weights of a person."""

    by_input = "input"
    by_place = "place"


def personal(
    model: Annotated[Path, typer.Argument(help="model.safetensors of `train personal`.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The generator's file to write.", show_default=False)],
    weights: Annotated[
        str | None,
        typer.Option(
            help="Weights of the face embedding that the generator was trained for: a file, or a name.",
            show_default=False,
        ),
    ] = None,
    index: Annotated[
        list[Path] | None,
        typer.Option(
            help="Identity CSV of the training: its held-out people give the threshold.", show_default=False
        ),
    ] = None,
    images: Annotated[
        list[Path] | None, typer.Option(help="Folders or tars of its aligned crops.", show_default=False)
    ] = None,
    backbone: Annotated[
        Path | None,
        typer.Option(help="File of `train face-teacher`, to check the weights by.", show_default=False),
    ] = None,
    fmr: Annotated[float, typer.Option(help="False match rate that the threshold keeps.")] = 1e-3,
    name: Annotated[str | None, typer.Option(help="Default: of form and verifier.", show_default=False)] = None,
    version: Version = "1",
    licence: Licence = "Apache-2.0",
    notes: Notes = "",
    record: Annotated[
        Path | None, typer.Option(help="Write what was measured on the way, as JSON.", show_default=False)
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of decoded pictures; default: beside MODEL.", show_default=False)
    ] = None,
) -> None:
    """Write the generator that makes people's own verifiers, with a threshold if people are given.

    Example: ostiary export personal runs/head/model.safetensors --weights slim_face
    --backbone teachers/slim_face.npz --index people.csv --images people.tar --out generator.onnx
    """
    import json

    from ostiary.cli.train_face import read_index
    from ostiary.data.pictures import open_pictures
    from ostiary.reports.folder import replace_file

    try:
        from ostiary.export.personal_release import release_personal
        from ostiary.export.release import Terms
        from ostiary.runtime.foreign import open_embedding
        from ostiary.training.personal.run import load_personal
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "torch", "train") from None
    if bool(index) != bool(images):
        raise ConfigurationError("--index and --images go together: a list of people, and their pictures.")
    trained = load_personal(model)
    people = None
    if index and images:
        people = read_index(index), open_pictures(images)
    terms = Terms(name or f"{trained.recipe.form}_{trained.recipe.architecture}", version, licence, notes)
    with progress() as report:
        released = release_personal(
            trained, open_embedding(weights), out, terms, people=people, backbone=backbone,
            cache=cache or model.parent / "cache", fmr=fmr, progress=report,
        )  # fmt: skip
    if record is not None:
        replace_file(record, json.dumps(released.record, indent=1) + "\n")
    err.print(f"wrote {out} ({released.record['bytes'] / 1e6:.2f} MB)", highlight=False, soft_wrap=True)
    if released.record["note"] is not None:
        err.print(released.record["note"], highlight=False, soft_wrap=True)
    if released.record["threshold"] is None:
        err.print("it holds no threshold: give --index and --images for one", highlight=False)


def verifier(
    out: Annotated[Path, typer.Option(help="The verifier's file to write.", show_default=False)],
    architecture: Annotated[str, typer.Option(help="f112, f112w or f64.")] = "f112",
    theta: Annotated[
        Theta, typer.Option(help="How it is given a person's weights: as an input, or in the place of zeros.")
    ] = Theta.by_input,
    name: Annotated[str | None, typer.Option(help="Default: of the architecture.", show_default=False)] = None,
    version: Version = "1",
    licence: Licence = "Apache-2.0",
    notes: Notes = "",
) -> None:
    """Write the file that runs everybody's verifier; nothing in it is trained.

    Example: ostiary export verifier --architecture f112 --theta place --out verifier.onnx
    """
    try:
        from ostiary.export.personal_release import release_verifier
        from ostiary.export.release import Terms
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "torch", "train") from None
    terms = Terms(name or f"verifier_{architecture}", version, licence, notes)
    path = release_verifier(architecture, out, terms, place=theta is Theta.by_place)
    err.print(f"wrote {out} ({path.stat().st_size / 1e3:.0f} kB)", highlight=False, soft_wrap=True)
