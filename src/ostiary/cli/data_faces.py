"""``ostiary data align`` and ``ostiary data faces``: from photos to aligned crops, from a layout to an index."""

from pathlib import Path
from typing import Annotated

import typer

from ostiary.cli.console import err, progress


def align(
    source: Annotated[Path, typer.Argument(help="Folder or tar of photos.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Folder for the crops; run again to go on.")],
    face: Annotated[str, typer.Option(help="Which face of several: largest, central or only.")] = "largest",
    picture_format: Annotated[str, typer.Option("--format", help="png, webp (lossless) or jpg.")] = "png",
    processes: Annotated[int, typer.Option(help="How many processes to work with.")] = 1,
) -> None:
    """Cut the aligned 112x112 face out of every photo; skipped.csv lists those without one.

    Example: ostiary data align photos --out crops --processes 8
    """
    from ostiary.data.align import SKIPPED, align_photos

    with progress() as bar:
        done = align_photos(
            source,
            out,
            choice=face,
            picture_format=picture_format,
            processes=processes,
            progress=lambda count, total: bar("aligning", count, total),
        )
    err.print(
        f"{out}: {done.made} crops made, {done.kept} kept of an earlier run, "
        f"{len(done.skipped)} photos skipped ({SKIPPED} says why)",
        soft_wrap=True,
    )


def faces(
    layout: Annotated[str, typer.Argument(help="Name of the layout, such as identity_folders.")],
    roots: Annotated[list[Path], typer.Argument(help="Where the data set lies; several are parts of one set.")],
    to: Annotated[Path, typer.Option("--out", help="Index CSV to write.")],
    dataset: Annotated[
        str | None,
        typer.Option(help="Name of the data set; by default that of the first ROOT.", show_default=False),
    ] = None,
) -> None:
    """Write the index of a face recognition set: one line a picture, with whom it shows.

    Example: ostiary data faces identity_folders crops --out crops.csv
    """
    from ostiary.data.identity_readers import read_faces

    index = read_faces(layout, roots, dataset)
    index.check_disjoint()
    index.write_csv(to)
    err.print(
        f"{to}: {len(index)} pictures of {len(index.identities)} identities "
        f"({index.single} with a single picture), {index.unknown} pictures of nobody known",
        soft_wrap=True,
    )
