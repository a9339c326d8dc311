"""An HTTP POST a decision, signed so that the receiver knows who sent it, and when.

The signature is that of Standard Webhooks 1.0.0: ``webhook-signature: v1,`` and the Base64 of the HMAC-SHA-256 of
``webhook-id.webhook-timestamp.body``. There are libraries for it in most languages. No redirect is followed, and
no proxy of the environment is asked: an event goes where the address says.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import ssl
import time
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

import ostiary
from ostiary.errors import ConfigurationError
from ostiary.hooks.hook import Event, HookError

SHORTEST_SECRET = 24
"""Bytes, as Standard Webhooks asks for."""

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which another try may come to something else."""


class Webhook:
    """Posts events to an address.

    Args:
        address: ``http://`` or ``https://``; whether it may be without TLS is the caller's business.
        secret: signs each request; None for no signature.
        tls: None for the certificates that the system trusts.
        measurements: with liveness and similarity.
        only_accepted: no refusals.
        lasts_s: so many seconds after a decision it is still told.
        clock: seconds since 1970.

    Raises:
        ConfigurationError: the secret is too short.

    """

    def __init__(
        self,
        address: str,
        *,
        secret: bytes | None = None,
        tls: ssl.SSLContext | None = None,
        measurements: bool = False,
        only_accepted: bool = False,
        lasts_s: float = 10.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if secret is not None and len(secret) < SHORTEST_SECRET:
            raise ConfigurationError(
                f"The secret of a webhook has {len(secret)} bytes and could be guessed: give "
                f"{SHORTEST_SECRET} or more."
            )
        self._address: SplitResult = urlsplit(address)
        self._secret, self._measurements, self._clock = secret, measurements, clock
        self._tls = ssl.create_default_context() if tls is None and self._address.scheme == "https" else tls
        self.only_accepted, self.lasts_s = only_accepted, lasts_s
        self.name = f"webhook {self._address.hostname}"  # the path may be a secret of its own

    def __repr__(self) -> str:
        return f"Webhook({self._address.hostname!r})"

    def prepare(self, timeout_s: float) -> None:
        """Nothing can be done before."""

    def send(self, event: Event, timeout_s: float) -> None:
        """Post an event; any answer of 2xx is a success.

        Raises:
            HookError: another answer, or none.

        """
        body = event.body(measurements=self._measurements)
        path = self._address.path or "/"
        target = f"{path}?{self._address.query}" if self._address.query else path
        connection = self._connection(timeout_s)
        try:
            connection.request("POST", target, body, self._headers(event.id, body))
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            raise HookError(f"{self.name} does not answer ({_reason(error)})") from None
        finally:
            connection.close()
        if not 200 <= status < 300:
            raise HookError(f"{self.name} answered with status {status}", final=status not in _PASSING)

    def close(self) -> None:
        """Nothing is held."""

    def _headers(self, number: str, body: bytes) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"ostiary/{ostiary.__version__}",
            "Connection": "close",
            "webhook-id": number,
            "webhook-timestamp": str(int(self._clock())),
        }
        if self._secret is not None:
            headers["webhook-signature"] = signature(self._secret, number, headers["webhook-timestamp"], body)
        return headers

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        host, port = self._address.hostname or "", self._address.port
        if self._address.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=self._tls)
        return http.client.HTTPConnection(host, port, timeout=timeout_s)


def signature(secret: bytes, number: str, timestamp: str, body: bytes) -> str:
    """The value of ``webhook-signature`` for a request."""
    digest = hmac.new(secret, f"{number}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def secret_of(text: str) -> bytes:
    """A secret as it is written down: ``whsec_`` and Base64, or just characters.

    Raises:
        ConfigurationError: what follows ``whsec_`` is no Base64.

    """
    if not text.startswith("whsec_"):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except ValueError:
        raise ConfigurationError("What follows whsec_ in the secret of a webhook is no Base64.") from None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
