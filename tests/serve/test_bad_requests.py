"""Whatever is sent, the answer is 4xx with one sentence, and never an acceptance."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

FORM = {"content-type": "multipart/form-data; boundary=x"}
PART = 'Content-Disposition: form-data; name="{}"'


def part(head: str, body: bytes = b"") -> bytes:
    return b"--x\r\n" + head.encode() + b"\r\n\r\n" + body + b"\r\n"


def png_bomb() -> bytes:
    """A PNG of 400 million pixels by its header, of a few bytes in truth."""
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    chunks = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", {}, 415),
        (b"{}", {"content-type": "application/json"}, 415),
        (b"", FORM, 400),
        (b"garbage", FORM, 400),
        (b"--x\r\n\r\n\r\n--x--", FORM, 400),
        (b"x", {"content-type": "multipart/form-data"}, 400),
        (part(PART.format("user"), b"ada") + b"--x--", FORM, 400),
        (part(PART.format("photo"), b"words, no file") + b"--x--", FORM, 400),
        (part(PART.format("photo") + '; filename="a"', b"") + b"--x--", FORM, 400),
        (part(PART.format("userr"), b"ada") + b"--x--", FORM, 400),
        (b"".join(part(PART.format("photo") + '; filename="a"', b"a") for _ in range(9)) + b"--x--", FORM, 400),
        (part(PART.format("user"), b"a" * 5000) + b"--x--", FORM, 400),
        (part(PART.format("user"), b"ada"), FORM, 400),
    ],
)
def test_a_body_that_is_no_form_with_photos(
    client: Any, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = client.http.post("/verify", content=content, headers=headers)
    assert answer.status_code == status
    assert_one_sentence(answer)


@pytest.mark.parametrize(
    ("photo", "status", "said"),
    [
        (b"GIF89a", 415, "JPEG, PNG or WebP"),
        (b"%!PS-Adobe-3.0 EPSF", 415, "JPEG, PNG or WebP"),
        (b"\xff\xd8\xffgarbage", 400, "Photo 1 cannot be used"),
        (b"RIFF1234WEBPgarbage", 400, "Photo 1 cannot be used"),
        (png_bomb(), 400, "more than the 12500000 pixels allowed"),
    ],
)
def test_a_photo_that_is_none(client: Any, photo: bytes, status: int, said: str) -> None:
    answer = client.post("/verify", photo, user="ada")
    assert (answer.status_code, said in answer.json()["error"]) == (status, True)
    assert_one_sentence(answer)


def test_a_photo_cut_short_is_named_by_its_number(client: Any, photos: dict[str, bytes]) -> None:
    answer = client.post("/verify", "ada", photos["ada"][:2000], user="ada")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("Photo 2 cannot be used")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/verify", {}),
        ("/verify", {"user": ""}),
        ("/verify", {"user": " ada"}),
        ("/verify", {"user": "a\x00b"}),
        ("/verify", {"user": "ada", "consent": "signed"}),
        ("/users/ada/photos", {}),
        ("/users/ada/photos", {"consent": " "}),
        ("/users/ada/photos", {"consent": "signed", "renew": "yes"}),
        ("/users/ada/photos", {"consent": "signed", "retention": "tomorrow"}),
        ("/users/a%0ab/photos", {"consent": "signed"}),
    ],
)
def test_words_that_cannot_be(client: Any, path: str, words: dict[str, str]) -> None:
    answer = client.post(path, "ada", **words)
    assert answer.status_code == 400
    assert_one_sentence(answer)


def test_a_query_that_cannot_be_is_told_without_its_value(client: Any) -> None:
    answer = client.post("/verify", "ada", query={"measurements": "secret"}, user="ada")
    assert answer.status_code == 422
    assert "secret" not in answer.text
    assert_one_sentence(answer)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("PUT", "/verify", 405)])
def test_no_such_address(client: Any, method: str, path: str, status: int) -> None:
    answer = client.http.request(method, path)
    assert answer.status_code == status
    assert_one_sentence(answer)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_form_that_was_damaged_is_never_an_error_of_the_server(
    client: Any, photos: dict[str, bytes], data: st.DataObject
) -> None:
    tiny = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(tiny, "JPEG")
    form = part(PART.format("user"), b"ada") + part(PART.format("photo") + '; filename="a"', tiny.getvalue())
    body = bytearray(form + b"--x--\r\n")
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(body) - 1))
        match data.draw(st.sampled_from(["change", "cut", "double"])):
            case "change":
                body[at] = data.draw(st.integers(0, 255))
            case "cut":
                del body[at : at + data.draw(st.integers(1, 40))]
            case "double":
                body[at:at] = body[at : at + 30]
        if not body:
            break
    answer = client.http.post("/verify", content=bytes(body), headers=FORM)
    assert answer.status_code < 500, answer.text
    assert not answer.json().get("accepted", False)


def assert_one_sentence(answer: Any) -> None:
    assert set(answer.json()) == {"error"}
    said = answer.json()["error"]
    assert said.endswith(".")
    assert "\n" not in said
    assert "Traceback" not in said
