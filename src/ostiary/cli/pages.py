"""What is rather looked at than read: robustness curves, pages of errors and maps, one verdict explained."""

from __future__ import annotations

import json as json_module
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from ostiary.cli.console import err, out, progress

Indexes = Annotated[
    list[Path], typer.Option("--index", help="Index CSV; may be given several times.", show_default=False)
]
Images = Annotated[
    list[Path],
    typer.Option(help="Folder or tar of the pictures; one for each index, or one for all.", show_default=False),
]
Weights = Annotated[
    str | None,
    typer.Option(help="A weights file, or a name that `weights list` shows.", show_default=False),
]
Split = Annotated[
    str | None,
    typer.Option(help="Only the rows of this split: train, development, test.", show_default=False),
]
Word = Annotated[
    str | None,
    typer.Option("--configuration", help="Configuration word; the weights' default if none.", show_default=False),
]


def robustness(
    index: Indexes,
    images: Images,
    out_folder: Annotated[
        Path, typer.Option("--out", help="Folder for robustness.json, robustness.md and the curves.")
    ],
    configuration: Annotated[
        list[str] | None,
        typer.Option(help="Configuration word; may be given several times.", show_default=False),
    ] = None,
    split: Split = None,
    weights: Weights = None,
    limit: Annotated[
        int | None,
        typer.Option(help="At most so many presentations of each index, evenly spread.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides the bootstrap draws.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print robustness.json instead of the worst case.")] = False,
) -> None:
    """Measure how errors grow with JPEG, small faces, dark and bright light, slipped boxes and blur.

    Example: ostiary evaluate robustness --index packs/nuaa.csv --images packs/nuaa.tar --out eval/robustness
    """
    from ostiary.reports.robustness import evaluate_robustness

    with progress() as report_progress:
        report = evaluate_robustness(
            index, images, out_folder, configurations=configuration or (), weights=weights, split=split,
            limit=limit, seed=seed, command=shlex.join(["ostiary", *sys.argv[1:]]), progress=report_progress,
        )  # fmt: skip
    if json:
        print(json_module.dumps(report, indent=1, allow_nan=False))
    else:
        for sentence in report["worst"].values():
            out.print(sentence, highlight=False, markup=False, soft_wrap=True)
    err.print(f"written to {out_folder}", highlight=False, markup=False, soft_wrap=True)


def pages(
    index: Indexes,
    images: Images,
    out_folder: Annotated[Path, typer.Option("--out", help="Folder for index.html and its pictures.")],
    scores: Annotated[
        list[Path] | None,
        typer.Option(
            help="Score file of these data by these weights; without it, all configurations are scored now.",
            show_default=False,
        ),
    ] = None,
    configuration: Word = None,
    weights: Weights = None,
    split: Split = None,
    limit: Annotated[int, typer.Option(min=1, help="Crops on a contact sheet.")] = 24,
    maps: Annotated[int, typer.Option(min=0, help="Pictures of each class behind a mean map; 0: no maps.")] = 20,
) -> None:
    """Show the errors: DET curves, the worst false accepts and rejects as pictures, where the network looks.

    The page shows people's faces: keep it where the pictures are kept, and do not publish it.

    Example: ostiary evaluate pages --scores eval/scores.csv --index nuaa.csv --images nuaa.tar --out look
    """
    from ostiary.reports.pages import write_pages

    with progress() as report_progress:
        page = write_pages(
            index, images, out_folder, scores=scores or (), configuration=configuration, weights=weights,
            split=split, limit=limit, maps=maps, progress=report_progress,
        )  # fmt: skip
    out.print(page, highlight=False, markup=False, soft_wrap=True)
    err.print("The page shows people's faces: do not publish it.", highlight=False)


def explain(
    image: Annotated[Path, typer.Argument(help="Picture with a face.", show_default=False)],
    out_file: Annotated[Path, typer.Option("--out", help="PNG to write.", show_default=False)],
    configuration: Word = None,
    weights: Weights = None,
) -> None:
    """Draw which parts of the largest face look like a living person, and which like an attack.

    Example: ostiary explain selfie.jpg --out explained.png --configuration LLL
    """
    from ostiary.reports.explanation import explain_picture

    sentence = explain_picture(image, out_file, configuration=configuration, weights=weights)
    out.print(sentence, highlight=False, markup=False, soft_wrap=True)
    err.print(f"written to {out_file}", highlight=False, markup=False, soft_wrap=True)
