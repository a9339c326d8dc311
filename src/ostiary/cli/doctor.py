"""``ostiary doctor``: what is installed, does it work, and what to do if not."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from ostiary.cli.console import out
from ostiary.cli.door import Json, NetworkOptions, with_options

if TYPE_CHECKING:
    from ostiary.gate.doctor import Finding
    from ostiary.gate.matching import Matcher

_COLOURS = {"ok": "green", "warning": "yellow", "fault": "red"}


@with_options
def doctor(
    options: NetworkOptions,
    camera: Annotated[
        str | None, typer.Option(help="Take one picture of this camera or stream.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Say what is installed, which weights, which cameras, whether the vault is whole, and run a self-test.

    The vault is looked at if --vault names it. Exit code 0: no fault; 1: a fault.

    Example: ostiary doctor --vault vault.db --camera 0
    """
    from rich.table import Table
    from rich.text import Text

    found = list(_findings(options, camera))
    if json:
        print(json_module.dumps([one.to_dict() for one in found], indent=1))
    else:
        table = Table(box=None, pad_edge=False, show_header=False)
        for one in found:
            said = one.said if not one.advice else f"{one.said} -> {one.advice}"
            table.add_row(Text(one.state, _COLOURS[one.state]), Text(one.about), Text(said))
        out.print(table)
    raise typer.Exit(1 if any(one.state == "fault" for one in found) else 0)


def _findings(options: NetworkOptions, camera: str | None) -> Iterator[Finding]:
    from ostiary.gate import doctor as ask

    yield from ask.installed()
    yield ask.machine()
    yield from ask.packaged()
    yield from ask.self_test(options.liveness_weights)
    yield from ask.cameras()
    if camera is not None:
        yield ask.camera(int(camera) if camera.isdecimal() else camera)
    stages, of_door = ask.door(options.stages, options.weights)
    yield from of_door
    for path in (options.key_file, options.passphrase_file):
        if path is not None:
            yield ask.key_file(path)
    if options.vault is not None:
        yield from _of_vault(options, None if stages is None else stages.matcher)


def _of_vault(options: NetworkOptions, matcher: Matcher | None) -> Iterator[Finding]:
    """Of the vault; one that does not open is a finding like any other."""
    from ostiary.errors import OstiaryError
    from ostiary.gate.doctor import Finding, vault

    try:
        with options.opened() as opened:
            yield from vault(opened, matcher)
    except OstiaryError as error:
        yield Finding("fault", "vault", str(error))
