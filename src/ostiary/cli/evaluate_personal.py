"""``ostiary evaluate personal``: does a verifier made of one picture know that person in another?"""

from __future__ import annotations

import json as json_module
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from ostiary.cli.console import err, out, progress
from ostiary.cli.evaluate import Json, Seed
from ostiary.cli.evaluate_face import Aligned, FalseMatchRates, PairImages, Pairs, Peers


def personal(
    model: Annotated[Path, typer.Option(help="model.safetensors of `train personal`.", show_default=False)],
    pairs: Pairs,
    out_folder: Annotated[
        Path, typer.Option("--out", help="Folder for comparisons, report.md, report.json and det.png.")
    ],
    images: PairImages = None,
    aligned: Aligned = False,
    weights: Annotated[
        str | None, typer.Option(help="The backbone: a weights file, or a name.", show_default=False)
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(help="sface or foamliu as the backbone in place of weights.", show_default=False),
    ] = None,
    peers: Peers = None,
    precision: Annotated[str, typer.Option(help="Of the templates: fp32, fp16 or int8.")] = "fp32",
    fmr: FalseMatchRates = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Enrol on the first picture of each pair and probe with the second: accuracy, AUC, EER, FNMR, with intervals.

    Example: ostiary evaluate personal --model runs/personal/model.safetensors --peer sface --peers models
    --pairs pairs.csv --images validation.tar --aligned --out eval/personal
    """
    from ostiary.errors import ConfigurationError
    from ostiary.reports.embedders import choose_embedder
    from ostiary.reports.personal import evaluate_personal
    from ostiary.reports.personal_page import personal_table
    from ostiary.runtime.template import PRECISIONS
    from ostiary.training.personal.enrolment import TorchVerifiers
    from ostiary.training.personal.run import load_personal

    if precision not in PRECISIONS:
        raise ConfigurationError(f"There is no precision {precision!r}; choose one of: {', '.join(PRECISIONS)}.")
    verifiers = TorchVerifiers(load_personal(model), precision)
    embedder = choose_embedder(weights, peer or (), peers)
    with progress() as report_progress:
        report = evaluate_personal(
            verifiers, embedder, pairs, images or (), out_folder, aligned=aligned, rates=fmr or (), seed=seed,
            command=shlex.join(["ostiary", *sys.argv[1:]]), progress=report_progress,
        )  # fmt: skip
    for note in report["one_way"]["notes"]:
        err.print(f"[yellow]note:[/yellow] {note}", highlight=False, soft_wrap=True)
    if json:
        print(json_module.dumps(report, indent=1, allow_nan=False))
    else:
        out.print(personal_table(report))
    err.print(f"written to {out_folder}", highlight=False, markup=False, soft_wrap=True)
