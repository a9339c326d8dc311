"""``watch`` as a user meets it: a line a presentation, a live view, and a camera that is pulled out."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from ostiary.cli import watch as commands
from ostiary.cli.live_view import LiveView
from ostiary.errors import InputError
from ostiary.faces.detector import Box, Face
from ostiary.gate.sources import Frame, SourceError
from ostiary.gate.tracking import Tracked
from ostiary.gate.watching import Sight

Run = Callable[..., Any]
At = tuple[str, ...]


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch, pixels: Any) -> Callable[..., list[object]]:
    """Make the source give these pictures, ten a second; returns what was asked for."""

    def show(*who: str, broken: bool = False, ended: bool = False) -> list[object]:
        asked: list[object] = []

        def frames(source: object) -> Iterator[Frame]:
            asked.append(source)
            for index, name in enumerate(who):
                yield Frame(pixels[name], index, index / 10, 0)
            if broken:
                raise SourceError("camera 0 broke off (No such device); check that it is there.")
            if ended:
                raise KeyboardInterrupt

        monkeypatch.setattr("ostiary.gate.sources.frames", frames)
        return asked

    return show


@pytest.fixture
def ada(run: Run, at: At, photo: Callable[[str], Path]) -> At:
    assert run("enrol", "ada", photo("ada"), "--consent", "said", *at).exit_code == 0
    return at


def test_one_line_of_json_a_presentation(run: Run, ada: At, camera: Any) -> None:
    asked = camera("nobody", "ada", "ada", "nobody", "attack", "attack")
    shown = run("watch", "--json", "--rest", "0.2", *ada)
    visits = [json.loads(line) for line in shown.stdout.splitlines()]
    assert asked == [0], "a number is a camera"
    assert [(visit["frame"], visit["reason"], visit["handle"]) for visit in visits] == [
        (1, "accepted", "ada"),
        (4, "presentation_attack", None),
    ]
    assert "similarity" not in visits[0]
    assert shown.exit_code == 0


def test_a_claim_that_is_not_met_is_exit_code_1(run: Run, ada: At, camera: Any) -> None:
    camera("bob", "bob")
    shown = run("watch", "--user", "ada", "--source", "rtsp://camera/door", *ada)
    assert (shown.exit_code, shown.stdout) == (1, "     0.0 s  Refused ada: not the person who was claimed.\n")


def test_it_ends_in_time_or_when_somebody_passed(run: Run, ada: At, camera: Any) -> None:
    camera("nobody", "nobody", "nobody", "ada")
    assert run("watch", "--seconds", "0.3", *ada).exit_code == 1
    camera("ada", broken=True)
    assert run("watch", "--once", *ada).exit_code == 0


def test_a_camera_pulled_out_is_one_sentence(run: Run, ada: At, camera: Any) -> None:
    camera("nobody", broken=True)
    with pytest.raises(SourceError, match=r"^camera 0 broke off"):
        run("watch", *ada)
    camera("ada", broken=True)
    with pytest.raises(SourceError, match=r"^camera 0 broke off"):
        run("watch", "--frames", "2", *ada)
    with pytest.raises(InputError, match="cannot be a user's handle"):
        run("watch", "--user", " ", *ada)


def test_the_log_says_when_the_door_ran(run: Run, ada: At, camera: Any, tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    camera("ada", ended=True)
    assert run("watch", "--log", log, "--door", "north", *ada).exit_code == 0, "Ctrl-C is how a door is ended"
    camera("nobody", broken=True)
    with pytest.raises(SourceError):
        run("watch", "--log", log, *ada)
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(one["event"], one["details"].get("reason")) for one in entries[1:]] == [
        ("gate_started", None),
        ("accepted", "accepted"),
        ("gate_stopped", "ended"),
        ("gate_started", None),
        ("gate_stopped", "error"),
    ]
    assert entries[1]["details"]["door"] == "north"


def test_the_view_says_what_is_seen_and_draws_it(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=40, height=14)
    view = LiveView(picture=True)
    console.print(view)
    picture = np.zeros((20, 40, 3), np.uint8)
    picture[:, :, 2] = 200
    face = Face(Box(10, 5, 10, 10), np.zeros((5, 2), np.float32), 0.9)
    view.show(Sight(Frame(picture, 7, 12.5, 0), Tracked((face,), True, "picture")))
    console.print(view)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "waiting for the first picture" in shown
    assert "12.5 s  a face" in shown
    assert shown.count("▀") == 40 * 10
    assert "38;2;0;0;200;48;2;0;0;200" in shown, "the picture's blue"
    assert "38;2;180;180;180" in shown, "the box, not judged yet"


def test_a_terminal_sees_decisions_live(run: Run, ada: At, camera: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100, height=20)
    monkeypatch.setattr(commands, "out", terminal)
    camera("ada", "ada", "nobody")
    assert run("watch", "--picture", *ada).exit_code == 0
    assert "Accepted ada." in terminal.file.getvalue()  # type: ignore[attr-defined]
