"""``ostiary study``: many trainings by one plan, and the table that they become."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostiary.cli.console import err, out, progress

Plan = Annotated[Path, typer.Argument(help="The study, a TOML file (docs/studies.md).", show_default=False)]
Index = Annotated[list[Path], typer.Option(help="Index CSV; may be given several times.", show_default=False)]
Images = Annotated[
    list[Path],
    typer.Option(help="Folder or tar of the pictures; may be given several times.", show_default=False),
]
Results = Annotated[Path, typer.Option(help="Folder of the records, one small JSON a cell.")]
Runs = Annotated[Path, typer.Option(help="Folder of checkpoints, decoded pictures and scores.")]


def run(
    plan: Plan,
    index: Index,
    images: Images,
    runs: Runs = Path("runs/study"),
    results: Results = Path("results/study"),
    arm: Annotated[
        list[str] | None, typer.Option(help="Only this arm; may be given several times.", show_default=False)
    ] = None,
    trunk: Annotated[Path | None, typer.Option(help="ImageNet trunk (.npz).", show_default=False)] = None,
    soft_targets: Annotated[
        Path | None, typer.Option(help="CSV of `train soft-targets`.", show_default=False)
    ] = None,
    peers: Annotated[
        Path | None, typer.Option(help="Folder of deployed networks' ONNX files.", show_default=False)
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that prepare pictures, in each training.")] = 0,
    accelerator: Annotated[str, typer.Option(help="cpu, gpu or auto.")] = "auto",
    precision: Annotated[str, typer.Option(help="32-true, bf16-mixed, ...")] = "32-true",
) -> None:
    """Run every cell that is not done; go on where one was cut off. Start it once a core.

    Example: ostiary study run studies/leave_out.toml --index nuaa.csv --images nuaa.tar
    """
    from ostiary.data.index import Index as DataIndex
    from ostiary.data.pictures import open_pictures
    from ostiary.errors import ConfigurationError
    from ostiary.study.cell import Materials
    from ostiary.study.plan import read_study
    from ostiary.study.runner import run_study

    study = read_study(plan)
    unknown = sorted(set(arm or ()) - set(study.arms))
    if unknown:
        raise ConfigurationError(f"{plan}: no arm {unknown[0]!r}; it has {', '.join(study.arms)}.")
    materials = Materials(
        DataIndex.concatenate(DataIndex.read_csv(path) for path in index), open_pictures(images), runs,
        trunk=trunk, soft_targets=soft_targets, peers=peers, workers=workers, accelerator=accelerator,
        precision=precision,
    )  # fmt: skip
    elsewhere = run_study(
        study, materials, results, arms=arm or (), progress=progress,
        report=lambda cell, what: err.print(f"{cell.name}: {what}", highlight=False),
    )  # fmt: skip
    if elsewhere:
        err.print(f"{elsewhere} cells are being run by another process", highlight=False)


def table(
    plan: Plan,
    results: Results = Path("results/study"),
    runs: Runs = Path("runs/study"),
    out_file: Annotated[
        Path | None, typer.Option("--out", help="Markdown to write; default: stdout.", show_default=False)
    ] = None,
) -> None:
    """The table of what is done so far.

    Example: ostiary study table studies/leave_out.toml --out results/leave_out.md
    """
    from ostiary.study.plan import read_study
    from ostiary.study.table import render_study

    text = render_study(read_study(plan), results, runs, plan)
    if out_file is None:
        out.print(text, markup=False, highlight=False, soft_wrap=True)
        return
    partial = out_file.with_name(f"{out_file.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(out_file)
