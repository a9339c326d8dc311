"""What an address comes to, and the sentences for those that lead nowhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ostiary.errors import ConfigurationError, MissingExtraError
from ostiary.hooks import addresses
from ostiary.hooks.addresses import Address, open_hooks
from ostiary.hooks.webhook import Webhook


def made(text: str) -> Any:
    return Address.parse(text).hook("north")


def test_a_webhook(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("whsec_" + "QUJD" * 10 + "\n")
    hook = made(f"https://door.example:8443/a?b=c#secret-file={secret}&only=accepted&measurements=yes&lasts=3")
    assert isinstance(hook, Webhook)
    assert (hook.name, hook.only_accepted, hook.lasts_s) == ("webhook door.example", True, 3.0)
    assert (hook._secret, hook._measurements, hook._address.geturl()) == (
        b"ABC" * 10,
        True,
        "https://door.example:8443/a?b=c",
    )
    plain = made("http://127.0.0.1:8123/api/webhook/door")
    assert (plain.only_accepted, plain.lasts_s, plain._secret, plain._measurements) == (False, 10.0, None, False)


def test_mqtt_and_gpio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, ...]] = []

    def noted(*given: Any, **named: Any) -> str:
        calls.append((*given, named))
        return "hook"

    monkeypatch.setattr(addresses, "Mqtt", noted)
    monkeypatch.setattr(addresses, "Gpio", noted)
    (tmp_path / "word").write_text("a word\nof two lines")
    made(f"mqtts://door@broker.example/house/door/#password-file={tmp_path / 'word'}&discovery=homeassistant")
    made("mqtt://localhost/door")
    made("gpio:17")
    made("gpio:BOARD11#seconds=5&active=low&lasts=1")
    secure, plain, relay, other = calls
    assert secure[:3] == ("broker.example", 8883, "house/door")
    assert secure[3]["tls"] is not None
    assert (secure[3]["user"], secure[3]["password"], secure[3]["door"]) == ("door", "a word", "north")
    assert secure[3]["discovery"] == "homeassistant"
    assert plain[:3] == ("localhost", 1883, "door")
    assert (plain[3]["tls"], plain[3]["user"], plain[3]["discovery"]) == (None, None, None)
    assert relay == ("17", {"seconds": 3.0, "active_high": True, "lasts_s": 2.0})
    assert other == ("BOARD11", {"seconds": 5.0, "active_high": False, "lasts_s": 1.0})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ftp://door.example", "begins with one of http:, https:, mqtt:, mqtts:, gpio:, not with 'ftp'"),
        ("door.example/hook", "not with 'door.examp'"),
        ("https:///hook", "names no host"),
        ("https://door.example:port/", "cannot be read"),
        ("https://door.example/#only", "cannot be read"),
        ("https://[::1/", "cannot be read"),
        ("http://192.168.1.5:8123/api/webhook/hidden", "is without TLS"),
        ("http://localhost.evil.example/", "is without TLS"),
        ("mqtt://broker.example/door", "is without TLS"),
        ("mqtts://door:word@broker.example/door", "A password in an address"),
        ("https://door@door.example/", "A password in an address"),
        ("mqtts://broker.example/", "is its topic"),
        ("mqtts://broker.example/door/+", "is its topic"),
        ("gpio://17", "names its pin alone"),
        ("gpio:", "names its pin alone"),
        ("https://door.example/#second=3", "has no setting 'second'"),
        ("gpio:17#only=accepted", "has no setting 'only'; it has seconds, active, lasts"),
        ("gpio:17#active=up", "give high or low"),
        ("https://door.example/#plain=no", "give yes"),
        ("https://door.example/#lasts=0", "a number of seconds above 0"),
        ("https://door.example/#lasts=nan", "a number of seconds above 0"),
        ("gpio:17#seconds=long", "a number of seconds above 0"),
    ],
)
def test_addresses_that_lead_nowhere(text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as found:
        Address.parse(text)
    assert sentence in str(found.value)
    assert "hidden" not in str(found.value)
    assert "word@" not in str(found.value)


def test_plain_connections_can_be_asked_for() -> None:
    assert isinstance(made("http://192.168.1.5:8123/api/webhook/door#plain=yes"), Webhook)
    assert "8123" not in repr(Address.parse("http://192.168.1.5:8123/api#plain=yes"))


def test_files_of_secrets_and_certificates(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, sentence in (("none", "cannot be read"), ("empty", "is empty"), ("binary", "not text in UTF-8")):
        with pytest.raises(ConfigurationError, match=sentence):
            made(f"https://door.example/#secret-file={tmp_path / name}")
    with pytest.raises(ConfigurationError, match="holds no certificates"):
        made(f"https://door.example/#ca-file={tmp_path / 'empty'}")


def test_if_one_cannot_be_had_none_stays_open(
    monkeypatch: pytest.MonkeyPatch, recorder: Callable[..., Any]
) -> None:
    hook = recorder()

    def second(*_: object, **__: object) -> None:
        raise ConfigurationError("no such pin")

    monkeypatch.setattr(addresses, "Webhook", lambda *_, **__: hook)
    monkeypatch.setattr(addresses, "Gpio", second)
    with pytest.raises(ConfigurationError, match="no such pin"):
        open_hooks(["https://door.example", "gpio:17"], "north")
    assert hook.closed


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "paho"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "paho", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'ostiary\[mqtt\]'"):
        made("mqtt://localhost/door")
