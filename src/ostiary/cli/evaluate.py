"""``ostiary evaluate``: error rates with intervals, from pictures or from score files."""

from __future__ import annotations

import json as json_module
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ostiary.cli.console import err, out, progress

if TYPE_CHECKING:
    from ostiary.reports.liveness_report import Report

Out = Annotated[Path, typer.Option("--out", help="Folder for scores.csv, report.md, report.json and plots.")]
ThresholdValue = Annotated[
    float | None,
    typer.Option(help="Accept at or above this liveness, instead of the stored threshold.", show_default=False),
]
Seed = Annotated[int, typer.Option(help="Decides the bootstrap draws.")]
Json = Annotated[bool, typer.Option("--json", help="Print report.json instead of a table.")]


def liveness(
    index: Annotated[list[Path], typer.Option(help="Index CSV; may be given several times.", show_default=False)],
    images: Annotated[
        list[Path],
        typer.Option(
            help="Folder or tar of the pictures; one for each index, or one for all.", show_default=False
        ),
    ],
    out_folder: Out,
    configuration: Annotated[str, typer.Option(help="Configuration word such as HLH, or all.")] = "all",
    threshold: ThresholdValue = None,
    weights: Annotated[
        str | None,
        typer.Option(help="A weights file, or a name that `weights list` shows.", show_default=False),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Only the rows of this split: train, development, test.", show_default=False),
    ] = None,
    quality: Annotated[
        bool,
        typer.Option(
            "--quality",
            help="Run the quality gate of `check`: a face that fails it has no answer, and its cause is counted.",
        ),
    ] = False,
    latency: Annotated[
        Path | None,
        typer.Option(help="Output of `bench liveness --json`, to plot error against time.", show_default=False),
    ] = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Measure a liveness model on pictures with known labels.

    Example: ostiary evaluate liveness --index packs/nuaa.csv --images packs/nuaa.tar --split test --out eval
    """
    from ostiary.faces.quality import QualityLimits
    from ostiary.reports.evaluation import evaluate_liveness

    limits = QualityLimits() if quality else None
    with progress() as report_progress:
        report = evaluate_liveness(
            index, images, out_folder, configuration=configuration, threshold=threshold, weights=weights,
            split=split, quality=limits, latency=latency, seed=seed, command=_command(), progress=report_progress,
        )  # fmt: skip
    _show(report, out_folder, json)


def scores(
    files: Annotated[
        list[Path], typer.Argument(help="Score files (CSV: path, label, liveness, ...).", show_default=False)
    ],
    out_folder: Out,
    threshold: ThresholdValue = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Measure anybody's model from its scores; docs/metrics.md has the columns of a score file.

    Example: ostiary evaluate scores theirs.csv --threshold 0.5 --out eval/theirs
    """
    from ostiary.reports.evaluation import evaluate_scores

    with progress() as report_progress:
        report = evaluate_scores(
            files, out_folder, threshold=threshold, seed=seed, command=_command(), progress=report_progress
        )
    _show(report, out_folder, json)


def _command() -> str:
    return shlex.join(["ostiary", *sys.argv[1:]])


def _show(report: Report, folder: Path, json: bool) -> None:
    from ostiary.reports.summary import summary_table

    for note in report["notes"]:
        err.print(f"[yellow]note:[/yellow] {note}", highlight=False, soft_wrap=True)
    if json:
        print(json_module.dumps(report, indent=1, allow_nan=False))
    else:
        out.print(summary_table(report))
    err.print(f"written to {folder}", highlight=False, markup=False, soft_wrap=True)
