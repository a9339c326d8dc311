"""``ostiary bench``: latency on this machine."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any

import typer

from ostiary.cli.console import err, out
from ostiary.errors import MissingExtraError


def liveness(
    peer: Annotated[
        list[Path] | None,
        typer.Option(help="Another liveness model (ONNX) to time; repeatable.", show_default=False),
    ] = None,
    int8: Annotated[
        list[Path] | None,
        typer.Option(
            help="8-bit weights file to time; repeatable. Default: LLL with random weights.",
            show_default=False,
        ),
    ] = None,
    words: Annotated[
        str | None,
        typer.Option(help="Configurations, separated by commas; default: all.", show_default=False),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Timed calls of each candidate.", min=1)] = 100,
    weights: Annotated[
        str | None,
        typer.Option(help="A weights file, or a name that `weights list` shows.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides the order of the calls.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Time all configurations, and peers, as ratios to the stock network, interleaved in one run.

    Example: ostiary bench liveness --words HHH,LLL,BBB --peer theirs.onnx --json
    """
    try:
        from ostiary.export.latency import measure_latency
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "torch", "train") from None
    chosen = words.split(",") if words else None
    err.print("timing, one thread, batch 1 ...", highlight=False)
    report = measure_latency(weights, words=chosen, int8=int8 or [], peers=peer or [], rounds=rounds, seed=seed)
    if json:
        print(json_module.dumps(report, indent=1))
    else:
        out.print(_table(report))


def _table(report: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table("configuration", "specialised", "switched", box=None, pad_edge=False, header_style="bold")
    table.title = f"time over the stock network's {report['stock_ms']:.2f} ms, {report['runs']} rounds"
    for word, ratios in report["configurations"].items():
        table.add_row(word, f"{ratios['specialised']:.2f}", f"{ratios['switched']:.2f}")
    for word, value in report["int8"].items():
        table.add_row(f"{word}, 8-bit", f"{value:.2f}", "")
    for name, value in report["peers"].items():
        table.add_row(name, f"{value:.2f}", "")
    return table
