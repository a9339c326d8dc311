"""The option by which a door's commands are told whom to tell of a decision."""

from __future__ import annotations

from typing import Annotated

import typer

OnDecision = Annotated[
    list[str] | None,
    typer.Option(
        "--on-decision",
        envvar="OSTIARY_ON_DECISION",
        help="Tell each decision to https://..., mqtts://HOST/TOPIC or gpio:PIN; may be given several times.",
        show_default=False,
    ),
]
