"""What a request may hold: photos and a few words, as ``multipart/form-data``, and never on a disk.

The usual parser keeps larger files in temporary ones. Here a body has a size that fits into memory, and stays
there.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
from fastapi import HTTPException, Request
from numpy.typing import NDArray
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from ostiary.errors import ImageError
from ostiary.images import read_image
from ostiary.serve.limits import read_body
from ostiary.serve.service import Service

PHOTO = "photo"

Words = Mapping[str, str]
"""Names of the fields beside the photos, each with what it is for."""

_LONGEST_FIELD = 4096
_FORMATS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


@dataclass(frozen=True, slots=True)
class Form:
    """A request's photos as they came, and its words."""

    photos: tuple[bytes, ...] = field(repr=False)
    words: Mapping[str, str] = field(repr=False)

    def text(self, name: str) -> str:
        """A word that must be there.

        Raises:
            HTTPException: 400 if it is not.

        """
        if name not in self.words:
            raise HTTPException(400, f"The field {name!r} is missing.")
        return self.words[name]

    def flag(self, name: str) -> bool:
        """``true`` or ``false``; the latter if it is not there.

        Raises:
            HTTPException: 400 for another word.

        """
        said = self.words.get(name, "false")
        if said not in ("true", "false"):
            raise HTTPException(400, f"The field {name!r} must be true or false.")
        return said == "true"

    def day(self, name: str) -> date | None:
        """A day as YYYY-MM-DD, None if it is not there or empty.

        Raises:
            HTTPException: 400 if it is none.

        """
        said = self.words.get(name, "")
        try:
            return date.fromisoformat(said) if said else None
        except ValueError:
            raise HTTPException(400, f"The field {name!r} must be a day as YYYY-MM-DD.") from None

    def pictures(self, max_pixels: int) -> list[NDArray[np.uint8]]:
        """The photos, RGB (H, W, 3) each; takes its time.

        Raises:
            HTTPException: 415 for another format than JPEG, PNG and WebP, 400 for one that is damaged or has more
                than ``max_pixels``.

        """
        return [_decoded(photo, number, max_pixels) for number, photo in enumerate(self.photos, 1)]


async def read_form(request: Request, words: Words) -> Form:
    """A request's photos and words.

    Raises:
        HTTPException: 400, 408, 413, 415 or 503: it cannot be used, in one sentence.

    """
    service: Service = request.app.state.service
    settings = service.settings
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        raise HTTPException(415, f"Send multipart/form-data, with each photo in a field {PHOTO!r}.")
    with service.reading.taken():
        body = await read_body(request, settings.largest_body, settings.body_s)
        parts = await _parsed(request, body, settings.most_photos, len(words))
    try:
        return await _checked(parts, words)
    finally:
        await parts.close()


def described(words: Words, required: tuple[str, ...], most: str) -> dict[str, Any]:
    """The body of a form for the OpenAPI page."""
    properties: dict[str, Any] = {
        PHOTO: {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "minItems": 1,
            "description": f"JPEG, PNG or WebP; {most}.",
        },
        **{name: {"type": "string", "description": said} for name, said in words.items()},
    }
    schema = {"type": "object", "properties": properties, "required": [PHOTO, *required]}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


class _InMemory(MultiPartParser):
    """Writes nothing to a disk: a body that was read whole is below this limit."""

    spool_max_size = 2**62

    async def parse(self) -> FormData:
        """As starlette's, and a part that the body ends within is closed too."""
        parts = await super().parse()
        whole = {id(value.file) for _, value in parts.multi_items() if isinstance(value, UploadFile)}
        for file in self._files_to_close_on_error:
            if id(file) not in whole:
                file.close()
        return parts


async def _checked(parts: FormData, words: Words) -> Form:
    photos: list[bytes] = []
    found: dict[str, str] = {}
    for name, value in parts.multi_items():
        if name == PHOTO and isinstance(value, UploadFile):
            photos.append(await value.read())
        elif name in words and isinstance(value, str) and name not in found:
            found[name] = value
        else:
            raise HTTPException(400, f"The field {name[:40]!r} is not asked for here, or comes twice.")
    if not photos:
        raise HTTPException(400, f"There is no photo: send one as a file in a field {PHOTO!r}.")
    return Form(tuple(photos), found)


async def _parsed(request: Request, body: bytes, files: int, fields: int) -> FormData:
    async def whole() -> AsyncGenerator[bytes, None]:
        yield body

    parser = _InMemory(request.headers, whole(), max_files=files, max_fields=fields, max_part_size=_LONGEST_FIELD)
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise HTTPException(400, f"The form cannot be read: {error.message}") from None


def _decoded(photo: bytes, number: int, max_pixels: int) -> NDArray[np.uint8]:
    if photo and not (photo.startswith(_FORMATS) or (photo[:4] == b"RIFF" and photo[8:12] == b"WEBP")):
        raise HTTPException(415, f"Photo {number} is not a JPEG, PNG or WebP picture: save it as one of them.")
    try:
        return read_image(photo, max_pixels=max_pixels)
    except ImageError as error:
        raise HTTPException(400, f"Photo {number} cannot be used: {error}") from None
