"""What a server is told before it starts: where it listens, how much it takes at once, and who may ask.

A server that others can reach needs tokens; without them it listens to this machine alone, or not at all.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field
from pathlib import Path

from ostiary.errors import ConfigurationError
from ostiary.hooks.addresses import Address
from ostiary.serve.auth import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How a server behaves; what it decides is the business of the gate.

    Attributes:
        host: address to listen on. Any other than this machine's own loopback needs ``tokens``.
        port: 0 for a free one.
        tokens: who may ask what; None lets every program of this machine ask everything.
        workers: processes that share the port and the vault.
        threads: of each process, which judge faces beside each other.
        waiting: requests of each process that wait for such a thread; more are sent away with 503.
        largest_body: bytes of a request.
        max_pixels: of a photo, which is refused before it is decoded.
        most_photos: of one request.
        rate: requests a second of one client address, over a longer time.
        burst: requests of one client address at once.
        body_s: seconds in which a request must have arrived.
        stop_s: seconds that requests under way are given when the server stops.
        tls_certificate: PEM file, with ``tls_key``; None for plain HTTP.
        tls_key: PEM file.
        trusted_proxy: address of a reverse proxy whose word on the client's address is taken.
        on_decision: addresses of whom to tell of each decision.

    Raises:
        ConfigurationError: a setting is impossible, or the server would be open to others without a token.

    """

    host: str = "127.0.0.1"
    port: int = 8000
    tokens: Tokens | None = None
    workers: int = 1
    threads: int = 1
    waiting: int = 16
    largest_body: int = 12 * 2**20
    max_pixels: int = 12_500_000
    most_photos: int = 5
    rate: float = 20
    burst: int = 60
    body_s: float = 10
    stop_s: int = 20
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    trusted_proxy: str | None = None
    on_decision: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        least = {"workers": 1, "threads": 1, "waiting": 0, "most_photos": 1, "burst": 1, "port": 0, "stop_s": 0}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ConfigurationError(f"{name} is {getattr(self, name)}: give {value} or more.")
        for name in ("largest_body", "max_pixels", "rate", "body_s"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"{name} is {getattr(self, name)}: give a number above 0.")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ConfigurationError("TLS needs a certificate and its key: give both files, or neither.")
        if self.tokens is None and not is_loopback(self.host):
            raise ConfigurationError(
                f"Whoever reaches {self.host} could open the door: give tokens with --token-file, or listen on "
                "127.0.0.1 alone."
            )
        if self.tokens is None and self.trusted_proxy is not None:
            raise ConfigurationError(
                "A proxy lets others in, so that tokens are needed: give them with --token-file."
            )
        kinds = {Address.parse(text).kind for text in self.on_decision}
        if "gpio" in kinds and self.workers > 1:
            raise ConfigurationError(
                "A relay can be held by one process alone: give 1 worker, or no gpio address."
            )

    @property
    def is_private(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether an address, or every address of a name, is this machine's own loopback.

    Raises:
        ConfigurationError: nobody knows the name.

    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ConfigurationError(f"{host!r} is no address of this machine: give one, such as 127.0.0.1.") from None
    return bool(found) and all(ipaddress.ip_address(str(entry[4][0])).is_loopback for entry in found)
