"""``ostiary export face``: from a trained face network to a weights file for one target."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ostiary.cli.console import err, progress
from ostiary.errors import ConfigurationError, MissingExtraError


class Target(str, Enum):
    """What a file is for."""

    fp32 = "cpu-fp32"
    int8 = "cpu-int8"


def face(
    model: Annotated[Path, typer.Argument(help="model.safetensors of a training run.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The weights file to write.", show_default=False)],
    target: Annotated[Target, typer.Option("--for", help="What the file is for.")] = Target.fp32,
    index: Annotated[
        list[Path] | None,
        typer.Option(
            help="Identity CSV of the training: its held-out people give the threshold.", show_default=False
        ),
    ] = None,
    images: Annotated[
        list[Path] | None, typer.Option(help="Folders or tars of its aligned crops.", show_default=False)
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Folder or tar of aligned crops for 8-bit ranges; default: from --index.", show_default=False
        ),
    ] = None,
    fmr: Annotated[float, typer.Option(help="False match rate that the threshold keeps.")] = 1e-3,
    flip: Annotated[
        bool, typer.Option("--flip", help="The threshold is for means with the mirrored face's embedding.")
    ] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Not in the fastest form but as it was trained, for comparisons.")
    ] = False,
    word: Annotated[str, typer.Option(help="Configuration of an adaptive network.", show_default=False)] = "",
    name: Annotated[str | None, typer.Option(help="Default: the network's.", show_default=False)] = None,
    version: Annotated[str, typer.Option(help="Version of the weights.")] = "1",
    licence: Annotated[str, typer.Option(help="Licence of the weights.")] = "Apache-2.0",
    notes: Annotated[str, typer.Option(help="Anything a user of the weights should know.")] = "",
    record: Annotated[
        Path | None, typer.Option(help="Write what was measured on the way, as JSON.", show_default=False)
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of decoded pictures; default: beside MODEL.", show_default=False)
    ] = None,
) -> None:
    """Write a face network in the form that is fastest on its target, with a threshold if people are given.

    Example: ostiary export face runs/face/model.safetensors --index people.csv --images people.tar --out face.onnx
    """
    import json

    from ostiary.cli.train_face import read_index
    from ostiary.data.pictures import open_pictures
    from ostiary.reports.folder import replace_file

    try:
        from ostiary.export.face_release import read_crops, release_face
        from ostiary.export.release import Terms
        from ostiary.training.embedding.run import load_face_network
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "torch", "train") from None
    if bool(index) != bool(images):
        raise ConfigurationError("--index and --images go together: a list of people, and their pictures.")
    trained = load_face_network(model)
    people = None
    if index and images:
        people = read_index(index), open_pictures(images)
    crops = None if calibration is None else read_crops(calibration, trained.recipe.preprocess.size)
    terms = Terms(name or trained.recipe.network, version, licence, notes)
    with progress() as report:
        released = release_face(
            trained, out, terms, target=target.value, people=people, cache=cache or model.parent / "cache",
            calibration=crops, word=word, fmr=fmr, flip=flip, plain=plain, progress=report,
        )  # fmt: skip
    if record is not None:
        replace_file(record, json.dumps(released.record, indent=1) + "\n")
    written = f"wrote {out} ({released.record['bytes'] / 1e6:.2f} MB, {released.record['form']})"
    err.print(written, highlight=False, soft_wrap=True)
    if released.record["threshold"] is None:
        err.print("it holds no threshold: give --index and --images for one", highlight=False)
