"""The built page: all files that it names are there, whole, and served with the headers that it needs."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from ostiary.errors import ConfigurationError, WeightsError
from ostiary.export.site import HEADERS, build_site, page_folder
from ostiary.export.site_server import site_server
from ostiary.runtime.packaged import resolve_weights

Get = Callable[..., tuple[int, dict[str, str], bytes]]

VERSION = json.loads((page_folder() / "package.json").read_text())["dependencies"]["onnxruntime-web"]
RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
CHIP = ("ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Looks like the package of npm."""
    folder = tmp_path_factory.mktemp("onnxruntime-web")
    (folder / "dist").mkdir()
    for name in (*RUNTIME, *CHIP):
        (folder / "dist" / name).write_text(f"// {name}\n" * 50)
    (folder / "package.json").write_text(json.dumps({"version": VERSION}))
    return folder


@pytest.fixture(scope="module")
def site(runtime: Path, face_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "site"
    build_site(out, face_weights=face_weights, runtime=runtime)
    return out


@pytest.fixture
def get(site: Path) -> Iterator[Get]:
    with site_server(site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def ask(path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
            request = Request(f"http://127.0.0.1:{server.server_port}{path}", headers=headers)
            try:
                with urlopen(request, timeout=10) as answer:
                    return answer.status, dict(answer.headers), answer.read()
            except HTTPError as error:
                with error:
                    return error.code, dict(error.headers), error.read()

        yield ask
        server.shutdown()


def test_every_file_that_the_page_names_is_there(site: Path) -> None:
    index = json.loads((site / "site.json").read_text())
    assert index["backends"] == ["wasm"]
    for task in ("detector", "liveness", "embedding"):
        content = (site / index[task]["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == index[task]["sha256"]
        assert len(content) == index[task]["bytes"]
    assert (site / index["liveness"]["file"]).read_bytes() == resolve_weights().read_bytes()
    page = (site / "index.html").read_text()
    for name in re.findall(r'(?:src|href)="(?!data:)([^"]+)"', page):
        assert (site / name).is_file(), name
    for module in (site / "js").glob("*.js"):
        for name in re.findall(r'from "(\./[^"]+)"', module.read_text()):
            assert (module.parent / name).is_file(), f"{module.name} imports {name}"
    assert {path.name for path in (site / "runtime").iterdir()} == {*RUNTIME, "LICENSE.txt"}


def test_nothing_of_the_page_names_another_host(site: Path) -> None:
    for path in [*site.glob("*.*"), *(site / "js").iterdir()]:
        assert not re.search(r"https?://", path.read_text()), path.name


def test_every_part_that_the_code_asks_for_is_in_the_page(site: Path) -> None:
    there = set(re.findall(r'id="([^"]+)"', (site / "index.html").read_text()))
    for name in ("main.js", "view.js"):
        asked = set(re.findall(r'find\("([^"]+)"\)', (site / "js" / name).read_text()))
        assert asked <= there, f"{name} asks for {asked - there}"


def test_the_server_sends_what_several_threads_need(get: Get) -> None:
    status, headers, content = get("/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"<title>ostiary" in content
    assert HEADERS.items() <= headers.items()
    assert get("/site.json")[1]["Content-Type"] == "application/json"
    assert get(f"/runtime/{RUNTIME[2]}")[1]["Content-Type"] == "application/wasm"


def test_files_are_compressed_for_who_asks(get: Get, site: Path) -> None:
    path = f"/runtime/{RUNTIME[0]}"
    _, headers, content = get(path, **{"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(content) == (site / path[1:]).read_bytes() == get(path)[2]


@pytest.mark.parametrize(
    "path",
    ["/nothing.html", "/_headers", "/../secret.txt", "/" + quote("../secret.txt", safe=""), "//etc/passwd", "/js"],
)
def test_nothing_else_is_served(get: Get, site: Path, path: str) -> None:
    (site.parent / "secret.txt").write_text("secret")
    status, _, content = get(path)
    assert status == 404
    assert b"secret" not in content


def test_an_earlier_page_is_replaced_and_nothing_else(runtime: Path, tmp_path: Path) -> None:
    out = tmp_path / "site"
    build_site(out, runtime=runtime)
    (out / "old.txt").write_text("of the page before")
    build_site(out, runtime=runtime, webgpu=True)
    assert not (out / "old.txt").exists()
    index = json.loads((out / "site.json").read_text())
    assert index["backends"] == ["wasm", "webgpu"]
    assert index["embedding"]["record"]["name"] == "slim_face"  # the packaged one, where none is named
    assert {path.name for path in (out / "runtime").iterdir()} >= set(CHIP)
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.jpg").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="something else than an earlier page"):
        build_site(tmp_path / "mine", runtime=runtime)


def test_what_cannot_be_built_is_refused(runtime: Path, face_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=rf"npm install onnxruntime-web@{re.escape(VERSION)}"):
        build_site(tmp_path / "site", runtime=tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    (other / "package.json").write_text('{"version": "0.0.1"}')
    with pytest.raises(ConfigurationError, match=r"onnxruntime-web 0\.0\.1"):
        build_site(tmp_path / "site", runtime=other)
    (other / "package.json").write_text(json.dumps({"version": VERSION}))
    with pytest.raises(ConfigurationError, match="install onnxruntime-web again"):
        build_site(tmp_path / "site", runtime=other)
    with pytest.raises(WeightsError, match="not for liveness"):
        build_site(tmp_path / "site", weights=face_weights, runtime=runtime)
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
    with pytest.raises(ConfigurationError, match="is no page"), site_server(tmp_path):
        pass
