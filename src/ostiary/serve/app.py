"""The application: routes, the door's page, and what becomes of errors.

::

    app = create_app(opening, ServerSettings())

It is an ASGI application like any other; :func:`ostiary.serve.run.run` serves it by uvicorn.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.staticfiles import StaticFiles

import ostiary
from ostiary.errors import AuditError, InputError, NotEnrolledError, OstiaryError
from ostiary.hooks.addresses import open_hooks
from ostiary.serve import decisions, people, state
from ostiary.serve.front import Front
from ostiary.serve.limits import RateLimit
from ostiary.serve.metrics import Metrics
from ostiary.serve.opening import OpensDoor
from ostiary.serve.service import Service
from ostiary.serve.settings import ServerSettings
from ostiary.serve.workbench import Places, Workbench

RATES, ENROLLING = "rates", "enrolling.lock"
"""Files in the folder that the workers of one server share."""

_BODIES_BESIDE_WAITING = 8
"""So many more requests may be on their way in than wait to be judged."""

_DESCRIPTION = """Is the face at the camera alive, and is it the right one? Only `accepted: true` opens a door.

A face that is refused is an answer, with status 200. A request that cannot be used has status 4xx and one sentence
in `error`. No picture is kept."""

log = logging.getLogger(__name__)


def create_app(
    opening: OpensDoor, settings: ServerSettings, shared: Path | None = None, parent: int | None = None
) -> FastAPI:
    """Make the application.

    Args:
        opening: opens the door when the application starts.
        settings: of the server.
        shared: folder that the workers of one server share; None for one process.
        parent: process that watches over the workers, and without which they stop.

    """
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            folder = shared or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ostiary-")))
            door = stack.enter_context(opening())
            workbench = Workbench(settings.threads, settings.waiting)
            stack.callback(workbench.close)
            if parent is not None:
                stack.callback(asyncio.create_task(_end_with(parent)).cancel)
            hooks = stack.enter_context(open_hooks(settings.on_decision, door.name, metrics.told))
            reading = Places(settings.threads + settings.waiting + _BODIES_BESIDE_WAITING)
            app.state.service = Service(door, settings, workbench, reading, metrics, folder / ENROLLING)
            app.state.hooks = hooks
            yield

    app = FastAPI(
        title="ostiary",
        version=ostiary.__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # the usual pages load their scripts from elsewhere
        redoc_url=None,
    )
    for part in (decisions, people, state):
        app.include_router(part.router)
    _add_page(app)
    app.add_exception_handler(AnyHTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(OstiaryError, _of_ostiary)
    rates = RateLimit(settings.rate, settings.burst, table=None if shared is None else shared / RATES)
    app.add_middleware(Front, rates=rates, metrics=metrics, private=settings.tokens is None)
    return app


def _add_page(app: FastAPI) -> None:
    """The door's page, and a plain page of the API."""
    folder = Path(str(files("ostiary.serve") / "page"))
    app.mount("/page", StaticFiles(directory=folder), name="page")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(folder / "index.html", headers={"cache-control": "no-cache"})

    @app.get("/docs", include_in_schema=False)
    async def docs() -> FileResponse:
        return FileResponse(folder / "docs.html", headers={"cache-control": "no-cache"})


async def _of_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AnyHTTPException)
    sentences = {404: "There is nothing at this address: see /docs.", 405: "This address takes another method."}
    is_ours = isinstance(error, HTTPException)
    sentence = error.detail if is_ours else sentences.get(error.status_code, error.detail)
    return JSONResponse({"error": sentence}, error.status_code, error.headers)


async def _of_validation(request: Request, error: Exception) -> JSONResponse:
    """The first thing that is wrong, without its value."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return JSONResponse({"error": f"{first['loc'][-1]}: {first['msg']}."}, 422)


async def _of_ostiary(request: Request, error: Exception) -> JSONResponse:
    """Errors that were raised on purpose: what the client gave, or what is wrong here and is told to the log."""
    if isinstance(error, InputError):
        return JSONResponse({"error": str(error)}, 400)
    if isinstance(error, NotEnrolledError):
        return JSONResponse({"error": "Nobody of this handle is enrolled."}, 404)
    log.error("request=%s could not be done: %s", request.state.number, error)
    what = "The audit log cannot be written" if isinstance(error, AuditError) else "The vault cannot be used"
    return JSONResponse({"error": f"{what}; the server's log says why."}, 503, {"Retry-After": "5"})


async def _end_with(parent: int) -> None:
    """Stop this worker if the process that started it is gone, and with it whoever could stop it."""
    while os.getppid() == parent:
        await asyncio.sleep(1)
    signal.raise_signal(signal.SIGTERM)
