from __future__ import annotations

from pathlib import Path

import pytest

from ostiary.errors import ConfigurationError
from ostiary.reports.folder import replace_file, replacing


def test_files_appear_together_and_old_plots_go(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    for word in ("HHH", "LLL"):
        with replacing(out, stale=("scores_*.png",)) as folder:
            (folder / "report.json").write_text(word)
            (folder / f"scores_{word}.png").write_text(word)
            assert not (out / f"scores_{word}.png").exists()
    (out / "mine.txt").touch()
    assert sorted(path.name for path in out.iterdir()) == ["mine.txt", "report.json", "scores_LLL.png"]
    assert (out / "report.json").read_text() == "LLL"
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_an_error_leaves_everything_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def fail() -> None:
        with replacing(out) as folder:
            (folder / "report.json").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(ConfigurationError, match="cannot be written"), replacing(tmp_path / "out") as folder:
        (folder / "report.json").touch()
    with pytest.raises(ConfigurationError, match="cannot be written"), replacing(tmp_path / "out" / "deeper"):
        pass


def test_a_file_is_replaced_whole_or_stays(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    replace_file(path, "old")
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    with pytest.raises(ConfigurationError, match=r"report\.json cannot be written \(No such file"):
        replace_file(tmp_path / "absent" / "report.json", "x")
    (tmp_path / "taken").mkdir()
    with pytest.raises(ConfigurationError, match="taken cannot be written"):
        replace_file(tmp_path / "taken", "x")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["report.json", "taken"]
