"""The door's page in a real browser with a fake camera: enrol, be let in, be refused, and call nobody else.

Skipped, with a word, where Chromium is not installed. ``OSTIARY_AXE`` may name a copy of axe-core's
``axe.min.js``: the page is then also checked for faults of accessibility. ``OSTIARY_SCREENSHOTS`` names a folder
for pictures.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from PIL import Image

from ostiary.gate.self_test import drawn_face

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--remote-debugging-pipe",
    "--window-size=1100,900",
]
PATIENCE_S = 90
AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: the page was not tried in a browser"),
    pytest.mark.skipif(os.name != "posix", reason="the browser is driven through pipes"),
]

Serve = Callable[..., Any]


def test_enrol_by_the_page_and_pass(serve: Serve, tmp_path: Path) -> None:
    client = serve()
    with browser(tmp_path, film(tmp_path, attack=False)) as page:
        page.open(f"{client.http.base_url}/?start#enrol")
        for number in (1, 2, 3):
            page.until("!document.getElementById('take').disabled")
            page.do("document.getElementById('take').click()")
            page.until(f"document.querySelectorAll('#photos canvas').length === {number}")
        assert "All three photos are good" in page.text("enrol-step")
        page.do("document.getElementById('handle').value = 'ada'; document.getElementById('consent').value = 's'")
        page.picture("enrol")
        page.faults()
        page.do("document.getElementById('enrol-form').requestSubmit()")
        page.until("document.getElementById('enrol-result').textContent")
        assert page.text("enrol-result") == "'ada' is enrolled from 3 photos; no photo is kept."
        assert [one["user"] for one in client.get("/users").json()] == ["ada"]

        page.do("location.hash = '#door'")
        page.until("document.getElementById('decision-word').textContent")
        assert page.text("decision-word") == "\u2713 Accepted"
        assert page.text("decision-sentence") == "Welcome, ada. You may pass."
        assert page.text("decision-times").startswith("Configuration HHH: ")
        page.picture("accepted")
        page.faults()

        page.do("location.hash = '#settings'")
        page.until("document.getElementById('dial').max === '1'")  # the third notch is not worth it
        assert page.text("dial-says") == "HHH: 5.0 ms a face on this machine, 1\u00a0% error on development data."
        page.do("dial.value = '0'; dial.dispatchEvent(new Event('input'))")
        page.until("document.getElementById('threshold-rows').textContent.includes('(LLL)')")
        assert page.text("dial-says") == "LLL: 2.0 ms a face on this machine, 2\u00a0% error on development data."
        assert "at most 0.1\u00a0% of strangers taken for somebody (FMR)" in page.text("threshold-rows")
        page.picture("settings")
        page.faults()

        page.do("location.hash = '#people'")
        page.until("document.querySelector('#people-rows button')")
        page.picture("people")
        page.faults()
        page.do("document.querySelector('#people-rows button').click()")
        page.do("document.querySelector('#delete-dialog button[value=delete]').click()")
        page.until("document.getElementById('people-result').textContent.includes('ada is deleted')")
        assert client.get("/users").json() == []

        page.open(f"{client.http.base_url}/docs")
        page.until("document.querySelectorAll('#operations section').length === 12")
        page.faults()
        page.calls_nobody_but(str(client.http.base_url))


def test_an_attack_is_refused_with_a_word(own_client: Any, tmp_path: Path) -> None:
    with browser(tmp_path, film(tmp_path, attack=True)) as page:
        page.open(f"{own_client.http.base_url}/?start#door")
        page.until("document.getElementById('decision-word').textContent")
        assert page.text("decision-word") == "\u2715 Refused"
        assert page.text("decision-sentence").startswith("The camera cannot tell that you are here in person.")
        page.picture("refused")
        page.calls_nobody_but(str(own_client.http.base_url))


def film(folder: Path, *, attack: bool) -> Path:
    """A video of somebody who stands there (YUV4MPEG2, 4:2:0); an attack has a red corner."""
    scene = np.full((480, 640, 3), 120, np.uint8)
    scene[100:356, 190:446] = drawn_face()
    if attack:
        scene[:32, :32] = (255, 0, 0)
    planes = np.asarray(Image.fromarray(scene).convert("YCbCr"))
    halves = planes.reshape(240, 2, 320, 2, 3).mean((1, 3)).round().astype(np.uint8)
    frame = b"FRAME\n" + planes[..., 0].tobytes() + halves[..., 1].tobytes() + halves[..., 2].tobytes()
    path = folder / "film.y4m"
    path.write_bytes(b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420jpeg\n" + frame * 4)
    return path


class Page:
    """A page of Chromium, by the DevTools protocol over a pipe."""

    def __init__(self, sink: BinaryIO, source: BinaryIO) -> None:
        self._sink, self._source = sink, source
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self.addresses: list[str] = []
        self.complaints: list[str] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self._ask(f"{domain}.enable")

    def open(self, address: str) -> None:
        self._ask("Page.navigate", url=address)
        self.until("document.readyState === 'complete'")

    def do(self, script: str) -> Any:
        answer = self._ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, condition: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not self.do(f"Boolean({condition})"):
            if time.monotonic() > deadline:
                pytest.fail(f"not {condition}: {self.do('document.body.innerText')} {self.complaints}")
            time.sleep(0.1)

    def text(self, name: str) -> str:
        return str(self.do(f"document.getElementById('{name}').textContent"))

    def picture(self, name: str) -> None:
        folder = os.environ.get("OSTIARY_SCREENSHOTS")
        if folder:
            data = self._ask("Page.captureScreenshot", format="png")["data"]
            (Path(folder) / f"{name}.png").write_bytes(base64.b64decode(data))

    def faults(self) -> None:
        """No serious fault of accessibility, where axe-core is at hand."""
        axe = Path(os.environ.get("OSTIARY_AXE", AXE))
        if axe.is_file():
            self.do(axe.read_text(encoding="utf-8") + "; true")
            found = json.loads(self.do("axe.run().then((found) => JSON.stringify(found.violations))"))
            serious = [one for one in found if one["impact"] in ("serious", "critical")]
            assert not serious, [(one["id"], [node["html"] for node in one["nodes"]]) for one in serious]

    def calls_nobody_but(self, place: str) -> None:
        """Every address was of the server, and nothing was refused by the page's own policy or broke."""
        assert len(self.addresses) > 5
        here = (f"{place}/", "data:")  # the browser draws its own icons from data
        assert [one for one in self.addresses if not one.startswith(here)] == []
        assert self.complaints == []

    def _ask(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters, "sessionId": self._session}
        wanted = {name: value for name, value in message.items() if value is not None}
        self._sink.write(json.dumps(wanted).encode() + b"\0")
        self._sink.flush()
        while True:
            told = json.loads(self._message())
            if told.get("id") == number:
                assert "error" not in told, told
                return told["result"]
            self._note(told.get("method"), told.get("params", {}))

    def _message(self) -> bytes:
        read = bytearray()
        while not read.endswith(b"\0"):
            one = self._source.read(1)
            assert one, "the browser has ended"
            read += one
        return bytes(read[:-1])

    def _note(self, method: str | None, told: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.addresses.append(told["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(told["exceptionDetails"]))
        elif method == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.complaints.append(told["entry"]["text"])


@contextmanager
def browser(folder: Path, video: Path) -> Iterator[Page]:
    """A browser whose camera shows a film; it reads commands from descriptor 3 and answers on 4."""
    commands, answers = os.pipe(), os.pipe()
    flags = [*FLAGS, f"--user-data-dir={folder / 'profile'}", f"--use-file-for-fake-video-capture={video}"]
    moves = f"os.dup2({commands[0]}, 3); os.dup2({answers[1]}, 4)"
    script = f"import os, sys; {moves}; os.execv(sys.argv[1], sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(CHROMIUM), *flags],
        pass_fds=(commands[0], answers[1]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(commands[0])
    os.close(answers[1])
    try:
        with os.fdopen(commands[1], "wb") as sink, os.fdopen(answers[0], "rb") as source:
            yield Page(sink, source)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
