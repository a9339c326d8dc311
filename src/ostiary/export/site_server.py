"""A small server for the static page, to look at it on this machine: the right headers, and files compressed.

Any other server will do. It has to send the headers of ``site.HEADERS``, which the page's folder also holds in the
form that hosts of static pages read (``_headers``).
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ostiary.errors import ConfigurationError
from ostiary.export.site import HEADERS, INDEX

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".onnx": "application/octet-stream",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
}
"""Only files of these kinds are served."""

_HARDLY_SMALLER = {".onnx"}
"""Trained weights do not get much smaller, and phones would unpack them in vain."""


@contextmanager
def site_server(folder: Path, port: int = 0) -> Iterator[ThreadingHTTPServer]:
    """A server of a page, bound to this machine alone; start it with ``serve_forever``.

    Args:
        folder: what :func:`ostiary.export.site.build_site` wrote.
        port: 0 for a free one, which is then ``server.server_port``.

    Raises:
        ConfigurationError: the folder is no page, or the port is taken.

    """
    if not (folder / INDEX).is_file():
        raise ConfigurationError(f"{folder} is no page: make one with `ostiary web build --out {folder}`.")
    root = folder.resolve()
    handler = type("Handler", (_Handler,), {"root": root})
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise ConfigurationError(f"Port {port} cannot be used ({error.strerror}); name another one.") from None
    server.daemon_threads = True
    with server:
        yield server


class _Handler(BaseHTTPRequestHandler):
    root: Path
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Say nothing: what a visitor asks for is nobody's business."""

    def _answer(self) -> None:
        name = unquote(urlsplit(self.path).path).lstrip("/") or "index.html"
        path = (self.root / name).resolve()
        kind = TYPES.get(path.suffix)
        if kind is None or not path.is_relative_to(self.root) or not path.is_file():
            self._send(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"There is no such file.\n")
            return
        packs = path.suffix not in _HARDLY_SMALLER and "gzip" in self.headers.get("Accept-Encoding", "")
        content = _packed(path, path.stat().st_mtime_ns) if packs else path.read_bytes()
        self._send(HTTPStatus.OK, kind, content, packed=packs)

    def _send(self, status: HTTPStatus, kind: str, content: bytes, *, packed: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-cache")
        if packed:
            self.send_header("Content-Encoding", "gzip")
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@lru_cache(maxsize=64)
def _packed(path: Path, _changed: int) -> bytes:
    return gzip.compress(path.read_bytes(), 6, mtime=0)
