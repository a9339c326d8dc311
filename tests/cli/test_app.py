"""The command line as a user meets it: exit codes, stdout and stderr, and docs that name every command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from ostiary.cli.app import app
from ostiary.cli.rendering import WORDS
from ostiary.faces.quality import CAUSES

ROOT = Path(__file__).parents[2]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ostiary.cli.app", *map(str, arguments)], capture_output=True, text=True, cwd=ROOT
    )


def commands() -> list[tuple[str, ...]]:
    click = typer.main.get_command(app)
    found = []
    for name, command in click.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found += [(name, other) for other in inner] if inner else [(name,)]
    return found


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_has_help_with_an_example_and_stands_in_the_docs(command: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*command, "--help"])
    assert shown.exit_code == 0
    assert "Example: ostiary " + " ".join(command) in " ".join(shown.output.split())
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    assert any("ostiary " + " ".join(command) in page.read_text() for page in pages)


def test_check_prints_json_on_stdout_and_nothing_else(pictures: Path) -> None:
    done = run("check", pictures / "astronaut.png", "--json", "--threshold", "0")
    assert done.returncode == 0
    (result,) = json.loads(done.stdout)
    assert result["accepted"] is True
    (face,) = result["faces"]
    assert set(face) == {
        *("box", "landmarks", "confidence", "liveness", "threshold", "accepted"),
        *("reason", "causes", "quality"),
    }
    assert len(face["landmarks"]) == 5


def test_a_bad_file_is_one_sentence_and_the_batch_goes_on(pictures: Path, tmp_path: Path) -> None:
    text = tmp_path / "letter.jpg"
    text.write_text("Dear door,")
    done = run("check", text, pictures / "astronaut.png", "--threshold", "0", "--json")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "letter.jpg" in done.stderr
    assert "Traceback" not in done.stderr
    bad, good = json.loads(done.stdout)
    assert (bad["accepted"], bad["reason"]) == (False, "unreadable")
    assert good["accepted"] is True


def test_a_dark_face_is_told_to_turn_on_a_light(pictures: Path, tmp_path: Path) -> None:
    with Image.open(pictures / "astronaut.png") as portrait:
        portrait.convert("RGB").point(lambda level: level // 10).save(tmp_path / "night.png")
    done = run("check", tmp_path / "night.png", "--threshold", "0")
    assert done.returncode == 1
    assert "too dark: turn on" in done.stdout  # the rest of the sentence may be on the next line
    done = run("check", tmp_path / "night.png", "--threshold", "0", "--no-quality", "--json")
    assert done.returncode == 0
    (face,) = json.loads(done.stdout)[0]["faces"]
    assert (face["reason"], face["causes"], face["quality"]) == ("bona_fide", [], None)


def test_every_reason_has_words() -> None:
    assert {"bona_fide", "presentation_attack", "no_face", *CAUSES} == set(WORDS)


def test_a_refused_picture_is_exit_code_1(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "grey").save(tmp_path / "flat.png")
    done = run("check", tmp_path / "flat.png")
    assert done.returncode == 1
    assert "no face found" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--configuration", "HHX"], "HHX"),
        (["--weights", "nowhere.onnx"], "nowhere.onnx"),
        (["--configuration", "LLL", "--budget-ms", "3"], "not both"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(pictures: Path, arguments: list[str], words: str) -> None:
    done = run("check", pictures / "astronaut.png", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_annotated_copies_are_written_and_never_over_the_original(pictures: Path, tmp_path: Path) -> None:
    done = run("check", pictures / "astronaut.png", "--annotate", tmp_path / "out", "--threshold", "0")
    assert done.returncode == 0
    with (
        Image.open(tmp_path / "out" / "astronaut.png") as copy,
        Image.open(pictures / "astronaut.png") as original,
    ):
        assert copy.size == original.size
        assert copy.convert("RGB").tobytes() != original.convert("RGB").tobytes()
    before = (tmp_path / "out" / "astronaut.png").read_bytes()
    done = run("check", tmp_path / "out" / "astronaut.png", "--annotate", tmp_path / "out")
    assert done.returncode == 2
    assert "another folder" in done.stderr
    assert (tmp_path / "out" / "astronaut.png").read_bytes() == before


def test_weights_list_shows_licence_and_data() -> None:
    done = run("weights", "list", "--json")
    assert done.returncode == 0, done.stderr
    records = {record["name"]: record for record in json.loads(done.stdout)}
    assert {"pta_mobilenet_v2", "face_detection_yunet"} <= set(records)
    assert "research only" in records["pta_mobilenet_v2"]["licence"]
    assert all(record["megabytes"] <= 12.2 for record in records.values())
    shown = " ".join(run("weights", "list").stdout.split())
    assert all(name in shown for name in records)
    assert "pta_mobilenet_v2, pta_mobilenet_v2_int8: research only, not for commercial use; learnt from" in shown
    assert "face_detection_yunet: MIT" in shown
