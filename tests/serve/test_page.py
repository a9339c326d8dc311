"""The door's page as it is served: nothing from elsewhere, nothing inline, every link leads somewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import ostiary.serve

FOLDER = Path(ostiary.serve.__file__).with_name("page")
FILES = sorted(FOLDER.iterdir())


class Tags(HTMLParser):
    """All tags of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("path", ["/", "/docs", "/page/app.js", "/users", "/nowhere", "/openapi.json"])
def test_the_browser_is_told_to_load_nothing_from_elsewhere(client: Any, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "img-src", "connect-src")} == {"'self'"}
    assert {policy[name] for name in ("base-uri", "form-action", "frame-ancestors")} == {"'none'"}
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "camera=(self)" in headers["permissions-policy"]
    assert "server" not in headers
    assert headers["cache-control"] in ("no-store", "no-cache")


@pytest.mark.parametrize("page", ["/", "/docs"])
def test_what_a_page_names_is_there(client: Any, page: str) -> None:
    answer = client.get(page)
    assert answer.headers["content-type"].startswith("text/html")
    tags = Tags(answer.text).found
    ids = {attributes["id"] for _, attributes in tags if "id" in attributes}
    for tag, attributes in tags:
        assert not any(name.startswith("on") or name == "style" for name in attributes), tag
        assert tag != "style"
        for name in ("aria-describedby", "aria-labelledby", "for"):
            assert set((attributes.get(name) or "").split()) <= ids
        for name in ("href", "src"):
            target = attributes.get(name)
            if target and not target.startswith("#"):
                assert client.get(f"/{target.removeprefix('./')}").status_code == 200, target
    assert all(attributes.get("src") for tag, attributes in tags if tag == "script")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_file_names_another_place(client: Any, file: Path) -> None:
    text = file.read_text()
    assert not re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", text.replace("http://www.w3.org/2000/svg", ""))
    assert "innerHTML" not in text
    assert "eval(" not in text
    served = client.get(f"/page/{file.name}")
    assert (served.status_code, served.text) == (200, text)
    for imported in re.findall(r'from "\./([\w.]+)"', text):
        assert (FOLDER / imported).is_file()


def test_scripts_name_elements_that_are_there() -> None:
    ids = {attributes.get("id") for _, attributes in Tags((FOLDER / "index.html").read_text()).found}
    used = {
        name
        for file in FILES
        if file.suffix == ".js"
        for name in re.findall(r'element\("([\w-]+)"\)', file.read_text())
    }
    assert used <= ids


@pytest.mark.parametrize("path", ["/page/../app.py", "/page/%2e%2e/app.py", "/page/", "/page//etc/passwd"])
def test_nothing_else_is_served(client: Any, path: str) -> None:
    assert client.http.get(path).status_code == 404


def test_the_interface_is_described(client: Any) -> None:
    described = client.get("/openapi.json").json()
    assert {f"{method} {path}" for path, methods in described["paths"].items() for method in methods} == {
        "post /verify", "post /identify", "post /check", "post /users/{user}/photos", "get /users",
        "get /users/{user}", "delete /users/{user}", "get /health", "get /metrics", "get /about",
        "get /thresholds", "get /configurations",
    }  # fmt: skip
    form = described["paths"]["/verify"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["photo", "user"]
