"""``ostiary export``: from a trained network to a weights file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostiary.cli.console import err, progress
from ostiary.errors import MissingExtraError


def liveness(
    model: Annotated[Path, typer.Argument(help="model.safetensors of a training run.", show_default=False)],
    index: Annotated[
        list[Path], typer.Option(help="Index CSV with the splits train and development.", show_default=False)
    ],
    images: Annotated[list[Path], typer.Option(help="Folders or tars of its pictures.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The weights file to write.", show_default=False)],
    name: Annotated[str | None, typer.Option(help="Default: the network's.", show_default=False)] = None,
    version: Annotated[str, typer.Option(help="Version of the weights.")] = "1",
    licence: Annotated[
        str | None,
        typer.Option(
            help="Licence of the weights; default: that of the weights which the training started from, or "
            "Apache-2.0.",
            show_default=False,
        ),
    ] = None,
    notes: Annotated[str, typer.Option(help="Anything a user of the weights should know.")] = "",
    int8: Annotated[
        str | None, typer.Option(help="Write this one configuration with 8-bit weights.", show_default=False)
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="Write what was measured on the way, as JSON.", show_default=False)
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder of decoded pictures; default: beside MODEL.", show_default=False),
    ] = None,
) -> None:
    """Choose BatchNorm statistics and thresholds on development data, and write one file for all configurations.

    Example: ostiary export liveness runs/mine/model.safetensors --index mine.csv --images mine.tar --out mine.onnx
    """
    import json

    from ostiary.data.index import Index
    from ostiary.data.pictures import open_pictures
    from ostiary.reports.folder import replace_file

    try:
        from ostiary.export.release import Terms, inherited_licence, release_liveness
        from ostiary.training.model import load_model
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "torch", "train") from None
    trained = load_model(model)
    terms = Terms(name or trained.recipe.network, version, licence or inherited_licence(trained), notes)
    data = Index.concatenate(Index.read_csv(path) for path in index)
    with progress() as report:
        released = release_liveness(
            trained, data, open_pictures(images), out, terms, int8=int8, cache=cache or model.parent / "cache",
            progress=report,
        )  # fmt: skip
    if record is not None:
        replace_file(record, json.dumps(released.record, indent=1) + "\n")
    err.print(f"wrote {out} ({out.stat().st_size / 1e6:.2f} MB)", highlight=False, soft_wrap=True)
