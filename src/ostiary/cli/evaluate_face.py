"""``ostiary evaluate face``: is a face embedding good at telling people apart?"""

from __future__ import annotations

import json as json_module
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from ostiary.cli.console import err, out, progress
from ostiary.cli.evaluate import Json, Seed

Pairs = Annotated[
    Path,
    typer.Option(help="CSV path_a,path_b,same,fold; LFW's pairs.txt; or an InsightFace .bin.", show_default=False),
]
PairImages = Annotated[
    list[Path] | None,
    typer.Option(
        help="Folder or tar of the pictures; may be given several times. None for a .bin.", show_default=False
    ),
]
Aligned = Annotated[
    bool, typer.Option("--aligned", help="The pictures are 112x112 crops already: do not look for faces.")
]
Peers = Annotated[Path | None, typer.Option(help="Folder of the peers' ONNX files.", show_default=False)]
FalseMatchRates = Annotated[
    list[float] | None,
    typer.Option(
        help="A further false match rate at which to read FNMR; refused if the pairs are too few.",
        show_default=False,
    ),
]


def face(
    pairs: Pairs,
    out_folder: Annotated[
        Path, typer.Option("--out", help="Folder for comparisons.csv, report.md, report.json and det.png.")
    ],
    images: PairImages = None,
    aligned: Aligned = False,
    flip: Annotated[
        bool, typer.Option("--flip", help="Judge means with the mirrored face, and plain embeddings beside them.")
    ] = False,
    weights: Annotated[
        str | None,
        typer.Option(help="A weights file, or a name that `weights list` shows.", show_default=False),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            help="sface or foamliu in place of weights; given twice, the mean of both.", show_default=False
        ),
    ] = None,
    peers: Peers = None,
    fmr: FalseMatchRates = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Measure a face embedding on pairs of pictures: accuracy, AUC, EER, FNMR at fixed FMR, with intervals.

    Example: ostiary evaluate face --pairs pairs.txt --images lfw.tgz --flip --out eval/lfw
    """
    from ostiary.reports.embedders import choose_embedder
    from ostiary.reports.verification import evaluate_face
    from ostiary.reports.verification_page import summary_table

    embedder = choose_embedder(weights, peer or (), peers)
    with progress() as report_progress:
        report = evaluate_face(
            embedder, pairs, images or (), out_folder, aligned=aligned, flip=flip, rates=fmr or (), seed=seed,
            command=shlex.join(["ostiary", *sys.argv[1:]]), progress=report_progress,
        )  # fmt: skip
    for note in report["notes"]:
        err.print(f"[yellow]note:[/yellow] {note}", highlight=False, soft_wrap=True)
    if json:
        print(json_module.dumps(report, indent=1, allow_nan=False))
    else:
        out.print(summary_table(report))
    err.print(f"written to {out_folder}", highlight=False, markup=False, soft_wrap=True)
