"""``ostiary audit verify``: is the log as it was written?"""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from ostiary.cli.console import out
from ostiary.cli.door import Json, VaultOptions, with_options


@with_options
def verify(
    log: Annotated[Path, typer.Argument(help="The log.", show_default=False)],
    options: VaultOptions,
    head: Annotated[
        str | None,
        typer.Option(
            help="Number and hash of an entry that was kept elsewhere, as this command prints them (NUMBER:HASH): "
            "tells if the end was cut off.",
            show_default=False,
        ),
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="The log was made without a vault's key: follow its hashes alone.")
    ] = False,
    json: Json = False,
) -> None:
    """Follow the chain of an audit log from the first entry to the last. Exit code 0: it is whole; 2: it is not.

    A log that a gate wrote is chained with a key of its vault, so that the vault has to be opened.

    Example: ostiary audit verify audit.jsonl --vault vault.db
    """
    from ostiary.gate.audit import AuditLog
    from ostiary.gate.setup import parse_head

    known = None if head is None else parse_head(head)
    key = None
    if not plain:
        with options.opened() as vault:
            key = vault.log_key
    found = AuditLog(log, key).verify(known)
    if json:
        print(json_module.dumps({"whole": True, "number": found.number, "hash": found.hash}, indent=1))
        return
    out.print(f"The log is whole: {found.number + 1} entries.", highlight=False, markup=False, soft_wrap=True)
    said = f"Keep this where the gate cannot write: {found.number}:{found.hash}"
    out.print(said, highlight=False, markup=False, soft_wrap=True)
