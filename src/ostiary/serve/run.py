"""One server: it opens its door once to see that all is well, then serves by one process or by several.

Several are watched by the first one, which starts another where one has died. All of them stop when the first is
told to, after the requests under way have been answered.
"""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from ostiary.errors import ConfigurationError
from ostiary.gate.watching import logged
from ostiary.serve.app import RATES, create_app
from ostiary.serve.door import Door
from ostiary.serve.limits import make_table
from ostiary.serve.metrics import FOLDER
from ostiary.serve.opening import OpensDoor
from ostiary.serve.settings import ServerSettings

_BACKLOG = 256
_CONNECTIONS = 512
"""Of one process; more are sent away."""

_SILENT_S = 30
"""A worker that says nothing for so long is replaced. One that is starting says nothing, and a small board takes
its time for that; one that was killed just when it was asked is noticed as late as that.
"""

_LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {
        "ostiary": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        "python_multipart": {"level": "ERROR"},  # it warns of every malformed body
    },
}


def run(opening: OpensDoor, settings: ServerSettings, tell: Callable[[str], None]) -> None:
    """Serve until the process is told to stop (SIGTERM, or Ctrl-C).

    Args:
        opening: opens the door, in each process.
        settings: of the server.
        tell: is told the address once the server listens, and what keeps the door shut.

    Raises:
        ConfigurationError: the address cannot be listened on.
        OstiaryError: the door does not open.

    """
    with listening(settings) as listener:
        with opening() as door:
            tell(f"Listening on {_address(listener, settings)}")
            for problem in (*door.gate.problems, *_warnings(settings)):
                tell(problem)
            if settings.workers == 1:
                with logged(door.audit, door.name):
                    _serve_alone(door, settings, listener)
                return
            audit, name = door.audit, door.name
        with logged(audit, name):
            _serve_together(opening, settings, listener)


def _serve_alone(door: Door, settings: ServerSettings, listener: socket.socket) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn stops at them, and in the end raises them once more
    app = create_app(lambda: nullcontext(door), settings)
    uvicorn.Server(_configuration(app, settings)).run(sockets=[listener])


def _serve_together(opening: OpensDoor, settings: ServerSettings, listener: socket.socket) -> None:
    with tempfile.TemporaryDirectory(prefix="ostiary-serve-") as name:
        shared = Path(name)
        make_table(shared / RATES)
        (shared / "metrics").mkdir()
        os.environ[FOLDER] = str(shared / "metrics")
        app = partial(create_app, opening, settings, shared, os.getpid())
        Multiprocess(_configuration(app, settings, factory=True), [listener]).run()


def _configuration(app: Callable[..., Any], settings: ServerSettings, *, factory: bool = False) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=factory,
        workers=settings.workers,
        http="h11",
        ws="none",
        lifespan="on",
        log_config=_LOGGING,
        access_log=False,  # its lines hold paths, and in them handles
        server_header=False,
        proxy_headers=settings.trusted_proxy is not None,
        forwarded_allow_ips=settings.trusted_proxy,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=settings.stop_s,
        timeout_worker_healthcheck=_SILENT_S,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )


def listening(settings: ServerSettings) -> socket.socket:
    """The socket of the settings' address.

    Raises:
        ConfigurationError: it cannot be listened on.

    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"{settings.host}, port {settings.port}, cannot be listened on ({reason}): name another one."
        ) from None
    # asyncio asks for it only on sockets that name TCP, and this one does not: without it an answer's body waits
    # 40 ms until its head is acknowledged. What is accepted inherits it.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.set_inheritable(True)
    return listener


def _address(listener: socket.socket, settings: ServerSettings) -> str:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{'http' if settings.tls_certificate is None else 'https'}://{shown}:{port}"


def _warnings(settings: ServerSettings) -> tuple[str, ...]:
    if settings.is_private or settings.tls_certificate is not None:
        return ()
    return ("Without TLS whoever is on the way reads tokens and photos: give --tls-certificate, or use a proxy.",)
