"""What Home Assistant is told so that a door shows up there by itself: an MQTT *event* entity.

An event has no state that could be old: what is shown is the last decision and when it was.
"""

from __future__ import annotations

import hashlib
import json
import re

import ostiary


def announcement(prefix: str, topic: str, door: str) -> tuple[str, bytes]:
    """Topic and message of a door's announcement, which is to be retained; it holds nothing about people.

    Args:
        prefix: under which Home Assistant looks, ``homeassistant`` unless it was told otherwise.
        topic: of the decisions.
        door: name of the gate.

    """
    # Names of doors are free, ids are not; two doors that only differ in odd characters have different topics.
    short = hashlib.sha256(topic.encode()).hexdigest()[:8]
    ident = f"ostiary_{re.sub(r'[^a-zA-Z0-9_-]', '_', door)}_{short}"
    message = {
        "name": "Decision",
        "unique_id": f"{ident}_decision",
        "state_topic": topic,
        "event_types": ["accepted", "refused"],
        "icon": "mdi:door",
        "device": {"identifiers": [ident], "name": door, "model": "ostiary", "sw_version": ostiary.__version__},
        "origin": {"name": "ostiary", "sw_version": ostiary.__version__},
    }
    return f"{prefix}/event/{ident}/config", json.dumps(message).encode()
