"""Servers of fakes, all of them over HTTP: in a thread where that is enough, as processes where it matters."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

httpx = pytest.importorskip("httpx", reason="the extra dev is not installed")
uvicorn = pytest.importorskip("uvicorn", reason="the extra serve is not installed")

from ostiary.gate.self_test import drawn_face  # noqa: E402
from ostiary.gate.vault import Vault  # noqa: E402
from ostiary.serve.app import create_app  # noqa: E402
from ostiary.serve.settings import ServerSettings  # noqa: E402

SCRIPT = Path(__file__).with_name("fake_door.py")
UNLIMITED = {"rate": 1e6, "burst": 10**6}
PATIENCE_S = 120
"""A machine that has much else to do takes its time to start processes."""


def _loaded() -> ModuleType:
    specification = importlib.util.spec_from_file_location("fake_door", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["fake_door"] = module
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def fakes() -> ModuleType:
    return _loaded()


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    return file.getvalue()


def faces() -> dict[str, NDArray[np.uint8]]:
    """Pictures of ada, of bob, of an attack with ada's face, and of nobody; they survive a JPEG."""
    ada = drawn_face()
    attack = ada.copy()
    attack[:32, :32] = (255, 0, 0)
    return {"ada": ada, "bob": ada[..., ::-1].copy(), "attack": attack, "nobody": np.full_like(ada, 120)}


@pytest.fixture(scope="session")
def photos() -> dict[str, bytes]:
    return {who: jpeg(pixels) for who, pixels in faces().items()}


@dataclass
class Client:
    """Asks a server as a program would."""

    http: Any
    photos: dict[str, bytes]

    def post(self, path: str, *who: str | bytes, query: dict[str, Any] | None = None, **words: str) -> Any:
        given = [self.photos[one] if isinstance(one, str) else one for one in who]
        files = [("photo", ("photo.jpg", one, "image/jpeg")) for one in given]
        # Words by themselves would be sent in another way than a form with photos.
        fields = [(name, (None, value)) for name, value in words.items()]
        return self.http.post(path, files=[*files, *fields], params=query)

    def get(self, path: str, **headers: str) -> Any:
        return self.http.get(path, headers=headers)

    def verify(self, who: str, user: str = "ada", **query: Any) -> Any:
        return self.post("/verify", who, query=query, user=user)

    def enrol(self, who: str = "ada", user: str = "ada", **words: str) -> Any:
        return self.post(f"/users/{user}/photos", who, consent="signed", **words)

    @contextmanager
    def by(self, token: str | None) -> Iterator[Client]:
        """The same server, asked with another token."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=self.http.base_url, headers=headers, trust_env=False) as http:
            yield Client(http, self.photos)


Serve = Callable[..., AbstractContextManager[Client]]


@pytest.fixture
def new_vault(tmp_path: Path, fakes: ModuleType) -> Path:
    place = tmp_path / "vault.db"
    Vault.create(place, fakes.KEY).close()
    return place


@pytest.fixture
def serve(fakes: ModuleType, photos: dict[str, bytes], new_vault: Path) -> Iterator[Callable[..., Client]]:
    """Start a server in a thread: ``serve(**settings)``; ``opening`` holds what the fakes are told."""
    with ExitStack() as stack:

        def start(opening: dict[str, Any] | None = None, **settings: Any) -> Client:
            door = fakes.FakeOpening(new_vault, **(opening or {}))
            app = create_app(door, ServerSettings(**{**UNLIMITED, **settings}))
            return stack.enter_context(_in_thread(app, photos))

        yield start


@contextmanager
def _in_thread(app: Any, photos: dict[str, bytes]) -> Iterator[Client]:
    config = uvicorn.Config(
        app, port=0, http="h11", ws="none", lifespan="on", log_config=None, access_log=False, server_header=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as http:
            yield Client(http, photos)
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def client(
    fakes: ModuleType, photos: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    """A server without tokens and almost without a lock-out; ada is enrolled in it, and tests leave it so."""
    place = tmp_path_factory.mktemp("door") / "vault.db"
    Vault.create(place, fakes.KEY).close()
    app = create_app(fakes.FakeOpening(place, refusals=10**6), ServerSettings(**UNLIMITED))
    with _in_thread(app, photos) as client:
        assert client.enrol().status_code == 201
        yield client


@pytest.fixture
def own_client(serve: Callable[..., Client]) -> Client:
    """The same for one test, which may change it."""
    client = serve()
    assert client.enrol().status_code == 201
    return client


@dataclass
class Process:
    """A server that runs as a process of its own."""

    popen: subprocess.Popen[str]
    client: Client

    def workers(self) -> list[int]:
        """The processes that answer."""
        found = Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children").read_text().split()
        commands = {int(one): Path(f"/proc/{one}/cmdline").read_bytes() for one in found}
        return [one for one, command in commands.items() if b"spawn_main" in command]

    def stop(self) -> int:
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(PATIENCE_S)


@pytest.fixture
def start_process(
    tmp_path: Path, new_vault: Path, photos: dict[str, bytes], fakes: ModuleType
) -> Iterator[Callable[..., Process]]:
    """Start ``fake_door.py``; as the fixture ``serve``."""
    with ExitStack() as stack:

        def start(opening: dict[str, Any] | None = None, **settings: Any) -> Process:
            told = {**UNLIMITED, **settings, "opening": {"vault": str(new_vault), **(opening or {})}}
            (tmp_path / "settings.json").write_text(json.dumps(told, default=str))
            log = stack.enter_context((tmp_path / "server.log").open("w"))
            popen = subprocess.Popen(
                [sys.executable, SCRIPT, tmp_path / "settings.json"],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "TMPDIR": str(tmp_path)},
            )
            stack.callback(_end, popen)
            assert popen.stdout is not None
            address = popen.stdout.readline().split()[-1]
            headers = {"Authorization": f"Bearer {fakes.TOKENS['admin']}"} if settings.get("tokens") else {}
            certificate = settings.get("tls_certificate")
            trusted = True if certificate is None else ssl.create_default_context(cafile=certificate)
            http = httpx.Client(
                base_url=address, headers=headers, trust_env=False, timeout=PATIENCE_S, verify=trusted
            )
            stack.enter_context(http)
            http.get("/health")  # answered as soon as a worker is there
            return Process(popen, Client(http, photos))

        yield start


def _end(popen: subprocess.Popen[str]) -> None:
    if popen.poll() is None:
        popen.terminate()
        try:
            popen.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()
    assert popen.stdout is not None
    popen.stdout.close()
