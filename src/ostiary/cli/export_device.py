"""``ostiary export device``: a weights file for the runtimes of phones and boards."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ostiary.cli.console import err
from ostiary.errors import ConfigurationError, MissingExtraError


class To(str, Enum):
    """Runtimes."""

    onnx = "onnx"
    litert = "litert"
    ncnn = "ncnn"
    executorch = "executorch"


class Bits(str, Enum):
    """Precisions of weights and activations."""

    fp32 = "fp32"
    fp16 = "fp16"
    int8 = "int8"


def device(
    to: Annotated[To, typer.Option("--to", help="Runtime that will read the file.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for the files.", show_default=False)],
    weights: Annotated[
        str | None,
        typer.Option(
            help="A weights file (liveness, face, one person's), or a name that `weights list` shows. "
            "Default: the packaged liveness weights.",
            show_default=False,
        ),
    ] = None,
    configuration: Annotated[
        list[str] | None,
        typer.Option(help="Word; may be given several times. Default: the file's own.", show_default=False),
    ] = None,
    together: Annotated[
        bool, typer.Option("--together", help="One file for all the words, each weight once (litert, executorch).")
    ] = False,
    precision: Annotated[Bits, typer.Option(help="Of weights and activations.")] = Bits.fp32,
    index: Annotated[
        list[Path] | None,
        typer.Option(help="Index CSV: its split train gives the 8-bit ranges of liveness.", show_default=False),
    ] = None,
    images: Annotated[
        list[Path] | None, typer.Option(help="Folders or tars of its pictures.", show_default=False)
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(help="Folder or tar of crops for 8-bit ranges, in place of an index.", show_default=False),
    ] = None,
    golden: Annotated[
        Path | None,
        typer.Option(help="Vectors of `export golden` to check by; default: other crops.", show_default=False),
    ] = None,
) -> None:
    """Write configurations for another runtime, run each file by that runtime, and keep it if it decides the same.

    Example: ostiary export device --to litert --configuration LLL --configuration HHH --together --out phone
    """
    try:
        from ostiary.data.index import Index
        from ostiary.data.pictures import open_pictures
        from ostiary.export.devices.calibration import training_crops
        from ostiary.export.devices.exporting import export_device
        from ostiary.export.face_release import read_crops
        from ostiary.runtime.container import WeightsRecord, read_metadata
        from ostiary.runtime.packaged import resolve_weights
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "torch", "train") from None
    if bool(index) != bool(images) or (index and calibration):
        raise ConfigurationError("give --index and --images together, or --calibration in their place.")
    path = resolve_weights(weights)
    crops = None
    if precision is Bits.int8 and (index or calibration):
        preprocess = read_metadata(path, WeightsRecord).preprocess
        if calibration is not None:
            crops = read_crops(calibration, preprocess.size)
        elif index and images:
            rows = Index.concatenate(Index.read_csv(one) for one in index)
            crops = training_crops(rows, open_pictures(images), preprocess)
    made = export_device(
        path, to.value, out, words=configuration, together=together, precision=precision.value,
        calibration=crops, golden=golden,
    )  # fmt: skip
    for one in made:
        size = sum(file.stat().st_size for file in one.files) / 1e6
        names = " and ".join(str(file) for file in one.files)
        differs = max(one.differences.values())
        said = f"wrote {names} ({size:.2f} MB), at most {differs:.1g} from ONNX Runtime; record: {one.record}"
        err.print(said, highlight=False, markup=False, soft_wrap=True)
    if precision is Bits.int8:
        err.print("8-bit answers move: choose a threshold anew before you decide by them", highlight=False)
