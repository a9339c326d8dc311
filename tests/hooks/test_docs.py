"""The page on hooks says what is true: its addresses parse, its receiver knows our requests, its YAML reads."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ostiary.hooks.addresses import _SETTINGS, Address
from ostiary.hooks.discovery import announcement
from ostiary.hooks.webhook import secret_of, signature

PAGE = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text(encoding="utf-8")
SECRET = "whsec_" + "QUJD" * 10


def test_addresses_of_the_page_lead_somewhere() -> None:
    given = re.findall(r"(?:--on-decision |OSTIARY_ON_DECISION=)(?:'([^']+)'|(\S+))", PAGE)
    kinds = {Address.parse(quoted or bare).kind for quoted, bare in given}
    assert kinds == {"http", "https", "mqtts", "gpio"}


def test_every_setting_is_on_the_page_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z-]+)=[^`]*` \| (.+?) \|", PAGE, re.MULTILINE)
    assert {name for name, _ in rows} == {name for names in _SETTINGS.values() for name in names}
    for name, kinds in rows:
        told = set(_SETTINGS) if kinds == "all" else set(kinds.split(", "))
        assert all(name in _SETTINGS[kind] for kind in told), name


def test_the_receiver_of_the_page_knows_our_requests() -> None:
    (example,) = re.findall(r"```python\n(import base64.*?)```", PAGE, re.DOTALL)
    defined: dict[str, Any] = {}
    exec(compile(example, "hooks.md", "exec"), defined)
    is_ours: Callable[..., bool] = defined["is_ours"]
    now = str(int(time.time()))

    def headers(moment: str = now, secret: str = SECRET) -> dict[str, str]:
        signed = signature(secret_of(secret), "1", moment, b"{}")
        return {"webhook-id": "1", "webhook-timestamp": moment, "webhook-signature": f"v1,other {signed}"}

    assert is_ours(SECRET, headers(), b"{}")
    assert not is_ours(SECRET, headers(), b"{ }")
    assert not is_ours(SECRET, headers() | {"webhook-id": "2"}, b"{}")
    assert not is_ours(SECRET, headers(secret="whsec_" + "QUJE" * 10), b"{}")
    assert not is_ours(SECRET, headers(str(int(now) - 60)), b"{}")


def test_what_home_assistant_is_told_is_what_the_page_tells_by_hand() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")

    class Reader(yaml.SafeLoader):  # type: ignore[misc, name-defined]
        pass

    Reader.add_constructor("!secret", lambda loader, node: loader.construct_scalar(node))
    blocks = [yaml.load(block, Reader) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
    (event,) = blocks[0]["mqtt"]
    _, message = announcement("homeassistant", "home/door", "north")
    told = yaml.safe_load(message)
    assert {name: told[name] for name in ("state_topic", "event_types")} == {
        name: event["event"][name] for name in ("state_topic", "event_types")
    }
    for automation in (one for block in blocks[1:] for one in block["automation"]):
        assert set(automation) <= {"alias", "mode", "triggers", "conditions", "actions"}
        assert automation["conditions"]
