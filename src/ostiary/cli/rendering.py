"""Tables that a person reads in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from ostiary.checking import CheckedFile

WORDS = {
    "bona_fide": "bona fide",
    "presentation_attack": "presentation attack",
    "no_face": "no face found",
    "too_small": "too small: come closer",
    "too_dark": "too dark: turn on a light",
    "too_bright": "too bright: step out of the strong light",
    "cut_off": "cut off: move into the middle of the picture",
    "blurred": "blurred: hold still, or wipe the lens",
    "turned_away": "turned away: look into the camera",
}
"""What each reason means, and what the person at the camera can do about it."""


def check_table(results: Sequence[CheckedFile]) -> Table:
    """One row a face; files without a face or with an error have a row too."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("picture", "verdict", "liveness", "threshold", "face", "why"):
        table.add_column(name, overflow="fold", justify="right" if name in ("liveness", "threshold") else "left")
    for result in results:
        name = str(result.path)
        if result.check is None:
            table.add_row(name, Text("error", "red"), "", "", "", "could not be read")
            continue
        if not result.check.faces:
            table.add_row(name, Text("refused", "red"), "", "", "", WORDS[result.check.reason])
        for face in result.check.faces:
            verdict = Text("accepted", "green") if face.accepted else Text("refused", "red")
            score = "" if face.liveness is None else f"{face.liveness:.3f}"
            size = f"{face.face.box.width:.0f}x{face.face.box.height:.0f}"
            table.add_row(name, verdict, score, f"{face.threshold:.3f}", size, WORDS[face.reason])
            name = ""
    words = {result.check.configuration for result in results if result.check is not None}
    if words:
        table.caption = f"configuration {', '.join(sorted(words))}"
        table.caption_justify = "left"
    return table
