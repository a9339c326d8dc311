"""What a terminal shows while the door runs: a line on what is seen now and, if wanted, the camera's picture.

A character cell is two pixels, one above the other, in the colours of a half block.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ostiary.gate.watching import Sight, Visit

GREEN, RED, GREY = (46, 160, 67), (207, 34, 46), (180, 180, 180)
_ROWS_LEFT = 4
_RECENT = 20


class LiveView:
    """A renderable that is told of every frame and decision.

    Args:
        picture: also show the camera's picture.

    """

    def __init__(self, *, picture: bool = False) -> None:
        self._picture = picture
        self._sight: Sight | None = None
        self._colour = GREY
        self._times: deque[float] = deque(maxlen=_RECENT)

    def show(self, sight: Sight) -> None:
        """Take a frame."""
        if sight.tracked.new or not sight.tracked.faces:
            self._colour = GREY
        self._times.append(time.monotonic())
        self._sight = sight

    def decided(self, visit: Visit) -> None:
        """Take a decision: its colour stays while the face does."""
        self._colour = GREEN if visit.decision.accepted else RED

    @property
    def line(self) -> str:
        """What is seen now."""
        sight = self._sight
        if sight is None:
            return "waiting for the first picture"
        faces = len(sight.tracked.faces)
        seen = "nobody" if not faces else "a face" if faces == 1 else f"{faces} faces"
        return f"{sight.frame.seconds:8.1f} s  {seen}, {self._rate():.0f} pictures/s; Ctrl-C ends"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        sight = self._sight
        if self._picture and sight is not None:
            box = sight.tracked.faces[0].box if sight.tracked.faces else None
            drawn = _with_box(sight.frame.pixels, box, self._colour)
            yield from half_blocks(_fitted(drawn, options.max_width, options.size.height - _ROWS_LEFT))
        yield Text(self.line, no_wrap=True, overflow="ellipsis")

    def _rate(self) -> float:
        if len(self._times) < 2:
            return 0.0
        return (len(self._times) - 1) / max(self._times[-1] - self._times[0], 1e-6)


def half_blocks(pixels: NDArray[np.uint8]) -> RenderResult:
    """RGB (H, W, 3), H even, as H / 2 lines of W characters."""
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
            yield Segment("▀", Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below)))
        yield Segment.line()


def _with_box(
    pixels: NDArray[np.uint8], box: tuple[float, float, float, float] | None, colour: tuple[int, int, int]
) -> Image.Image:
    picture = Image.fromarray(pixels)
    if box is not None:
        x, y, width, height = box
        thick = max(1, round(max(picture.size) / 60))
        ImageDraw.Draw(picture).rectangle((x, y, x + width, y + height), outline=colour, width=thick)
    return picture


def _fitted(picture: Image.Image, columns: int, rows: int) -> NDArray[np.uint8]:
    """As large as columns and rows allow, with an even number of lines."""
    scale = min(columns / picture.width, 2 * max(rows, 1) / picture.height)
    width, height = max(1, int(picture.width * scale)), max(2, int(picture.height * scale) // 2 * 2)
    return np.asarray(picture.resize((width, height)), np.uint8)
