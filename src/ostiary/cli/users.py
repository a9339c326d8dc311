"""``ostiary users``: who is enrolled; and what a person may ask for: to see, to take along, to be forgotten."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ostiary.cli.console import err, out
from ostiary.cli.door import Json, Log, VaultOptions, with_options

if TYPE_CHECKING:
    from ostiary.gate.audit_entry import Event
    from ostiary.gate.enrolments import Deletion, EnrolledUser
    from ostiary.gate.vault import Vault

User = Annotated[str, typer.Argument(help="Handle of the person.", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@with_options
def list_users(options: VaultOptions, json: Json = False) -> None:
    """List everybody who is enrolled, without any biometric value. Exit code 1: a person's record does not open.

    Example: ostiary users list --vault vault.db
    """
    from rich.table import Table
    from rich.text import Text

    with options.opened() as vault:
        people = vault.list()
    if json:
        print(json_module.dumps([_plain(one) for one in people], indent=1))
    else:
        table = Table("user", "enrolled", "last day", "templates", "note", box=None, header_style="bold")
        for one in people:
            plain = _plain(one)
            note = one.problem or ("expired: renew or delete" if one.expired else "")
            cells = (one.user, plain["enrolled"] or "", plain["retention"] or "", str(one.templates), note)
            table.add_row(*(Text(cell) for cell in cells))
        out.print(table)
    raise typer.Exit(1 if any(one.problem for one in people) else 0)


@with_options
def show(user: User, options: VaultOptions, json: Json = False) -> None:
    """Show what is stored about a person: dates, the note of consent, and which model made each template.

    Example: ostiary users show ada --vault vault.db
    """
    from ostiary.gate.enrolments import checked_handle

    with options.opened() as vault:
        found = [one for one in vault.list() if one.user == checked_handle(user)]
        if not found or not found[0].expired:
            opened = vault.open(user)
            record: dict[str, Any] = {
                "user": opened.user,
                "consent": opened.consent,
                "retention": opened.retention and opened.retention.isoformat(),
                "templates": [
                    {
                        "kind": one.kind,
                        "added": one.added.isoformat(timespec="seconds"),
                        "model_sha256": one.model,
                        "preprocess_sha256": one.preprocess_hash,
                    }
                    for one in opened.templates
                ],
            }
        else:
            record = _plain(found[0])
    if json:
        print(json_module.dumps(record, indent=1, ensure_ascii=False))
        return
    for name, value in record.items():
        if name != "templates" or not isinstance(value, list):
            out.print(f"{name}: {value}", highlight=False, markup=False, soft_wrap=True)
            continue
        for one in value:
            line = f"template: {one['kind']}, {one['added']}, model {one['model_sha256'][:12]}"
            out.print(line, highlight=False, markup=False, soft_wrap=True)


@with_options
def delete(user: User, options: VaultOptions, yes: Yes = False, log: Log = None, json: Json = False) -> None:
    """Forget a person: the key that opens this person's rows is destroyed, and the rows with it.

    Example: ostiary users delete ada --vault vault.db
    """
    with options.opened() as vault:
        if not yes:
            typer.confirm(f"Delete {user!r} for good?", abort=True, err=True)
        deletion = vault.delete(user)
        _note(log, vault, "deleted", deletion.user)
    _tell((deletion,), json)


@with_options
def purge(options: VaultOptions, log: Log = None, json: Json = False) -> None:
    """Forget everybody whose last day of use is over.

    Example: ostiary users purge --vault vault.db
    """
    with options.opened() as vault:
        deletions = vault.purge()
        for deletion in deletions:
            _note(log, vault, "purged", deletion.user)
    _tell(deletions, json)


@with_options
def export(
    user: User,
    options: VaultOptions,
    out_file: Annotated[Path, typer.Option("--out", help="The archive (.zip).", show_default=False)],
    log: Log = None,
) -> None:
    """Write everything that is stored about a person into an archive in clear, for that person.

    Example: ostiary users export ada --out ada.zip --vault vault.db
    """
    with options.opened() as vault:
        path = vault.export(user, out_file)
        _note(log, vault, "exported", user)
    said = f"Written to {path}, in clear: hand it over to this person, and delete it."
    err.print(said, highlight=False, markup=False, soft_wrap=True)


def _plain(one: EnrolledUser) -> dict[str, Any]:
    """Plain values for JSON."""
    return {
        "user": one.user,
        "enrolled": one.added and one.added.date().isoformat(),
        "retention": one.retention and one.retention.isoformat(),
        "expired": one.expired,
        "templates": one.templates,
        "problem": one.problem,
    }


def _note(log: Path | None, vault: Vault, event: Event, user: str) -> None:
    from ostiary.gate.setup import open_log

    audit = open_log(log, vault)
    if audit is not None:
        audit.append(event, user)


def _tell(deletions: tuple[Deletion, ...], json: bool) -> None:
    """What was deleted, and once what may still hold it."""
    if json:
        found = [{"user": one.user, "templates": one.templates, "remains": list(one.remains)} for one in deletions]
        print(json_module.dumps(found, indent=1))
        return
    for one in deletions:
        out.print(f"{one.user} is deleted; templates: {one.templates}.", highlight=False, markup=False)
    if not deletions:
        out.print("Nobody is deleted.", highlight=False)
    for sentence in deletions[0].remains if deletions else ():
        err.print(sentence, highlight=False, markup=False, soft_wrap=True)
