"""``ostiary bench face``: latency of the face networks on this machine, in every form."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from ostiary.cli.console import progress
from ostiary.errors import MissingExtraError


def face(
    network: Annotated[
        list[str] | None,
        typer.Option(help="A network of `model face`; repeatable. Default: all.", show_default=False),
    ] = None,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            help="model.safetensors of a training run, in place of its untrained network; repeatable.",
            show_default=False,
        ),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="An aligned crop to feed in place of noise.", show_default=False)
    ] = None,
    every_form: Annotated[
        bool, typer.Option("--every-form", help="Time all rewrites, not only the deployed ones.")
    ] = False,
    int8: Annotated[bool, typer.Option("--int8/--no-int8", help="Time 8-bit weights too.")] = True,
    peer: Annotated[
        list[Path] | None,
        typer.Option(help="Another face network (ONNX) to time; repeatable.", show_default=False),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Timed calls of each candidate.", min=1)] = 60,
    seed: Annotated[int, typer.Option(help="Decides the order of the calls.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the report as JSON.", show_default=False)] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of Markdown.")] = False,
) -> None:
    """Time face networks, plain and rewritten, as ratios to MobileFaceNet, plain and rewritten, in one run.

    Example: ostiary bench face --network seesaw_shuffle --peer sface.onnx --out results/face_latency.json
    """
    from ostiary.reports.folder import replace_file

    try:
        from ostiary.export.face_latency import measure_faces
        from ostiary.export.face_latency_page import table
        from ostiary.export.face_subjects import chosen_networks, fed_picture
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "torch", "train") from None
    with progress() as report_progress:
        report = measure_faces(
            chosen_networks(network or (), model or ()), precisions=("float32", "int8") if int8 else ("float32",),
            every_form=every_form, peers=peer or (), pixels=None if picture is None else fed_picture(picture),
            rounds=rounds, seed=seed, progress=report_progress,
        )  # fmt: skip
    if out is not None:
        replace_file(out, json_module.dumps(report, indent=1) + "\n")
    print(json_module.dumps(report, indent=1) if json else table(report))
