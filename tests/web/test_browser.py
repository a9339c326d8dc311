"""The built page in a real browser: both clips come to the right decision, and no request leaves the host."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray

from ostiary.export.fake_camera import scene, write_clip
from ostiary.export.golden_pictures import printed
from ostiary.export.site import build_site
from ostiary.export.site_server import site_server
from ostiary.faces.detector import FaceDetector
from ostiary.images import read_image
from ostiary.liveness import Liveness

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def site(node_modules: Path, face_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not all((node_modules / name).is_dir() for name in ("playwright-core", "axe-core")):
        pytest.skip(f"playwright-core and axe-core are not in {node_modules}: run `npm install` in web/")
    out = tmp_path_factory.mktemp("page") / "site"
    build_site(out, face_weights=face_weights, runtime=node_modules / "onnxruntime-web")
    return out


@pytest.mark.parametrize(("clip", "reason"), [("bona fide", "accepted"), ("attack", "presentation_attack")])
def test_the_page_decides_as_python_does(
    clip: str,
    reason: str,
    site: Path,
    node: str,
    node_modules: Path,
    chromium: str,
    pictures: Path,
    tmp_path: Path,
) -> None:
    portrait = read_image(pictures / "astronaut.png")
    (face,) = FaceDetector().detect(portrait)
    shown = portrait if clip == "bona fide" else printed(portrait, face.box)
    assert _reason(shown) == reason, "these weights judge the clip otherwise: the test needs another clip"
    answers, requests, reached, origin = _look(shown, site, node, node_modules, chromium, tmp_path)
    state = "open" if reason == "accepted" else "shut"
    for question in ("alive", "dialled", "matched"):
        assert answers[question] == {"reason": reason, "state": state}, question
    assert answers["before"] == answers["after"] == "shut"
    assert len(set(answers["words"])) == 2
    assert answers["isolated"]
    assert answers["calls"] == ["TypeError", "TypeError"]
    assert answers["damaged"]
    assert answers["errors"] == []
    assert not answers["wide"]
    assert [fault for faults in answers["faults"].values() for fault in faults] == []
    assert sum(urlsplit(url).path.endswith(".onnx") for url, _ in requests) >= 3
    assert reached
    assert all(host in ("127.0.0.1", "[::1]") for host in reached), reached
    strays = [url for url, initiator in requests if initiator == origin and not url.startswith(f"{origin}/")]
    assert strays == []


def _reason(pixels: NDArray[np.uint8]) -> str:
    (face,) = Liveness().check(scene(pixels)).faces
    return "accepted" if face.accepted else face.reason


def _look(
    shown: NDArray[np.uint8], site: Path, node: str, node_modules: Path, chromium: str, folder: Path
) -> tuple[dict[str, Any], list[tuple[str, str]], set[str], str]:
    """What the page answered; each request's URL and who made it, and every address that was connected to, as the
    browser's own network log has them; and the page's origin.
    """
    write_clip(folder / "clip.y4m", shown)
    net_log = folder / "net.json"
    with site_server(site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        origin = f"http://localhost:{server.server_port}"
        variables = os.environ | {
            "CHROMIUM": chromium,
            "CLIP": os.fspath(folder / "clip.y4m"),
            "NET_LOG": os.fspath(net_log),
            "NODE_MODULES": os.fspath(node_modules),
            "SHOTS": os.environ.get("OSTIARY_SHOTS", os.fspath(folder)),
            "URL": f"{origin}/",
        }
        command = [node, os.fspath(HERE / "browser.mjs")]
        finished = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=500, check=False)
        server.shutdown()
    assert finished.returncode == 0, finished.stderr
    logged = json.loads(net_log.read_text())
    requests = [(one["url"], one.get("initiator", "")) for one in _events(logged, "URL_REQUEST_START_JOB", "url")]
    connected = [one["address"] for one in _events(logged, "TCP_CONNECT_ATTEMPT", "address")]
    return json.loads(finished.stdout), requests, {address.rpartition(":")[0] for address in connected}, origin


def _events(logged: dict[str, Any], kind: str, field: str) -> list[dict[str, str]]:
    number = logged["constants"]["logEventTypes"][kind]
    found = [event.get("params", {}) for event in logged["events"] if event["type"] == number]
    return [params for params in found if field in params]
