"""Checking many files: one bad file is one error, and the others go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ostiary.errors import ImageError, InputError
from ostiary.images import read_image
from ostiary.liveness import ImageCheck, Liveness

GREEN, RED = (46, 160, 67), (207, 34, 46)


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A file with what was found in it, or the sentence that says why it could not be read."""

    path: Path
    check: ImageCheck | None
    error: str | None = None

    @property
    def exit_code(self) -> int:
        """0 accepted, 1 refused, 2 not readable."""
        if self.check is None:
            return 2
        return 0 if self.check.accepted else 1

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; a file that could not be read is not accepted."""
        if self.check is None:
            return {
                "image": str(self.path),
                "accepted": False,
                "reason": "unreadable",
                "error": self.error,
                "faces": [],
            }
        return {"image": str(self.path), **self.check.to_dict()}


def check_files(liveness: Liveness, paths: Sequence[Path], annotate: Path | None = None) -> list[CheckedFile]:
    """Check each file; with ``annotate``, write a copy with boxes and verdicts into that folder.

    Raises:
        InputError: two pictures would get the same name in ``annotate``, or it cannot be made.

    """
    targets = {} if annotate is None else _targets(paths, annotate)
    results = []
    for path in paths:
        try:
            pixels = read_image(path)
            check = liveness.check(pixels)
        except ImageError as error:
            results.append(CheckedFile(path, None, str(error)))
            continue
        if path in targets:
            annotated(pixels, check).save(targets[path])
        results.append(CheckedFile(path, check))
    return results


def annotated(pixels: NDArray[np.uint8], check: ImageCheck) -> Image.Image:
    """The picture with a box, five points and a verdict for each face."""
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    line = max(1, round(max(picture.size) / 250))
    font = ImageFont.load_default(size=max(11, max(picture.size) / 28))
    for face in check.faces:
        colour = GREEN if face.accepted else RED
        x, y, width, height = face.face.box
        draw.rectangle((x, y, x + width, y + height), outline=colour, width=line)
        for px, py in face.face.landmarks:
            draw.ellipse((px - line, py - line, px + line, py + line), fill=colour)
        score = face.reason.replace("_", " ") if face.liveness is None else f"{face.liveness:.2f}"
        label = f"{'accepted' if face.accepted else 'refused'} {score}"
        left, top, right, bottom = draw.textbbox((x, y), label, font=font, anchor="lb")
        shift = (max(0.0, min(-left, 0) * -1), max(0.0, -top))  # keep the label inside the picture
        box = (left + shift[0], top + shift[1], right + shift[0], bottom + shift[1])
        draw.rectangle((box[0] - line, box[1] - line, box[2] + line, box[3] + line), fill=colour)
        draw.text((x + shift[0], y + shift[1]), label, fill="white", font=font, anchor="lb")
    return picture


def _targets(paths: Sequence[Path], folder: Path) -> dict[Path, Path]:
    targets = {path: folder / f"{path.stem}.png" for path in paths}
    if len(set(targets.values())) < len(targets):
        raise InputError(
            f"Two of the pictures have the same name and would overwrite each other in {folder}; rename one, "
            "or annotate them in two calls."
        )
    if any(target.exists() and target.samefile(path) for path, target in targets.items() if path.exists()):
        raise InputError(f"{folder} holds the pictures themselves; name another folder for the annotated copies.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be made ({error.strerror}); name another folder.") from None
    return targets
