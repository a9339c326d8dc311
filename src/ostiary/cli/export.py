"""``ostiary export``: from a trained network to a weights file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ostiary.cli.console import err
from ostiary.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    from ostiary.data.index import Index
    from ostiary.data.pictures import PictureStore


def liveness(
    checkpoint: Annotated[
        Path, typer.Argument(help="Folder of a training run, or its model.safetensors.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="The weights file to write.", show_default=False)],
    version: Annotated[str, typer.Option(help="Version of the weights.")] = "1",
    licence: Annotated[str, typer.Option(help="Licence of the weights.")] = "Apache-2.0",
    notes: Annotated[str, typer.Option(help="Anything a user of the weights should know.")] = "",
    default_configuration: Annotated[
        str, typer.Option(help="Configuration used when none is asked for.")
    ] = "HHH",
    int8: Annotated[
        str | None, typer.Option(help="Write this one configuration with 8-bit weights.", show_default=False)
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Index CSV to calibrate --int8 on; no test data.", show_default=False)
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder or tar of the pictures of --calibration.", show_default=False)
    ] = None,
) -> None:
    """Write a trained network as one file for all its configurations, after checking it against torch.

    Example: ostiary export liveness runs/mine --out mine.onnx
    """
    try:
        from ostiary.export.checkpoint import read_checkpoint
        from ostiary.export.onnx import export_liveness
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "torch", "train") from None
    read = read_checkpoint(
        checkpoint, version=version, licence=licence, default_configuration=default_configuration, notes=notes
    )
    if int8 is None:
        export_liveness(read.net, out, read.card, statistics=read.statistics)
    else:
        from ostiary.export.calibration import calibration_crops
        from ostiary.export.quantize import export_int8

        crops = calibration_crops(*_calibration_data(calibration, images), read.card.preprocess)
        export_int8(read.net, int8, out, read.card, crops, statistics=read.statistics)
    err.print(f"wrote {out} ({out.stat().st_size / 1e6:.2f} MB)", highlight=False, soft_wrap=True)


def _calibration_data(calibration: Path | None, images: Path | None) -> tuple[Index, PictureStore]:
    from ostiary.data.index import Index
    from ostiary.data.pictures import open_pictures

    if calibration is None or images is None:
        raise ConfigurationError("--int8 needs --calibration and --images: the pictures to calibrate on.")
    return Index.read_csv(calibration), open_pictures(images)
