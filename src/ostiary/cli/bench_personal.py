"""``ostiary bench personal``: time of personal verifiers, of enrolment, and of one probe against N people."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from ostiary.cli.console import err
from ostiary.errors import MissingExtraError


def personal(
    architecture: Annotated[
        list[str] | None,
        typer.Option(help="f112, f112w or f64; repeatable. Default: all.", show_default=False),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            help="model.safetensors of `train personal`, in place of an untrained generator.", show_default=False
        ),
    ] = None,
    embedder: Annotated[
        list[str] | None,
        typer.Option(
            help="Face embedding to compare with: a weights file, or a name; repeatable, the first one enrols. "
            "Default: slim_face and slim_face_int8.",
            show_default=False,
        ),
    ] = None,
    people: Annotated[
        str, typer.Option(help="Numbers of people for one probe, separated by commas.")
    ] = "1,2,3,5,10,20,50",
    picture: Annotated[
        Path | None, typer.Option(help="An aligned crop to feed in place of noise.", show_default=False)
    ] = None,
    rounds: Annotated[int, typer.Option(help="Timed calls of each candidate.", min=1)] = 60,
    seed: Annotated[int, typer.Option(help="Decides the order of the calls.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the report as JSON.", show_default=False)] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of Markdown.")] = False,
) -> None:
    """Time personal verifiers beside MobileFaceNet and Seesaw-shuffle, enrolment, and one probe against N people.

    Example: ostiary bench personal --model runs/head/model.safetensors --out personal_latency.json
    """
    from ostiary.errors import ConfigurationError
    from ostiary.reports.folder import replace_file

    try:
        from ostiary.export.face_subjects import aligned_picture
        from ostiary.export.personal_latency import EMBEDDERS, measure_personal
        from ostiary.export.personal_latency_page import table
        from ostiary.networks.hypernetwork import Hypernetwork
        from ostiary.runtime.verifier_layers import ARCHITECTURES
        from ostiary.training.personal.run import load_personal
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "torch", "train") from None
    try:
        counts = [int(count) for count in people.split(",")]
    except ValueError:
        raise ConfigurationError(
            f"--people {people!r} holds something that is no number: give numbers separated by commas, such as "
            "1,5,10."
        ) from None
    generator = None if model is None else load_personal(model).network
    if not isinstance(generator, Hypernetwork | None):
        raise ConfigurationError(f"{model} is a static network, which enrols nobody: name one of another form.")
    if out is not None and not out.parent.is_dir():
        raise ConfigurationError(f"{out} cannot be written: its folder is missing; make it, or name another file.")
    err.print("timing, one thread, batch 1 ...", highlight=False)
    report = measure_personal(
        architectures=architecture or tuple(ARCHITECTURES), embedders=embedder or EMBEDDERS, people=counts,
        generator=generator,
        crop=None if picture is None else aligned_picture(picture), rounds=rounds, seed=seed,
    )  # fmt: skip
    if out is not None:
        replace_file(out, json_module.dumps(report, indent=1) + "\n")
    print(json_module.dumps(report, indent=1) if json else table(report))
