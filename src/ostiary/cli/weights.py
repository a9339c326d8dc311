"""``ostiary weights``: what comes with the package."""

from __future__ import annotations

import json as json_module
from typing import Annotated

import typer

from ostiary.cli.console import out


def list_weights(
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the weights in the package with licence, data and size, after checking each file's SHA-256.

    Example: ostiary weights list --json
    """
    from rich.table import Table

    from ostiary.runtime.packaged import describe_packaged

    records = describe_packaged()
    if json:
        print(json_module.dumps(records, indent=1))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = ("name", "task", "version", "megabytes")
    for column in columns:
        table.add_column(column, no_wrap=True)
    terms: dict[tuple[str, str], list[str]] = {}
    for record in records:
        table.add_row(*(str(record[column]) for column in columns))
        terms.setdefault((record["licence"], ", ".join(record["data"])), []).append(record["name"])
    out.print(table)
    for (licence, data), names in terms.items():
        learnt = f"; learnt from {data}" if data else ""
        out.print(f"\n{', '.join(names)}: {licence}{learnt}", highlight=False, markup=False)
