"""Two servers, as on two machines: processes that share nothing but a vault on PostgreSQL."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from ostiary.gate.vault import Vault

_found = importlib.util.spec_from_file_location(
    "vault_on_postgresql", Path(__file__).parents[1] / "gate" / "test_vault_postgresql.py"
)
assert _found is not None
assert _found.loader is not None
_vaults = importlib.util.module_from_spec(_found)
_found.loader.exec_module(_vaults)
server, place = _vaults.server, _vaults.place  # the fixtures of the vault's own tests

REFUSALS = 4


@pytest.fixture
def servers(place: str, fakes: ModuleType, start_process: Callable[..., Any]) -> Iterator[tuple[Any, Any]]:
    Vault.create(place, fakes.KEY).close()
    started = [start_process({"vault": place, "refusals": REFUSALS, "seconds": 0.01}) for _ in range(2)]
    yield started[0], started[1]
    for one in started:
        if one.popen.poll() is None:
            assert one.stop() == 0


def test_people_and_tries_are_shared_and_a_killed_server_loses_no_enrolment(
    servers: tuple[Any, Any], place: str, fakes: ModuleType
) -> None:
    north, south = servers

    # Enrolled at one, known and forgotten at the other, also where everybody is kept in memory.
    assert north.client.enrol().status_code == 201
    assert south.client.verify("ada").json()["accepted"]
    found = south.client.post("/identify", "ada").json()
    assert (found["accepted"], found["handle"]) == (True, "ada")
    assert north.client.http.delete("/users/ada").status_code == 200
    assert south.client.verify("ada").json()["reason"] == "not_enrolled"
    assert not south.client.post("/identify", "ada").json()["accepted"]

    # Parallel tries at both get as many as there are.
    assert south.client.enrol().status_code == 201
    with ThreadPoolExecutor(8) as pool:
        asked = [(north, south)[number % 2].client for number in range(16)]
        answers = [one.json()["reason"] for one in pool.map(lambda client: client.verify("bob"), asked)]
    assert sorted(answers) == ["another_person"] * REFUSALS + ["locked_out"] * (16 - REFUSALS)
    assert {one.client.verify("ada").json()["reason"] for one in servers} == {"locked_out"}

    # One server is killed while both enrol.
    acknowledged: dict[str, list[str]] = {"north": [], "south": []}
    ended = threading.Event()

    def enrol_at(name: str, client: Any) -> None:
        number = 0
        while not ended.is_set():
            number += 1
            with suppress(httpx.TransportError):
                answer = client.enrol("ada", f"{name}-{number}", duplicate="true")
                if answer.status_code == 201:
                    acknowledged[name].append(answer.json()["user"])
            time.sleep(0.001)  # a server that is gone refuses at once

    with ThreadPoolExecutor(2) as pool:
        writers = [
            pool.submit(enrol_at, name, one.client) for name, one in zip(acknowledged, servers, strict=True)
        ]
        try:
            wait_until(lambda: all(len(some) >= 2 for some in acknowledged.values()))
            north.popen.kill()
            killed_at = len(acknowledged["south"])
            wait_until(lambda: len(acknowledged["south"]) >= killed_at + 2)
        finally:
            ended.set()
        for writer in writers:
            writer.result()
    with Vault(place, fakes.KEY) as vault:
        assert vault.check() == ()
        known = {one.user for one in vault.list()}
        assert known >= {"ada", *acknowledged["north"], *acknowledged["south"]}
        for user in known:
            assert len(vault.open(user).templates) == 1
    assert south.client.get("/health").json()["status"] == "ok"


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
