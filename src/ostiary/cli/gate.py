"""``ostiary enrol``, ``verify`` and ``identify``: who may pass, asked with photos.

Whom somebody claims to be is asked for by name. If ``verify`` without a user compared with everybody, a forgotten
option would make a false match as many times likelier as there are people; that question has its own command.
"""

from __future__ import annotations

import json as json_module
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ostiary.cli.console import out
from ostiary.cli.door import DoorOptions, GateOptions, Json, with_options

if TYPE_CHECKING:
    from ostiary.gate.decision import Decision

Photos = Annotated[list[Path], typer.Argument(help="Photos.", show_default=False)]
Measurements = Annotated[
    bool,
    typer.Option(
        "--measurements", help="Also print liveness and similarity; keep them from whoever stands at the door."
    ),
]


@with_options
def enrol(
    user: Annotated[
        str, typer.Argument(help="Handle of the person, stored in clear: rather a number.", show_default=False)
    ],
    photos: Photos,
    options: GateOptions,
    consent: Annotated[
        str,
        typer.Option(help="Note of what the person agreed to, when, and where it is filed.", show_default=False),
    ],
    retention: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Last day on which it may be used.", show_default=False),
    ] = None,
    renew: Annotated[bool, typer.Option("--renew", help="Replace what is enrolled under this handle.")] = False,
    watched: Annotated[
        bool, typer.Option("--watched", help="Somebody saw the photos being taken: do not ask for liveness.")
    ] = False,
    duplicates: Annotated[
        bool, typer.Option("--allow-duplicate", help="The same face may be enrolled under another handle, too.")
    ] = False,
    json: Json = False,
) -> None:
    """Enrol a person from one or a few photos, or add to an enrolment of the same face. No photo is kept.

    Exit code 0: enrolled; 1: not, and the sentence says why; 2: an error.

    Example: ostiary enrol ada ada1.jpg ada2.jpg --consent "signed 2026-03-01, folder 7"
    """
    from ostiary.gate.policy import Policy

    with options.gate(Policy()) as gate:
        report = gate.enrol(
            user,
            photos,
            consent=consent,
            retention=None if retention is None else retention.date(),
            renew=renew,
            watched=watched,
            duplicates=not duplicates,
        )
    if json:
        print(json_module.dumps(report.to_dict(), indent=1))
    else:
        out.print(report.sentence, highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(0 if report.enrolled else 1)


@with_options
def verify(
    photos: Photos,
    options: DoorOptions,
    user: Annotated[str, typer.Option(help="Who it is said to be.", show_default=False)],
    measurements: Measurements = False,
    json: Json = False,
) -> None:
    """Say whether the photos show the person who is claimed, alive (1:1).

    Several photos are one presentation, in which all must agree unless --frames asks for fewer.

    Exit code 0: accepted; 1: refused; 2: an error.

    Example: ostiary verify door.jpg --user ada
    """
    _ask(photos, options, user, measurements, json)


@with_options
def identify(photos: Photos, options: DoorOptions, measurements: Measurements = False, json: Json = False) -> None:
    """Say whether the photos show anybody who is enrolled, alive, and who (1:N).

    Everybody is compared, so that false matches grow with the number of people. Photos and exit codes as `verify`.

    Example: ostiary identify door.jpg
    """
    _ask(photos, options, None, measurements, json)


def _ask(photos: list[Path], options: DoorOptions, user: str | None, measurements: bool, json: bool) -> None:
    from ostiary.cli.decisions import exit_code, sentence
    from ostiary.images import read_image

    pictures = [read_image(photo) for photo in photos]
    with options.gate(options.policy(frames=len(photos))) as gate:
        decision: Decision = gate.identify(pictures) if user is None else gate.verify(pictures, user)
    if json:
        print(json_module.dumps(decision.to_dict(measurements=measurements), indent=1))
    else:
        said = sentence(decision, measurements=measurements)
        out.print(said, highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(exit_code(decision))
