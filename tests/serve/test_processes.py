"""Real processes: workers that share a vault, one that is killed, a server that is stopped at work."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ostiary.gate.vault import Vault

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for workers in /proc")

Start = Callable[..., Any]


@pytest.fixture
def together(start_process: Start) -> Iterator[Any]:
    """Two workers with tokens, and ada enrolled."""
    server = start_process({"refusals": 4, "seconds": 0.01}, workers=2, tokens=True)
    assert server.client.enrol(duplicate="true").status_code == 201
    yield server
    if server.popen.poll() is None:
        assert server.stop() == 0


def test_workers_share_lockout_and_counters_and_a_killed_one_loses_no_enrolment(
    together: Any, new_vault: Path, fakes: ModuleType
) -> None:
    client = together.client
    before = wait_for_workers(together, 2)

    with ThreadPoolExecutor(8) as pool:
        answers = [one.json()["reason"] for one in pool.map(lambda _: fresh(client).verify("bob"), range(12))]
    assert sorted(answers) == ["another_person"] * 4 + ["locked_out"] * 8

    acknowledged: list[str] = []
    ended = threading.Event()

    def enrol_on(writer: int) -> None:
        number = 0
        while not ended.is_set():
            number += 1
            with suppress(httpx.TransportError):  # its worker was killed before it answered
                answer = fresh(client).enrol("ada", f"{writer}-{number}", duplicate="true")
                if answer.status_code == 201:
                    acknowledged.append(answer.json()["user"])

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(enrol_on, writer) for writer in range(2)]
        try:
            wait_until(lambda: len(acknowledged) >= 2)
            os.kill(before[0], signal.SIGKILL)
            killed_at = len(acknowledged)
            wait_until(lambda: len(acknowledged) >= killed_at + 2)
        finally:
            ended.set()
        for writer in writers:
            writer.result()
    after = wait_for_workers(together, 2)
    assert before[0] not in after
    with Vault(new_vault, fakes.KEY) as vault:
        assert vault.check() == ()
        assert {one.user for one in vault.list()} >= {"ada", *acknowledged}

    text = fresh(client).get("/metrics").text
    assert 'ostiary_decisions_total{question="verify",reason="locked_out"} 8.0' in text
    assert 'ostiary_decisions_total{question="verify",reason="another_person"} 4.0' in text

    os.kill(together.popen.pid, signal.SIGKILL)  # whoever could stop the workers is gone: they stop by themselves
    wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in after))


def test_a_server_that_is_stopped_answers_what_is_under_way(start_process: Start, tmp_path: Path) -> None:
    certificate, key = certified(tmp_path)
    server = start_process({"seconds": 1.0}, tls_certificate=certificate, tls_key=key)
    assert server.client.http.base_url.scheme == "https"
    assert server.client.enrol(watched="true").status_code == 201
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(server.client.verify, "ada")
        time.sleep(0.4)
        assert server.stop() == 0
        assert slow.result().json()["accepted"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(str(server.client.http.base_url), trust_env=False)
    assert "Traceback" not in (tmp_path / "server.log").read_text()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("ostiary")]


def certified(folder: Path) -> tuple[Path, Path]:
    """Files of a certificate for 127.0.0.1 that signs itself, and of its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(timezone.utc)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "door")])
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    building = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    day = timedelta(days=1)
    made = building.not_valid_before(now - day).not_valid_after(now + day).add_extension(here, critical=False)
    certificate = made.sign(key, hashes.SHA256())
    (folder / "door.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "door.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return folder / "door.pem", folder / "door.key"


def fresh(client: Any) -> Any:
    """The same client by a new connection, which any worker may take."""
    headers = {**client.http.headers, "Connection": "close"}
    asking = httpx.Client(base_url=client.http.base_url, headers=headers, trust_env=False, timeout=120)
    return type(client)(Once(asking), client.photos)


class Once:
    """A client of httpx that is closed after one request."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def ask(*given: Any, **named: Any) -> Any:
            with self._http:
                return getattr(self._http, method)(*given, **named)

        return ask


def wait_for_workers(server: Any, number: int) -> list[int]:
    found: list[int] = []

    def all_there() -> bool:
        found[:] = server.workers()
        return len(found) == number

    wait_until(all_there)
    return found


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
