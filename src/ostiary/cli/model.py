"""``ostiary model``: what the networks cost, without running them on anything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ostiary.cli.console import out

if TYPE_CHECKING:
    from ostiary.adaptive import Cost


def liveness(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object instead of a table.")] = False,
) -> None:
    """Parameters and operations of the stock liveness network and of all 27 configurations.

    Example: ostiary model liveness --json
    """
    from ostiary.networks.costs import liveness_costs

    costs = liveness_costs()
    if as_json:
        fields = {
            name: {"parameters": cost.parameters, "macs": cost.macs, "mops": cost.mops}
            for name, cost in costs.items()
        }
        print(json.dumps(fields, indent=2))
        return
    out.print(_table(costs))


def _table(costs: dict[str, Cost]) -> Table:
    table = Table("configuration", title="Liveness network at 128 x 128 pixels")
    for heading in ("parameters", "multiply-adds", "operations (paper), M", "of stock"):
        table.add_column(heading, justify="right")
    stock = costs["mobilenet_v2"].mops
    for name, cost in costs.items():
        share = f"{cost.mops / stock:.2f}"
        table.add_row(name, f"{cost.parameters:,}", f"{cost.macs:,}", f"{cost.mops:.2f}", share)
    return table
