"""``ostiary study``: many trainings by one plan, and the table that they become."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ostiary.cli.console import err, out, progress
from ostiary.cli.training_options import (
    Accelerator,
    Crops,
    IdentityFiles,
    Images,
    Index,
    Precision,
    SoftTargets,
    StartFrom,
    Teachers,
    Trunk,
    Workers,
)

if TYPE_CHECKING:
    from ostiary.study.runner import Work

Plan = Annotated[Path, typer.Argument(help="The study, a TOML file (docs/studies.md).", show_default=False)]
Results = Annotated[Path, typer.Option(help="Folder of the records, one small JSON a cell.")]
Runs = Annotated[Path, typer.Option(help="Folder of checkpoints, decoded pictures and scores.")]
Arms = Annotated[
    list[str] | None, typer.Option("--arm", help="Only this arm; may be given several times.", show_default=False)
]
DeployedNetworks = Annotated[  # an arm of their own may ask them, not only a teacher that watches
    Path | None, typer.Option("--peers", help="Folder of deployed networks' ONNX files.", show_default=False)
]
Out = Annotated[Path | None, typer.Option("--out", help="Markdown to write; default: stdout.", show_default=False)]


def run(
    plan: Plan,
    index: Index,
    images: Images,
    runs: Runs = Path("runs/study"),
    results: Results = Path("results/study"),
    arm: Arms = None,
    trunk: Trunk = None,
    start_from: StartFrom = None,
    soft_targets: SoftTargets = None,
    peers: DeployedNetworks = None,
    workers: Workers = 0,
    accelerator: Accelerator = "auto",
    precision: Precision = "32-true",
) -> None:
    """Run every cell that is not done; go on where one was cut off. Start it once a core.

    Example: ostiary study run studies/leave_out.toml --index nuaa.csv --images nuaa.tar
    """
    from ostiary.data.index import Index as DataIndex
    from ostiary.data.pictures import open_pictures
    from ostiary.study.cell import LivenessWork, Materials
    from ostiary.study.plan import read_study

    study = read_study(plan)
    _check_arms(plan, arm, study.arms)
    materials = Materials(
        DataIndex.concatenate(DataIndex.read_csv(path) for path in index), open_pictures(images), runs,
        trunk=trunk, start=start_from, soft_targets=soft_targets, peers=peers, workers=workers,
        accelerator=accelerator, precision=precision,
    )  # fmt: skip
    _run(LivenessWork(study, materials), results, arm)


def table(
    plan: Plan,
    results: Results = Path("results/study"),
    runs: Runs = Path("runs/study"),
    out_file: Out = None,
) -> None:
    """The table of what is done so far.

    Example: ostiary study table studies/leave_out.toml --out results/leave_out.md
    """
    from ostiary.study.plan import read_study
    from ostiary.study.table import render_study

    _write(render_study(read_study(plan), results, runs, plan), out_file)


def run_face(
    plan: Plan,
    index: IdentityFiles,
    images: Crops,
    pairs: Annotated[Path, typer.Option(help="CSV of pairs of people that nobody learns from.")],
    runs: Runs = Path("runs/study"),
    results: Results = Path("results/study"),
    arm: Arms = None,
    teachers: Teachers = None,
    peers: DeployedNetworks = None,
    workers: Workers = 0,
    accelerator: Accelerator = "auto",
    precision: Precision = "32-true",
) -> None:
    """Run every cell of a face study that is not done; go on where one was cut off. Start it once a core.

    Example: ostiary study run-face studies/face_ablation.toml --index people.csv --images people.tar
    --pairs pairs.csv --teachers runs/teachers
    """
    from ostiary.data.identities import IdentityIndex
    from ostiary.data.identity_readers import open_faces
    from ostiary.data.pairs import read_pairs
    from ostiary.study.face_cell import FaceMaterials, FaceWork
    from ostiary.study.face_plan import read_face_study

    study = read_face_study(plan)
    _check_arms(plan, arm, study.arms)
    materials = FaceMaterials(
        IdentityIndex.concatenate(IdentityIndex.read_csv(path) for path in index), open_faces(images),
        read_pairs(pairs), runs, teachers=teachers, peers=peers, workers=workers, accelerator=accelerator,
        precision=precision,
    )  # fmt: skip
    _run(FaceWork(study, materials), results, arm)


def table_face(
    plan: Plan,
    results: Results = Path("results/study"),
    runs: Runs = Path("runs/study"),
    out_file: Out = None,
) -> None:
    """The table of what is done so far of a face study.

    Example: ostiary study table-face studies/face_ablation.toml --out results/face_ablation.md
    """
    from ostiary.study.face_plan import read_face_study
    from ostiary.study.face_table import render_face_study

    _write(render_face_study(read_face_study(plan), results, runs, plan), out_file)


def _check_arms(plan: Path, wanted: Collection[str] | None, known: Collection[str]) -> None:
    from ostiary.errors import ConfigurationError

    unknown = sorted(set(wanted or ()) - set(known))
    if unknown:
        raise ConfigurationError(f"{plan}: no arm {unknown[0]!r}; it has {', '.join(known)}.")


def _run(work: Work, results: Path, arms: Collection[str] | None) -> None:
    from ostiary.study.runner import run_study

    elsewhere = run_study(
        work, results, arms=arms or (), progress=progress,
        report=lambda cell, what: err.print(f"{cell.name}: {what}", highlight=False),
    )  # fmt: skip
    if elsewhere:
        err.print(f"{elsewhere} cells are being run by another process", highlight=False)


def _write(text: str, out_file: Path | None) -> None:
    from ostiary.reports.folder import replace_file

    if out_file is None:
        out.print(text, markup=False, highlight=False, soft_wrap=True)
        return
    replace_file(out_file, text)
