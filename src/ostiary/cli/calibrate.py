"""``ostiary calibrate``, ``calibrate-site``, ``attack-test``: thresholds for a stated error and what they hold."""

from __future__ import annotations

import json as json_module
import shlex
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ostiary.cli.console import err, out
from ostiary.cli.evaluate import Json, Seed
from ostiary.errors import OstiaryError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ostiary.gate.calibration import Calibration
    from ostiary.gate.sources import Frame
    from ostiary.liveness import Liveness
    from ostiary.reports.attack_test import AttackTest

Weights = Annotated[
    str | None, typer.Option(help="A weights file, or a name that `weights list` shows.", show_default=False)
]
Word = Annotated[str | None, typer.Option(help="Configuration word such as HLH.", show_default=False)]
OutFile = Annotated[Path, typer.Option("--out", help="The calibration, a JSON file; what it holds already stays.")]
Camera = Annotated[str, typer.Option(help="Number of a camera, a video file or the address of a stream.")]


def calibrate(
    scores: Annotated[
        Path,
        typer.Option(
            help="scores.csv of `evaluate liveness`, or comparisons.csv of `evaluate face`.", show_default=False
        ),
    ],
    target: Annotated[
        str,
        typer.Option(
            help="apcer, bpcer, fmr or fnmr, and the rate: fmr=1e-3; or fpir=0.01@PEOPLE.", show_default=False
        ),
    ],
    out_file: OutFile,
    weights: Weights = None,
    configuration: Annotated[
        list[str] | None,
        typer.Option(help="Only this configuration; may be given several times.", show_default=False),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Rows of this split; by default development, or those without one.", show_default=False),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Name of the data; by default what the file says.", show_default=False)
    ] = None,
    people: Annotated[
        bool, typer.Option("--people", help="Count each person as one trial, however many pictures there are.")
    ] = False,
    flip: Annotated[
        bool, typer.Option("--flip", help="The comparisons are of embeddings with the mirrored face.")
    ] = False,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Choose the threshold for a stated error rate; refused where the trials are too few for it.

    Example: ostiary calibrate --scores eval/scores.csv --target apcer=0.05 --out site.json
    """
    from ostiary.reports.calibrate import calibrate as choose
    from ostiary.reports.calibrate import open_model
    from ostiary.reports.operating import Target

    wanted = Target.parse(target)
    made = choose(
        scores, wanted, out_file, open_model(weights, wanted.measured), data=data, split=split, flip=flip,
        configurations=configuration or (), count="people" if people else "trials", seed=seed,
    )  # fmt: skip
    _show(made, out_file, json)


def calibrate_site(
    person: Annotated[str, typer.Option(help="Who stands before the camera.", show_default=False)],
    scores: Annotated[
        Path, typer.Option(help="Score file of the site; what it holds already counts, too.", show_default=False)
    ],
    out_file: OutFile,
    camera: Camera = "0",
    seconds: Annotated[float, typer.Option(help="How long to look.")] = 120,
    rate: Annotated[float, typer.Option(help="Share of each person's frames that may be refused.")] = 0.05,
    weights: Weights = None,
    configuration: Word = None,
    json: Json = False,
) -> None:
    """Fit the liveness threshold to one's own camera: it is raised as far as the people of the site still pass.

    No frame is kept. Example: ostiary calibrate-site --person ann --scores site.csv --out site.json
    """
    from ostiary.gate.calibration import Calibration, model_hashes, stored_operating
    from ostiary.liveness import Liveness
    from ostiary.reports.calibrate_site import site_calibration, site_scores
    from ostiary.reports.scores import ScoreTable, read_scores, write_scores

    liveness = Liveness(weights, configuration=configuration)
    model = liveness.model
    earlier = read_scores(scores) if scores.exists() else ScoreTable({})
    capture = f"{person}-{time.time_ns()}"
    err.print(
        f"looking at {person} for {seconds:g} s; move as you would at the door", highlight=False, markup=False
    )
    with _frames(camera) as frames:
        end = time.monotonic() + seconds
        taken = takewhile(lambda _: time.monotonic() < end, frames)
        new = site_scores((frame.pixels for frame in taken), liveness, subject=person, capture=capture)
    table = ScoreTable.concatenate([earlier, new])
    word = liveness.configuration
    made = site_calibration(
        table.configurations[word], stored_operating(model.threshold(word)), word,
        model_hashes(model.path, model.metadata.preprocess), rate=rate,
    )  # fmt: skip
    before = Calibration.load(out_file) if out_file.exists() else None
    (before.merged(made) if before else made).save(out_file)
    write_scores(table, scores)
    _show(made, out_file, json)


def attack_test(
    out_folder: Annotated[Path, typer.Option("--out", help="Folder for report.md and report.json.")],
    trials: Annotated[int, typer.Option(help="How often each thing is presented.")] = 10,
    frames: Annotated[int, typer.Option(help="Frames a trial; the door opens if one of them passes.")] = 15,
    camera: Camera = "0",
    calibration: Annotated[
        Path | None, typer.Option(help="Thresholds of `ostiary calibrate`.", show_default=False)
    ] = None,
    weights: Weights = None,
    configuration: Word = None,
    json: Json = False,
) -> None:
    """Hold up a print, a phone, a tablet, and see what the door makes of it.

    Example: ostiary attack-test --trials 10 --out attack-test
    """
    from ostiary.liveness import Liveness
    from ostiary.reports.attack_page import write_attack_test
    from ostiary.reports.attack_test import AnyFrame, AttackTest

    threshold = None
    liveness = Liveness(weights, configuration=configuration)
    if calibration is not None:
        threshold = _calibrated(calibration, liveness)
        liveness = Liveness(weights, configuration=configuration, threshold=threshold)
    test = AttackTest(AnyFrame(liveness.check, most=frames), trials=trials)
    broken = None
    with _frames(camera) as taken:
        try:
            _guide(test, (frame.pixels for frame in taken))
        except OstiaryError as error:  # a camera pulled out leaves the trials that were made
            broken = error
    report = test.report(
        {
            "command": _command(),
            "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "configuration": liveness.configuration,
            "threshold": threshold or liveness.model.threshold(liveness.configuration).value,
        }
    )
    write_attack_test(report, out_folder)
    if json:
        print(json_module.dumps(report, indent=1, allow_nan=False))
    else:
        for found in report["species"].values():
            out.print(found["sentence"], highlight=False, markup=False, soft_wrap=True)
    for note in report["notes"]:
        err.print(f"[yellow]note:[/yellow] {note}", highlight=False, soft_wrap=True)
    err.print(f"written to {out_folder}", highlight=False, markup=False, soft_wrap=True)
    if broken is not None:
        raise broken


def _guide(test: AttackTest, frames: Iterator[NDArray[np.uint8]]) -> None:
    """Ask, wait and judge, until all is presented or the user stops."""
    while (prompt := test.prompt) is not None:
        err.print(str(prompt), highlight=False, markup=False, soft_wrap=True)
        said = typer.prompt(
            "Enter when ready (s: skip this kind, b: take the last one back, q: stop)",
            default="", show_default=False, err=True,
        )  # fmt: skip
        if said == "q":
            return
        if said == "s":
            test.skip()
        elif said == "b":
            test.take_back()
        else:
            result = test.present(frames)
            verdict = "accepted" if result.accepted else "refused"
            err.print(f"  {verdict}: {result.reason}", highlight=False, markup=False)


def _calibrated(path: Path, liveness: Liveness) -> float:
    from ostiary.errors import ConfigurationError
    from ostiary.gate.calibration import Calibration, model_hashes

    model = liveness.model
    found = Calibration.load(path).for_models(liveness=model_hashes(model.path, model.metadata.preprocess))
    if liveness.configuration not in found.liveness:
        known = ", ".join(found.liveness) or "no configuration"
        raise ConfigurationError(
            f"{path} has no threshold for {liveness.configuration}, but for {known}; name one of these, or run "
            "`ostiary calibrate` for it."
        )
    return found.liveness[liveness.configuration].value


def _frames(camera: str) -> closing[Generator[Frame, None, None]]:
    """Frames that end with the block; a number is a camera."""
    from ostiary.gate.sources import frames

    return closing(frames(int(camera) if camera.isdecimal() else camera))


def _show(made: Calibration, path: Path, json: bool) -> None:
    from ostiary.reports.calibration_page import calibration_lines

    if json:
        print(made.model_dump_json(indent=1))
    else:
        for line in calibration_lines(made):
            out.print(line, highlight=False, markup=False, soft_wrap=True)
    err.print(f"written to {path}", highlight=False, markup=False, soft_wrap=True)


def _command() -> str:
    return shlex.join(["ostiary", *sys.argv[1:]])
