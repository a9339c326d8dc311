"""What stands before every route: a number for the request, its rate, where it comes from, and what the log says.

The log has a line a request with its number, route, status, time and reason: no path, in which a handle may stand,
no header, no body. What breaks becomes one sentence for the client and one line in the log, since the text of a
foreign error may hold numbers of a face.
"""

from __future__ import annotations

import json
import logging
import math
import secrets
import time
import traceback
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ostiary.serve.limits import RateLimit
from ostiary.serve.metrics import Metrics

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "permissions-policy": "camera=(self), microphone=(), geolocation=(), display-capture=()",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""On every answer: a page of this server loads nothing from elsewhere, and stands in no other's frame."""

_METHODS = ("GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH")
_HERE = ("localhost", "127.0.0.1", "::1")
_FORWARDED = ("forwarded", "x-forwarded-for", "via")
_GONE = 499
"""Status in the log of a client that went away before it was answered."""

log = logging.getLogger(__name__)


class Front:
    """ASGI middleware, the outermost.

    Args:
        app: what answers.
        rates: who may ask now.
        metrics: counts the answers.
        private: whether there is no token, so that only programs and pages of this machine itself may ask.

    """

    def __init__(self, app: ASGIApp, *, rates: RateLimit, metrics: Metrics, private: bool) -> None:
        self._app, self._rates, self._metrics, self._private = app, rates, metrics, private

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, number, status = time.perf_counter(), secrets.token_hex(8), _GONE
        scope.setdefault("state", {})["number"] = number

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = number
                headers.update(HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            refused = self._refused(scope)
            if refused is None:
                await self._app(scope, receive, answer)
            else:
                await _say(answer, *refused)
        except ClientDisconnect:
            pass
        except Exception as error:  # whatever broke, the client gets a sentence and the log no value
            log.error("request=%s broke: %s", number, _where(error))
            if status == _GONE:
                await _say(answer, 500, "Something broke here; the server's log says where, by the request's id.")
        finally:
            self._told(scope, number, status, time.perf_counter() - begun)

    def _refused(self, scope: Scope) -> tuple[int, str, dict[str, str]] | None:
        client = scope.get("client")
        wait = self._rates.wait(client[0] if client else "")
        if wait > 0:
            seconds = str(max(1, math.ceil(wait)))
            return 429, "Too many requests from this address: ask less often.", {"retry-after": seconds}
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host"):
            return 403, "A page of another place may not ask this server.", {}
        if self._private and not _is_from_here(headers):
            return 403, "Without tokens this server answers this machine alone, by the name localhost.", {}
        return None

    def _told(self, scope: Scope, number: str, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.answered(route, method, status, seconds)
        reason = scope["state"].get("reason")
        said = f" reason={reason}" if reason else ""
        log.info("request=%s %s %s %d %.0f ms%s", number, method, route, status, 1000 * seconds, said)


async def _say(send: Send, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
    body = json.dumps({"error": sentence}).encode()
    given = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    raw = [(name.encode(), value.encode()) for name, value in given.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _is_from_here(headers: Headers) -> bool:
    """Whether a request names this machine, as one by a foreign name cannot, and came by no proxy."""
    if any(name in headers for name in _FORWARDED):
        return False
    try:
        host = urlsplit(f"//{headers.get('host', '')}").hostname
    except ValueError:
        return False
    return host in _HERE


def _where(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}."
