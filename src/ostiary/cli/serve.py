"""``ostiary serve``: the gate over HTTP, and the door's page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostiary.cli.console import err
from ostiary.cli.door import DoorOptions, with_options
from ostiary.cli.hooks import OnDecision
from ostiary.errors import MissingExtraError


@with_options
def serve(
    options: DoorOptions,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any other than this machine's own needs tokens.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 for a free one.")] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(
            envvar="OSTIARY_TOKEN_FILE",
            help="File of lines `ROLE TOKEN`; made with new tokens if it is not there.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that share the port and the vault.")] = 1,
    threads: Annotated[int, typer.Option(help="Faces that each process judges beside each other.")] = 1,
    waiting: Annotated[int, typer.Option(help="Requests that wait in each process; more are sent away.")] = 16,
    rate: Annotated[float, typer.Option(help="Requests a second of one address.")] = 20.0,
    max_pixels: Annotated[int, typer.Option(help="Pixels of a photo.")] = 12_500_000,
    tls_certificate: Annotated[Path | None, typer.Option(help="Certificate, PEM.", show_default=False)] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Key of the certificate, PEM.", show_default=False)] = None,
    trusted_proxy: Annotated[
        str | None,
        typer.Option(help="Address of a proxy that may say who the client is.", show_default=False),
    ] = None,
    on_decision: OnDecision = None,
) -> None:
    """Serve the gate over HTTP, with a page for the door, until it is ended. No picture is kept.

    Without tokens it listens to this machine alone. The API is described at /docs.

    Exit code 0: ended; 2: an error, such as a port that is taken.

    Example: ostiary serve --port 8000
    """
    try:
        from ostiary.serve.auth import Tokens, make_token_file
        from ostiary.serve.opening import Opening, RememberedKey
        from ostiary.serve.run import run
        from ostiary.serve.settings import ServerSettings
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "serve") from error
    if token_file is not None and make_token_file(token_file):
        err.print(f"New tokens are in {token_file}.", highlight=False, markup=False, soft_wrap=True)
    settings = ServerSettings(
        host=host,
        port=port,
        tokens=None if token_file is None else Tokens.load(token_file),
        workers=workers,
        threads=threads,
        waiting=waiting,
        rate=rate,
        max_pixels=max_pixels,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        trusted_proxy=trusted_proxy,
        on_decision=tuple(on_decision or ()),
    )
    opening = Opening(
        vault=options.place,
        key=RememberedKey(options.key()),
        policy=options.policy(),
        weights=options.weights,
        personal=options.personal,
        liveness_weights=options.liveness_weights,
        configuration=options.configuration,
        budget_ms=options.budget_ms,
        cascade=options.cascade,
        calibration=options.calibration,
        log=options.log,
        name=options.door,
    )
    run(opening, settings, lambda said: err.print(said, highlight=False, markup=False, soft_wrap=True))
