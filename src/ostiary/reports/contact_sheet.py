"""The worst errors as pictures: a sheet of crops for each data set and kind of error.

One frame stands for its recording: else a single video fills the sheet. The crops show what the network saw,
in the resolution of the picture. A sheet shows people's faces, and says so: it is for the eyes of whoever may
see the data, and for no repository.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ostiary.data.index import Sample
from ostiary.reports.scores import Scores

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Kind = Literal["false_accepts", "false_rejects"]
KINDS: tuple[Kind, ...] = ("false_accepts", "false_rejects")

WARNING = "Shows people's faces: not to be published."
CELL = 168
"""Side of a crop on the sheet, in pixels."""
COLUMNS = 6
LIMIT = 24


@dataclass(frozen=True, slots=True)
class Error:
    """One presentation judged wrongly, with how many of its recording were (itself among them)."""

    sample: Sample
    liveness: float
    frames: int


def worst_errors(scores: Scores, threshold: float, dataset: str, kind: Kind) -> list[Error]:
    """The errors of one kind in one data set, worst first, one a recording.

    A false accept is an attack with ``liveness >= threshold``, a false reject a bona fide presentation below
    it; without an answer it is neither. Presentations of no known recording each stand for themselves.
    """
    wanted = "attack" if kind == "false_accepts" else "bona_fide"
    by_recording: dict[str, list[Error]] = {}
    for sample, value, reason in zip(scores.samples, scores.liveness, scores.reasons, strict=True):
        wrong = not reason and sample.dataset == dataset and sample.label == wanted
        if wrong and (value >= threshold) == (wanted == "attack"):
            key = f"recording {sample.capture}" if sample.capture else f"picture {sample.path}"
            by_recording.setdefault(key, []).append(Error(sample, float(value), 1))
    sign = -1 if kind == "false_accepts" else 1
    worst = [min(group, key=lambda error: sign * error.liveness) for group in by_recording.values()]
    sizes = [len(group) for group in by_recording.values()]
    found = [Error(error.sample, error.liveness, size) for error, size in zip(worst, sizes, strict=True)]
    return sorted(found, key=lambda error: (sign * error.liveness, error.sample.path))


def contact_sheet(
    errors: Sequence[Error],
    crop_of: Callable[[Sample], NDArray[np.uint8]],
    threshold: float,
    title: str,
) -> Image.Image:
    """A sheet of the errors' crops with captions, six in a row.

    Args:
        errors: at least one; they are shown in their order.
        crop_of: gives the square RGB crop of a sample.
        threshold: that they crossed; it stands in each caption.
        title: one line above the crops; a warning that faces are shown stands below it.

    """
    head, caption, gap = 58, 50, 10
    columns = min(COLUMNS, max(len(errors), 4))  # four give the title its room
    rows = -(-len(errors) // columns)
    size = (gap + columns * (CELL + gap), head + rows * (CELL + caption + gap) + gap)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    large, middle, small = (ImageFont.load_default(size) for size in (16, 13, 12))
    draw.text((gap, 10), _fitting(title, large, size[0] - 2 * gap), fill="black", font=large)
    draw.text((gap, 34), WARNING, fill="#b00020", font=middle)
    for place, error in enumerate(errors):
        left = gap + place % columns * (CELL + gap)
        top = head + place // columns * (CELL + caption + gap)
        picture = Image.fromarray(crop_of(error.sample))
        sheet.paste(picture.resize((CELL, CELL), Image.Resampling.BICUBIC), (left, top))
        for line, text in enumerate(_caption(error, threshold)):
            below = (left, top + CELL + 2 + 15 * line)
            draw.text(below, _fitting(text, small, CELL), fill="black", font=small)
    return sheet


def _caption(error: Error, threshold: float) -> tuple[str, str, str]:
    sample = error.sample
    sign = ">=" if error.liveness >= threshold else "<"
    more = f", {error.frames} frames" if error.frames > 1 else ""
    what = sample.species.replace("_", " ") if sample.label == "attack" else "bona fide"
    return sample.dataset, f"{what}{more}", f"liveness {error.liveness:.4f} {sign} {threshold:.4f}"


def _fitting(text: str, font: Font, width: float) -> str:
    """The text, cut where it would run into its neighbour: names in other people's data may be long."""
    while len(text) > 1 and font.getlength(text) > width:
        text = text[:-2] + "…"
    return text
