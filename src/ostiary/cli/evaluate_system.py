"""``ostiary evaluate system``: whom does the whole door let in, and whom not?"""

from __future__ import annotations

import json as json_module
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ostiary.cli.calibrate import Weights, Word
from ostiary.cli.console import err, out, progress
from ostiary.cli.evaluate import Json, Seed

if TYPE_CHECKING:
    from ostiary.reports.system_trials import TrialList


def system(
    images: Annotated[
        list[Path],
        typer.Option(help="Folder or tar of the pictures; may be given several times.", show_default=False),
    ],
    out_folder: Annotated[
        Path, typer.Option("--out", help="Folder for trials.csv, transactions.csv, report.md and report.json.")
    ],
    trials: Annotated[
        Path | None, typer.Option(help="CSV role,subject,image,species,dataset.", show_default=False)
    ] = None,
    index: Annotated[
        list[Path] | None,
        typer.Option(
            help="Instead: an index whose attacks show known people, from which the list is made.",
            show_default=False,
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Only the rows of the index of this split.", show_default=False)
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(help="Thresholds of `ostiary calibrate`, from development data.", show_default=False),
    ] = None,
    weights: Weights = None,
    face_weights: Annotated[
        str | None, typer.Option(help="Weights of the face embedding.", show_default=False)
    ] = None,
    personal: Annotated[
        bool, typer.Option("--personal", help="Recognise people by networks of their own, made when they enrol.")
    ] = False,
    configuration: Word = None,
    enrolled: Annotated[int, typer.Option(help="Pictures that a person of an index is enrolled with.")] = 3,
    impostors: Annotated[
        int, typer.Option(help="Pictures of each other person that are tried against an enrolment.")
    ] = 2,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Measure the whole door by its own decisions: FRR, FAR, IAPAR of each species, RIAPAR, with intervals.

    Example: ostiary evaluate system --index door.csv --images door.tar --split test --out eval/door
    """
    from ostiary.data.pictures import open_pictures
    from ostiary.gate.calibration import Calibration
    from ostiary.gate.liveness_stage import LivenessStage
    from ostiary.gate.personal_matching import PersonalMatcher
    from ostiary.gate.setup import load_matcher
    from ostiary.reports.system import evaluate_system
    from ostiary.reports.system_door import temporary_door
    from ostiary.reports.system_page import system_table

    listed, left_out = _trials(trials, index or [], split, enrolled)
    thresholds = Calibration.load(calibration) if calibration else None
    liveness = LivenessStage(weights, configuration=configuration, calibration=thresholds)
    matcher = load_matcher(face_weights, personal=personal, calibration=thresholds)
    header = {
        "command": shlex.join(["ostiary", *sys.argv[1:]]),
        "door": {
            "configuration": liveness.configuration,
            "matcher": matcher.model[:12],
            "templates": matcher.kind,
            "generator": matcher.generator if isinstance(matcher, PersonalMatcher) else None,
            "calibration": calibration and calibration.name,
        },
    }
    with progress() as show, temporary_door(liveness, matcher) as door:
        report = evaluate_system(
            listed, open_pictures(images), door, out_folder, header=header, left_out=left_out, impostors=impostors,
            seed=seed, progress=lambda done, total: show("attempts", done, total),
        )  # fmt: skip
    for note in report["notes"]:
        err.print(f"[yellow]note:[/yellow] {note}", highlight=False, soft_wrap=True)
    if json:
        print(json_module.dumps(report, indent=1, allow_nan=False))
    else:
        out.print(system_table(report))
    err.print(f"written to {out_folder}", highlight=False, markup=False, soft_wrap=True)


def _trials(
    path: Path | None, indexes: list[Path], split: str | None, enrolled: int
) -> tuple[TrialList, dict[str, int]]:
    from ostiary.data.index import Index
    from ostiary.errors import ConfigurationError
    from ostiary.reports.system_trials import TrialList, build_trials

    if (path is None) == (not indexes):
        raise ConfigurationError("Give either --trials or --index, to say who is enrolled and what is presented.")
    if path is not None:
        return TrialList.read_csv(path), {}
    rows = Index.concatenate(Index.read_csv(each) for each in indexes).select(split=split)
    return build_trials(rows, enrolled=enrolled)
