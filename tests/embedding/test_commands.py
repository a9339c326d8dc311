"""``compare`` and ``embed`` as a user meets them: exit codes, sentences, JSON, a file that is whole or absent."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import typer
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from ostiary.cli import compare as commands
from ostiary.embedder import Embedder
from ostiary.embedding_files import embed_files
from ostiary.errors import ConfigurationError, ImageError, InputError, OstiaryError, WeightsError
from ostiary.runtime.packaged import EMBEDDING

app = typer.Typer()
app.command("compare")(commands.compare)
app.command("embed")(commands.embed)


def run(*arguments: str | Path) -> Result:
    """Errors raised on purpose pass: ``cli/app.py`` makes them a sentence and exit code 2."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})
    if isinstance(result.exception, OstiaryError):
        raise result.exception
    return result


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    Image.new("RGB", (64, 64), "grey").save(tmp_path / "flat.png")
    return tmp_path / "flat.png"


@pytest.fixture
def astronaut(pictures: Path) -> Path:
    return pictures / "astronaut.png"


@pytest.fixture
def hopper(pictures: Path) -> Path:
    return pictures / "grace_hopper.jpg"


def test_the_same_person_is_exit_code_0(calibrated: Path, astronaut: Path) -> None:
    done = run("compare", astronaut, astronaut, "--weights", calibrated)
    assert done.exit_code == 0
    assert done.stdout == (
        "The same person: similarity 1.000, threshold 0.900 (false match rate 0.001 on 20,000 comparisons of "
        "different persons of drawn faces).\n"
    )


def test_another_person_is_exit_code_1(weights: Path, astronaut: Path, hopper: Path) -> None:
    done = run("compare", astronaut, hopper, "--weights", weights, "--threshold", "0.999")
    assert done.exit_code == 1
    assert done.stdout.startswith("Not the same person: similarity 0.")
    assert done.stdout.endswith("threshold 0.999 (given, not calibrated).\n")


def test_weights_without_a_threshold_say_so(weights: Path, astronaut: Path) -> None:
    done = run("compare", astronaut, astronaut, "--weights", weights)
    assert done.exit_code == 1
    assert done.stdout.startswith("No decision: similarity 1.000, but fields holds no calibrated threshold")


def test_a_missing_face_is_exit_code_1_and_named(calibrated: Path, astronaut: Path, flat: Path) -> None:
    done = run("compare", astronaut, flat, "--weights", calibrated)
    assert (done.exit_code, done.stdout) == (1, f"No decision. {flat}: no face found.\n")


def test_compare_prints_json_and_nothing_else(calibrated: Path, astronaut: Path, hopper: Path, flat: Path) -> None:
    done = run("compare", astronaut, hopper, "--weights", calibrated, "--json")
    record = json.loads(done.stdout)
    assert set(record) == {
        *("images", "same", "reason", "similarity", "threshold", "calibration", "causes", "faces"),
    }
    assert done.exit_code == (0 if record["same"] else 1)
    assert record["same"] is (record["similarity"] >= record["threshold"])
    assert record["calibration"]["rate"] == 0.001
    fields = {"embedded", "reason", "causes", "faces", "box", "quality"}
    assert [set(face) for face in record["faces"]] == [fields, fields]
    done = run("compare", flat, hopper, "--weights", calibrated, "--json")
    record = json.loads(done.stdout)
    assert (done.exit_code, record["same"], record["reason"]) == (1, None, "no_face")
    assert [face["embedded"] for face in record["faces"]] == [False, True]


def test_mistakes_of_compare_are_errors(weights: Path, astronaut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImageError, match=r"none\.jpg does not exist"):
        run("compare", astronaut, "none.jpg", "--weights", weights)
    with pytest.raises(ConfigurationError, match="between 0 and 1"):
        run("compare", astronaut, astronaut, "--weights", weights, "--threshold", "2")
    monkeypatch.setenv(EMBEDDING.environment, "nowhere.onnx")
    with pytest.raises(WeightsError, match=r"nowhere\.onnx is neither"):
        run("compare", astronaut, astronaut)


def test_embed_writes_a_row_a_face_and_goes_on_after_a_bad_file(
    weights: Path, astronaut: Path, hopper: Path, flat: Path, tmp_path: Path
) -> None:
    letter, out = tmp_path / "letter.jpg", tmp_path / "made" / "faces.npz"
    letter.write_text("Dear door,")
    done = run("embed", astronaut, letter, flat, hopper, "--out", out, "--weights", weights, "--json")
    assert done.exit_code == 2
    assert "letter.jpg" in done.stderr
    assert "2 of 4 pictures written" in done.stderr
    records = json.loads(done.stdout)
    assert [record["row"] for record in records] == [0, None, None, 1]
    assert [record["reason"] for record in records] == [None, "unreadable", "no_face", None]
    assert "embedding" not in {key for record in records for key in record}
    with np.load(out) as archive:
        assert list(archive["images"]) == [str(astronaut), str(hopper)]
        assert (str(archive["model"]), str(archive["version"]), bool(archive["flip"])) == ("fields", "1", False)
        assert archive["embeddings"].dtype == np.float32
        wanted = [Embedder(weights).embed(path).embedding for path in (astronaut, hopper)]
        np.testing.assert_array_equal(archive["embeddings"], wanted)
    assert [path.name for path in out.parent.iterdir()] == ["faces.npz"]


@pytest.mark.skipif(os.name != "posix", reason="other systems have other permissions")
def test_only_its_owner_can_read_the_embeddings(weights: Path, astronaut: Path, tmp_path: Path) -> None:
    assert run("embed", astronaut, "--out", tmp_path / "a.npz", "--weights", weights).exit_code == 0
    assert stat.S_IMODE((tmp_path / "a.npz").stat().st_mode) == 0o600


def test_where_nothing_was_embedded_nothing_is_written(weights: Path, flat: Path, tmp_path: Path) -> None:
    done = run("embed", flat, "--out", tmp_path / "faces.npz", "--weights", weights)
    assert done.exit_code == 1
    assert "no face found" in done.stdout
    assert "nothing written" in done.stderr
    assert not (tmp_path / "faces.npz").exists()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    weights: Path, astronaut: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "faces.npz"
    out.write_bytes(b"old")

    def full(file: object, **_: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(InputError, match=r"faces\.npz cannot be written \(No space left on device\)"):
        embed_files(Embedder(weights), [astronaut], out)
    assert out.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [out]


def test_a_wrong_target_is_refused_before_any_work(weights: Path, astronaut: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not end in \.npz"):
        run("embed", "none.jpg", "--out", astronaut, "--weights", weights)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"faces\.npz cannot be written"):
        run("embed", astronaut, "--out", tmp_path / "file" / "faces.npz", "--weights", weights)
