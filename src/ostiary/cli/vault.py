"""``ostiary vault``: make the vault, change its key, and see whether it is whole."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from ostiary.cli.console import err, out
from ostiary.cli.door import Json, Log, VaultOptions, ask, with_options


@with_options
def create(options: VaultOptions) -> None:
    """Make an empty vault. A key file that is not there is made, with a random key.

    There is no second way in: whoever loses key or passphrase has to enrol everybody again.

    Example: ostiary vault create --vault vault.db --key-file vault.key
    """
    from ostiary.gate.key_choice import make_key_file
    from ostiary.gate.vault import Vault

    made = options.key_file is not None and make_key_file(options.key_file)
    try:
        with Vault.create(options.place, options.key()) as vault:
            name = vault.name
    except BaseException:
        if made and options.key_file is not None:
            options.key_file.unlink(missing_ok=True)
        raise
    if made:
        _say(f"A new key is in {options.key_file}. Keep a copy of it, and never in one place with the vault.")
    _say(f"An empty vault is at {name}.")


@with_options
def rotate(
    options: VaultOptions,
    new_key_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the new key; made if it is not there. Without any of the three a new passphrase is "
            "asked for.",
            show_default=False,
        ),
    ] = None,
    new_passphrase_file: Annotated[
        Path | None, typer.Option(help="File with the new passphrase.", show_default=False)
    ] = None,
    new_keyring: Annotated[bool, typer.Option("--new-keyring", help="A new key in the keyring.")] = False,
    finish: Annotated[bool, typer.Option("--finish", help="Only finish a change that was interrupted.")] = False,
    log: Log = None,
) -> None:
    """Change the vault's key, and seal everybody's rows anew; the old key then opens nothing.

    Example: ostiary vault rotate --vault vault.db --key-file vault.key --new-key-file new.key
    """
    from ostiary.gate.key_choice import choose_key, make_key_file
    from ostiary.gate.setup import open_log

    with options.opened() as vault:
        if finish:
            _say(f"The change of the key is finished; people sealed anew: {vault.finish_rotation()}.")
            return
        if new_key_file is not None and make_key_file(new_key_file):
            _say(f"A new key is in {new_key_file}. Keep a copy of it, and never in one place with the vault.")
        vault.rotate(
            choose_key(key_file=new_key_file, passphrase_file=new_passphrase_file, keyring=new_keyring, ask=ask)
        )
        audit = open_log(log, vault)
        if audit is not None:
            audit.append("key_changed")
    _say("The key is changed. Backups from before still open with the old key: destroy them, or it.")


@with_options
def check(options: VaultOptions, log: Log = None, json: Json = False) -> None:
    """Open every row of the vault and count them. Exit code 0: it is whole; 1: something is wrong; 2: an error.

    Example: ostiary vault check --vault vault.db
    """
    from ostiary.gate.setup import open_log

    with options.opened() as vault:
        problems = vault.check()
        audit = open_log(log, vault)
        if audit is not None:
            audit.append("checked", problems=len(problems))
        people = len(vault.list())
    if json:
        print(json_module.dumps({"whole": not problems, "people": people, "problems": list(problems)}, indent=1))
    else:
        for problem in problems or (f"The vault is whole; people enrolled: {people}.",):
            out.print(problem, highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(1 if problems else 0)


@with_options
def recount(options: VaultOptions) -> None:
    """Take what is in the vault as what should be there, after a loss that nobody can repair.

    Example: ostiary vault recount --vault vault.db
    """
    with options.opened() as vault:
        vault.recount()
        _say(f"The vault takes this for whole; people enrolled: {len(vault.list())}.")


def _say(sentence: str) -> None:
    err.print(sentence, highlight=False, markup=False, soft_wrap=True)
