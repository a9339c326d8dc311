"""``ostiary model face``: what the face networks cost, without running them on anything."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ostiary.cli.console import out


def face(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object instead of a table.")] = False,
    dimension: Annotated[int, typer.Option(help="Numbers in an embedding; 512 in the paper.", min=1)] = 512,
) -> None:
    """Parameters and multiply-adds of the face networks, also as Zhang 2019 counts them.

    Example: ostiary model face --json
    """
    from rich.table import Column, Table

    from ostiary.networks.costs import face_costs

    costs = face_costs(dimension)
    if as_json:
        print(json.dumps({name: cost._asdict() for name, cost in costs.items()}, indent=2))
        return
    table = Table(
        Column("network", no_wrap=True),
        title=f"Face networks at 112 x 112 pixels, embeddings of {dimension} numbers",
    )
    for heading in ("parameters", "multiply-adds", "as Zhang 2019 counts", "of MobileFaceNet"):
        table.add_column(heading, justify="right")
    base = costs["mobilefacenet"].macs
    for name, cost in costs.items():
        share = f"{cost.macs / base:.2f}"
        table.add_row(name, f"{cost.parameters:,}", f"{cost.macs:,}", f"{cost.macs_tsx:,}", share)
    out.print(table)
