"""``ostiary demo``: a first run without a photo of one's own."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ostiary.cli.console import out
from ostiary.cli.door import Json
from ostiary.errors import MissingExtraError

if TYPE_CHECKING:
    from ostiary.gate.demo import Shown

_STAGES = {"liveness": "alive", "matching": "the person who was claimed"}
_SAID = {"passed": "yes", "failed": "no"}

NEXT = """\
Next, with photos of your own:
  ostiary doctor                        is all in order, is there a camera
  ostiary vault create                  a vault for those who may pass
  ostiary enrol NAME PHOTO --consent "what the person agreed to"
  ostiary verify OTHER_PHOTO --user NAME
  ostiary watch --picture               a camera
docs/door.md walks through all of it; docs/limits.md says what was not measured."""


def demo(
    weights: Annotated[
        str | None,
        typer.Option(
            envvar="OSTIARY_FACE_WEIGHTS",
            help="Weights of the face embedding, or the record of a network of others.",
            show_default=False,
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            envvar="OSTIARY_CALIBRATION",
            help="Thresholds that `ostiary calibrate` wrote; default: those in the weights.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show the gate at work on pictures that come with the package; nothing is kept.

    Enrols a person, lets her in, refuses somebody else, and refuses her portrait on a screen.

    Exit code 0: the gate answered as it should each time; 1: it did not; 2: an error.

    Example: ostiary demo
    """
    try:
        from ostiary.gate.demo import PICTURES, demonstrate
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "gate") from error

    parts = []
    for number, part in enumerate(demonstrate(weights, calibration=calibration), 1):
        parts.append(part)
        if not json:
            _tell(number, part)
    good = all(part.as_expected for part in parts)
    if json:
        print(json_module.dumps([part.to_dict() for part in parts], indent=1))
    else:
        verdict = "One try of each shows how the gate answers; it measures nothing."
        if not good:
            verdict = (
                "The gate did not answer as it should: these networks or thresholds do not fit these pictures."
            )
        _print(f"{verdict}\nThe pictures are in {PICTURES}.\n\n{NEXT}")
    raise typer.Exit(0 if good else 1)


def _tell(number: int, part: Shown) -> None:
    from ostiary.cli.decisions import sentence
    from ostiary.gate.decision import Decision

    _print(f"{number}. {part.act.title}: {part.act.picture}")
    answer = part.answer
    if isinstance(answer, Decision):
        measured = [f"{said}: {_SAID.get(answer.outcomes[stage], answer.outcomes[stage])}"
                    for stage, said in _STAGES.items() if stage in answer.outcomes]  # fmt: skip
        milliseconds = sum(answer.milliseconds.values())
        _print(f"   {sentence(answer)}\n   {'; '.join(measured)}; {milliseconds:.0f} ms")
    else:
        _print(f"   {answer.sentence}")
    if not part.as_expected:
        _print("   This is not what should have come of it.")
    _print("")


def _print(text: str) -> None:
    out.print(text, highlight=False, markup=False, soft_wrap=True)
