"""``ostiary check``: is the face in each picture alive?"""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from ostiary.cli.console import err, out


def check(
    images: Annotated[list[Path], typer.Argument(help="Pictures to check.", show_default=False)],
    configuration: Annotated[
        str | None, typer.Option(help="Configuration word, such as HHH, HLH or LLL.", show_default=False)
    ] = None,
    budget_ms: Annotated[
        float | None,
        typer.Option(
            help="Milliseconds the network may take for a face; chooses the configuration.",
            show_default=False,
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Accept at or above this liveness instead of the stored threshold.", show_default=False),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="A weights file, or a name that `weights list` shows.", show_default=False),
    ] = None,
    cascade: Annotated[
        bool,
        typer.Option("--cascade", help="Judge by a cheap configuration, and the doubtful faces by a better one."),
    ] = False,
    annotate: Annotated[
        Path | None,
        typer.Option(help="Write the pictures with boxes and verdicts into this folder.", show_default=False),
    ] = None,
    quality: Annotated[
        bool,
        typer.Option(
            "--quality/--no-quality",
            help="Give a face that is too dark, blurred, turned away, ... that reason and no verdict.",
        ),
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Find the faces in pictures and say of each whether it is bona fide or a presentation attack.

    A face that is too bad to be judged is refused with a reason: too dark, blurred, turned away, ...

    Exit code 0: every picture accepted; 1: at least one refused; 2: at least one could not be read.

    Example: ostiary check selfie.jpg --configuration LLL --annotate checked
    """
    from ostiary.checking import check_files
    from ostiary.cli.rendering import check_table
    from ostiary.faces.quality import QualityLimits
    from ostiary.liveness import Liveness

    limits = QualityLimits() if quality else None
    liveness = Liveness(
        weights,
        configuration=configuration,
        budget_ms=budget_ms,
        threshold=threshold,
        quality=limits,
        cascade=cascade,
    )
    results = check_files(liveness, images, annotate)
    for result in results:
        if result.error is not None:
            err.print(f"[red]error:[/red] {result.error}", highlight=False, soft_wrap=True)
    if json:
        print(json_module.dumps([result.to_dict() for result in results], indent=1))
    else:
        out.print(check_table(results))
    raise typer.Exit(max(result.exit_code for result in results))
