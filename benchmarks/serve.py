"""A server under load, and under requests that are broken: how fast, how much memory, what it answers.

    python benchmarks/serve.py load --weights face.onnx --requests 400
    python benchmarks/serve.py broken --weights face.onnx --requests 10000
    python benchmarks/serve.py schema --schemathesis VENV/bin/schemathesis --requests 1000

Starts a server of its own on this machine, with a vault of its own, and asks it over HTTP from this machine alone.
``load`` prints a Markdown table: requests per second and latency of ``/verify`` at 1, 8 and 64 clients. ``broken``
damages the bytes of real requests at random places: it prints the statuses and the server's memory before and
after, and ends with exit code 1 if a request was answered with 5xx or accepted. ``schema`` lets Schemathesis make
requests of the OpenAPI document, for each operation so many, fitting and not; it comes from an environment of its
own, and says what was wrong.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from machine import describe
from ostiary.gate.envelope import new_key
from ostiary.gate.policy import LockoutRules, Policy
from ostiary.gate.vault import Vault
from ostiary.serve.opening import Opening, RememberedKey
from ostiary.serve.run import run
from ostiary.serve.settings import ServerSettings

CLIENTS = (1, 8, 64)
PHOTO = Path(__file__).resolve().parents[1] / "tests/data/astronaut.png"
FORM = {"content-type": "multipart/form-data; boundary=x"}


@dataclass(frozen=True)
class Server:
    """Where it answers, and its process."""

    address: str
    process: int

    def memory(self) -> float:
        """Resident memory in MiB, of the first process."""
        status = Path(f"/proc/{self.process}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("load", "broken", "schema"))
    parser.add_argument("--weights", help="of the face embedding; None for the packaged one")
    parser.add_argument("--photo", type=Path, default=PHOTO)
    parser.add_argument("--requests", type=int, default=400, help="for each number of clients, or in all")
    parser.add_argument("--schemathesis", type=Path, help="its program, for schema")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    photo = jpeg(arguments.photo)
    print(f"{describe()}; workers: {arguments.workers}\n", flush=True)
    with serving(arguments.weights, arguments.workers) as server:
        enrol(server, photo)
        if arguments.what == "load":
            load(server, photo, arguments.requests)
        elif arguments.what == "schema":
            sys.exit(by_schema(server, arguments.schemathesis, arguments.requests, arguments.seed))
        elif not broken(server, photo, arguments.requests, arguments.seed):
            sys.exit(1)


def load(server: Server, photo: bytes, requests: int) -> None:
    print("| clients | requests | per second | p50, ms | p99, ms | with 200 | accepted |\n" + "|---" * 7 + "|")
    for clients in CLIENTS:
        shares = [requests // clients + (place < requests % clients) for place in range(clients)]
        begun = time.perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            told = [one for part in pool.map(lambda share: ask(server, photo, share), shares) for one in part]
        taken = time.perf_counter() - begun
        middle, late = np.percentile([seconds for seconds, _, _ in told], (50, 99)) * 1000
        done, passed = sum(status == 200 for _, status, _ in told), sum(accepted for _, _, accepted in told)
        rate = len(told) / taken
        print(
            f"| {clients} | {len(told)} | {rate:.1f} | {middle:.0f} | {late:.0f} | {done} | {passed} |", flush=True
        )


def ask(server: Server, photo: bytes, times: int) -> list[tuple[float, int, bool]]:
    """Seconds, status and verdict of so many requests over one connection."""
    told = []
    with httpx.Client(base_url=server.address, trust_env=False, timeout=120) as client:
        for _ in range(times):
            begun = time.perf_counter()
            answer = client.post("/verify", files={"photo": photo}, data={"user": "somebody"})
            seconds = time.perf_counter() - begun
            told.append((seconds, answer.status_code, bool(answer.json().get("accepted"))))
    return told


def broken(server: Server, photo: bytes, requests: int, seed: int) -> bool:
    """Whether nothing was accepted and the server never at fault."""
    choose, statuses, accepted = random.Random(seed), Counter[int](), 0
    head = '--x\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n'
    form = (
        (head.format("user", "") + "nobody\r\n" + head.format("photo", '; filename="a.jpg"')).encode()
        + photo
        + b"\r\n--x--\r\n"
    )
    before = 0.0
    with httpx.Client(base_url=server.address, trust_env=False, timeout=120) as client:
        for number in range(requests):
            body = damaged(form, choose)
            path = choose.choice(("/verify", "/identify", "/check", "/users/somebody/photos"))
            answer = client.post(path, content=body, headers=FORM)
            statuses[answer.status_code] += 1
            said = answer.json()
            # Who sent the photo is enrolled, so that identify and check may well say yes to a photo left whole.
            accepted += path == "/verify" and bool(said.get("accepted"))
            if number == requests // 10:
                before = server.memory()  # after the first tenth every buffer has its size
    after = server.memory()
    print(f"{requests} requests: {dict(sorted(statuses.items()))}; accepted: {accepted}")
    print(f"memory after a tenth {before:.0f} MiB, in the end {after:.0f} MiB")
    return not accepted and not any(status >= 500 for status in statuses)


CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "unsupported_method",
)


def by_schema(server: Server, program: Path, requests: int, seed: int) -> int:
    """The exit code of Schemathesis; the server's memory is printed."""
    before = server.memory()
    command = [program, "run", f"{server.address}/openapi.json", "--checks", ",".join(CHECKS)]
    options = ["--max-examples", str(requests), "--seed", str(seed), "--continue-on-failure"]
    done = subprocess.run([*command, *options])
    print(f"memory before {before:.0f} MiB, in the end {server.memory():.0f} MiB")
    return done.returncode


def damaged(form: bytes, choose: random.Random) -> bytes:
    """A form with bytes that were changed, cut out or doubled: anywhere, or among its first words."""
    body = bytearray(form)
    for _ in range(choose.randint(1, 8)):
        at = choose.randrange(len(body) if choose.random() < 0.5 else min(len(body), 200))
        length = choose.randint(1, 200)
        change = choose.choice(("change", "cut", "double", "end"))
        if change == "change":
            body[at : at + length] = choose.randbytes(length)
        elif change == "cut":
            del body[at : at + length]
        elif change == "double":
            body[at:at] = body[at : at + length]
        else:
            del body[max(1, at) :]
        if not body:
            return b"-"
    return bytes(body)


def enrol(server: Server, photo: bytes) -> None:
    told = {"consent": "benchmark", "watched": "true"}
    answer = httpx.post(f"{server.address}/users/somebody/photos", files={"photo": photo}, data=told, timeout=120)
    if answer.status_code != 201:
        sys.exit(f"The photo cannot be enrolled: {answer.text}")


@contextmanager
def serving(weights: str | None, workers: int) -> Iterator[Server]:
    """A server until the block ends; nobody is locked out."""
    with tempfile.TemporaryDirectory() as folder:
        key, place = new_key(), Path(folder) / "vault.db"
        Vault.create(place, key).close()
        settings = ServerSettings(port=0, workers=workers, rate=1e6, burst=10**6, waiting=max(CLIENTS))
        here, there = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=serve, args=(place, key, weights, settings, there)
        )
        process.start()
        there.close()  # so that a server that does not start is noticed
        try:
            address = here.recv().split()[-1]
            httpx.get(f"{address}/health", timeout=120)
            yield Server(address, process.pid or 0)
        finally:
            process.terminate()
            process.join()


def serve(place: Path, key: bytes, weights: str | None, settings: ServerSettings, there: Connection) -> None:
    policy = Policy(lockout=LockoutRules(refusals=10**9))
    run(Opening(vault=place, key=RememberedKey(key), policy=policy, weights=weights), settings, there.send)


def jpeg(path: Path) -> bytes:
    """A photo as a camera's page would send it: 640 pixels at most."""
    picture, file = Image.open(path).convert("RGB"), io.BytesIO()
    picture.thumbnail((640, 640))
    picture.save(file, "JPEG", quality=92)
    return file.getvalue()


if __name__ == "__main__":
    main()
