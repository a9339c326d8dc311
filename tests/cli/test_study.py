"""``ostiary study`` as a user meets it before anything has run."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ostiary.cli.app import app
from ostiary.errors import ConfigurationError
from ostiary.study.plan import read_study

STUDIES = Path(__file__).parents[2] / "studies"


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, ["study", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0
    return result.stdout


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_studies_of_the_house_can_be_read(path: Path) -> None:
    study = read_study(path)
    assert study.name == path.stem
    names = [cell.name for cell in study.cells()]
    assert len(set(names)) == len(names) > 0
    if study.protocol != "in_domain" and "test" not in study.judged_on:
        assert not study.keep_scores  # what choices are made by is not what is published


def test_a_study_that_has_not_begun_has_an_empty_table(tmp_path: Path) -> None:
    text = run("table", STUDIES / "leave_out.toml", "--results", tmp_path, "--runs", tmp_path)
    assert "Nothing is done yet" in text
    run(
        "table",
        STUDIES / "leave_out.toml",
        "--results",
        tmp_path,
        "--runs",
        tmp_path,
        "--out",
        tmp_path / "table.md",
    )
    assert (tmp_path / "table.md").read_text().startswith("# Leave one data set out")
    assert not list(tmp_path.glob("*.partial"))


def test_an_unknown_arm_is_refused_before_anything_runs(tmp_path: Path) -> None:
    index = tmp_path / "index.csv"
    index.write_text("path,label,species,subject,split,dataset,capture,box\na.png,bona_fide,,a,test,d,,\n")
    plan = STUDIES / "leave_out.toml"
    with pytest.raises(ConfigurationError, match="no arm 'theirs'"):
        run("run", plan, "--index", index, "--images", tmp_path, "--arm", "theirs", "--runs", tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
