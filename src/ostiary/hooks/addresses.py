"""From an address to a hook: ``https://...``, ``mqtts://...`` or ``gpio:17``, with settings after ``#``.

What follows ``#`` never leaves this machine, so that it is the place for settings of this end. No secret is
written in an address, where the list of processes would show it; a file is named instead. What goes over a network
without TLS must be asked for.
"""

from __future__ import annotations

import ipaddress
import math
import ssl
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlsplit

from ostiary.errors import ConfigurationError
from ostiary.hooks.dispatcher import Counted, Hooks
from ostiary.hooks.gpio import Gpio
from ostiary.hooks.hook import Hook
from ostiary.hooks.mqtt import Mqtt
from ostiary.hooks.webhook import Webhook, secret_of

_EVERYWHERE = ("plain", "ca-file", "only", "measurements", "lasts")
_WEBHOOK, _MQTT = (*_EVERYWHERE, "secret-file"), (*_EVERYWHERE, "password-file", "discovery")
_SETTINGS = {
    "http": _WEBHOOK,
    "https": _WEBHOOK,
    "mqtt": _MQTT,
    "mqtts": _MQTT,
    "gpio": ("seconds", "active", "lasts"),
}
_WORDS = {"plain": ("yes",), "measurements": ("yes",), "only": ("accepted",), "active": ("high", "low")}
_LARGEST_SECRET = 4096


@dataclass(frozen=True, slots=True)
class Address:
    """Where a hook leads.

    Attributes:
        place: the address without its settings.
        settings: by name.

    """

    place: SplitResult = field(repr=False)
    settings: dict[str, str] = field(repr=False)

    @property
    def kind(self) -> str:
        """``http``, ``https``, ``mqtt``, ``mqtts`` or ``gpio``."""
        return self.place.scheme

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read an address.

        Raises:
            ConfigurationError: it leads nowhere, holds a secret, goes out without TLS unasked, or a setting is
                impossible.

        """
        try:
            whole = urlsplit(text)
            place = whole._replace(fragment="")
            pairs = parse_qsl(whole.fragment, strict_parsing=bool(whole.fragment))
            host, _ = place.hostname, place.port  # a port that is no number is an error here
        except ValueError:
            raise ConfigurationError("The address of a hook cannot be read: see docs/hooks.md.") from None
        if place.scheme not in _SETTINGS:
            raise ConfigurationError(
                f"A hook's address begins with one of {', '.join(f'{kind}:' for kind in _SETTINGS)}, not with "
                f"{place.scheme or text[:10]!r}."
            )
        settings = _checked(place.scheme, pairs)
        if place.scheme == "gpio":
            if not place.path or place.netloc or place.query:
                raise ConfigurationError("The address of a relay names its pin alone, as in gpio:17.")
            return cls(place, settings)
        if host is None:
            raise ConfigurationError(f"The address of a hook names no host: write {place.scheme}://HOST/...")
        if place.password is not None or (place.username is not None and place.scheme.startswith("http")):
            raise ConfigurationError(
                "A password in an address is seen by everybody on this machine: name a file with it, as in "
                "mqtts://USER@HOST/TOPIC#password-file=FILE."
            )
        if place.scheme.startswith("mqtt") and (_topic(place) == "" or set(_topic(place)) & set("+#\0")):
            raise ConfigurationError("The path of an MQTT address is its topic, without wildcards.")
        if place.scheme in ("http", "mqtt") and "plain" not in settings and not _is_here(host):
            raise ConfigurationError(
                f"{place.scheme}://{host} is without TLS, and whoever is on the way reads who comes and goes: use "
                f"{place.scheme}s://, or say plain=yes after a # if your network is your own."
            )
        return cls(place, settings)

    def hook(self, door: str) -> Hook:
        """The hook.

        Args:
            door: name of the gate.

        Raises:
            ConfigurationError: a file cannot be read, or the pin cannot be had.
            MissingExtraError: a package is missing.

        """
        if self.kind == "gpio":
            return Gpio(
                self.place.path,
                seconds=_number(self.settings, "seconds", 3.0),
                active_high=self.settings.get("active") != "low",
                lasts_s=_number(self.settings, "lasts", 2.0),
            )
        measurements, only_accepted = "measurements" in self.settings, "only" in self.settings
        lasts_s = _number(self.settings, "lasts", 10.0)
        if self.kind.startswith("http"):
            secret = self._secret("secret-file")
            return Webhook(
                self.place.geturl(),
                secret=None if secret is None else secret_of(secret),
                tls=self._tls(),
                measurements=measurements,
                only_accepted=only_accepted,
                lasts_s=lasts_s,
            )
        return Mqtt(
            self.place.hostname or "",
            self.place.port or (8883 if self.kind == "mqtts" else 1883),
            _topic(self.place),
            door=door,
            tls=self._tls(),
            user=self.place.username,
            password=self._secret("password-file"),
            discovery=self.settings.get("discovery"),
            measurements=measurements,
            only_accepted=only_accepted,
            lasts_s=lasts_s,
        )

    def _tls(self) -> ssl.SSLContext | None:
        if not self.kind.endswith("s"):
            return None
        file = self.settings.get("ca-file")
        try:
            return ssl.create_default_context(cafile=file)
        except OSError:  # also what is no certificate
            raise ConfigurationError(f"{file} holds no certificates: name a PEM file.") from None

    def _secret(self, setting: str) -> str | None:
        """The first line of the file that a setting names; None without one."""
        name = self.settings.get(setting)
        if name is None:
            return None
        try:
            with Path(name).open("rb") as file:
                text = file.read(_LARGEST_SECRET).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not text in UTF-8"
            raise ConfigurationError(f"{name} cannot be read ({reason}): name the file of the secret.") from None
        if not text:
            raise ConfigurationError(f"{name} is empty: write the secret in its first line.")
        return text.splitlines()[0]


def open_hooks(addresses: Iterable[str], door: str, counted: Counted = lambda _name, _what: None) -> Hooks:
    """The hooks at these addresses, ready to be told of decisions; ``counted`` is told what becomes of each.

    Raises:
        ConfigurationError, MissingExtraError: as :meth:`Address.parse` and :meth:`Address.hook`; then none is
            left open.

    """
    found = [Address.parse(text) for text in addresses]
    with ExitStack() as stack:
        hooks = []
        for address in found:
            hooks.append(address.hook(door))
            stack.callback(hooks[-1].close)
        stack.pop_all()
        return Hooks(hooks, door, counted)


def _checked(kind: str, pairs: list[tuple[str, str]]) -> dict[str, str]:
    settings = dict(pairs)
    for name, value in pairs:
        if name not in _SETTINGS[kind]:
            known = ", ".join(_SETTINGS[kind])
            raise ConfigurationError(f"A hook of {kind}: has no setting {name!r:.40}; it has {known}.")
        if name in _WORDS and value not in _WORDS[name]:
            raise ConfigurationError(f"{name}={value!r:.40} says nothing: give {' or '.join(_WORDS[name])}.")
    for name in ("seconds", "lasts"):
        if not 0 < _number(settings, name, 1.0) < math.inf:
            raise ConfigurationError(f"{name} of a hook is a number of seconds above 0.")
    return settings


def _number(settings: dict[str, str], name: str, otherwise: float) -> float:
    try:
        return float(settings.get(name, otherwise))
    except ValueError:
        return math.nan


def _topic(place: SplitResult) -> str:
    return place.path.strip("/")


def _is_here(host: str) -> bool:
    """Whether an address is this machine's own; names are not looked up, they may lead elsewhere tomorrow."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
