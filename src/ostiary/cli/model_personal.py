"""``ostiary model personal``: what a personal verifier costs, and how large a template is."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.table import Table

from ostiary.cli.console import out


def personal(
    architecture: Annotated[str, typer.Option(help="f112, f112w or f64.")] = "f112",
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object instead of a table.")] = False,
) -> None:
    """Parameters, operations and template sizes of the personal verifier.

    Example: ostiary model personal --json
    """
    from ostiary.runtime.verifier_layers import ARCHITECTURES, architecture_named

    chosen = architecture_named(architecture)
    costs = {name: _cost(name) for name in ARCHITECTURES}
    if as_json:
        others = {name: cost for name, cost in costs.items() if name != chosen.name}
        print(json.dumps({"architecture": chosen.name, **costs[chosen.name], "others": others}, indent=2))
        return
    out.print(_table(costs))


def _cost(name: str) -> dict[str, Any]:
    from ostiary.runtime.template import PRECISIONS, template_bytes
    from ostiary.runtime.verifier_layers import architecture_named

    shape = architecture_named(name)
    return {
        "size": shape.size,
        "parameters": shape.parameters,
        "macs": shape.macs,
        "flops": shape.flops,
        "template_bytes": {precision: template_bytes(shape, precision) for precision in PRECISIONS},
    }


def _table(costs: dict[str, dict[str, Any]]) -> Table:
    table = Table(
        "verifier", title="Personal verifiers: one crop, and a template in bytes", box=None, pad_edge=False
    )
    for heading in ("pixels", "parameters", "multiply-adds", "operations", "fp32", "fp16", "int8"):
        table.add_column(heading, justify="right")
    for name, cost in costs.items():
        numbers = [cost[key] for key in ("size", "parameters", "macs", "flops")]
        table.add_row(name, *(f"{number:,}" for number in (*numbers, *cost["template_bytes"].values())))
    table.caption = "operations: two a multiply-add, and one a bias"
    table.caption_justify = "left"
    return table
