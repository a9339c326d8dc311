"""``ostiary data``: read a published layout into an index, check an index, draw a synthetic set."""

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from ostiary.cli.console import err, out

if TYPE_CHECKING:
    from ostiary.data.check import CheckReport


def check(
    index: Annotated[list[Path], typer.Option("--index", help="Index CSV; repeatable.")],
    images: Annotated[list[Path], typer.Option("--images", help="Folder or tar of pictures; repeatable.")],
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Count and decode everything an index names, and prove that its splits share nothing; exit 1 if not.

    Example: ostiary data check --index mine.csv --images mine.tar
    """
    from ostiary.data import check as checking
    from ostiary.data.index import Index
    from ostiary.data.pictures import open_pictures

    samples, store = Index.concatenate(map(Index.read_csv, index)), open_pictures(images)
    with Progress(console=err, transient=True) as bar:
        task = bar.add_task("decoding", total=None)
        report = checking.check(
            samples, store, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    print(json_module.dumps(report.to_dict())) if json else _show(report)
    if not report.ok:
        raise typer.Exit(1)


def read(
    layout: Annotated[str, typer.Argument(help="Name of the published layout, such as celeba_spoof.")],
    root: Annotated[Path, typer.Argument(help="Folder that holds the data set as it was unpacked.")],
    to: Annotated[Path, typer.Option("--out", help="Index CSV to write; its paths are relative to ROOT.")],
) -> None:
    """Write the index of a data set in its published layout.

    Example: ostiary data read celeba_spoof CelebA_Spoof --out celeba.csv
    """
    from ostiary.data.readers import read_layout

    index = read_layout(layout, root)
    index.check_disjoint()
    index.write_csv(to)
    err.print(f"{to}: {len(index)} samples of {len(index.subjects)} subjects", soft_wrap=True)


def synthesize(
    folder: Annotated[Path, typer.Option("--out", help="Folder for synthetic.csv and synthetic.tar.")],
    subjects: Annotated[int, typer.Option(help="How many people to draw.")] = 30,
    per_subject: Annotated[int, typer.Option(help="Bona fide pictures of each, and as many attacks.")] = 4,
    seed: Annotated[int, typer.Option(help="The same seed draws the same pictures.")] = 0,
    size: Annotated[int, typer.Option(help="Width and height of a picture in pixels.")] = 160,
) -> None:
    """Draw a small data set of faces, prints and screens: for a first run without any data.

    Example: ostiary data synthesize --out toy --subjects 60
    """
    from ostiary.data.synthetic import synthesize as draw

    index = draw(folder, subjects=subjects, per_subject=per_subject, seed=seed, size=size)
    err.print(
        f"{folder / 'synthetic.csv'}: {len(index)} samples of {len(index.subjects)} subjects", soft_wrap=True
    )


def _show(report: "CheckReport") -> None:
    table = Table("data set", "split", "class", box=None, pad_edge=False, header_style="bold")
    for name in ("samples", "boxes", "subjects", "captures"):
        table.add_column(name, justify="right")
    for count in report.counts:
        numbers = (count.samples, count.boxes, count.subjects, count.captures)
        table.add_row(count.dataset, count.split, count.species or count.label, *map(str, numbers))
    out.print(table)
    out.print(f"{report.samples} samples of {report.subjects} subjects in {report.pictures} pictures")
    for kind, sentences in (("error", report.errors), ("warning", report.warnings)):
        for sentence in sentences:
            out.print(f"{kind}: {sentence}", soft_wrap=True, markup=False, highlight=False)
    out.print("no faults found" if report.ok else "faults found: do not measure with this data")
