"""Studies on drawn pictures: they run, resume, skip, share work between processes, and become a table."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from ostiary.data.index import Index
from ostiary.data.pictures import open_pictures
from ostiary.data.synthetic import synthesize
from ostiary.errors import ConfigurationError, InputError
from ostiary.metrics.pad import pad_rates
from ostiary.reports.scores import read_scores
from ostiary.study.arms import Cell
from ostiary.study.cell import LivenessWork, Materials
from ostiary.study.plan import Study, read_study
from ostiary.study.runner import read_record, run_study, scores_path
from ostiary.study.table import render_study
from ostiary.training.checkpoint import load_tensors

PLAN = """
name = "drawn"
protocol = "leave_out"
held_out = [["left"]]
judged_on = ["test"]
seeds = [0, 1]
words = ["HHH", "LLL"]
baseline = "stock"
keep_scores = true

[arms.stock]
recipe = "toy"
change = { network = "mobilenet_v2", epoch_pictures = 32, preprocess = { size = 32 }, schedule = { epochs = 2 } }

[arms.pta]
recipe = "toy"
seeds = [0]
change = { epoch_pictures = 32, preprocess = { size = 32 }, schedule = { epochs = 2 } }
"""

SOUP = """
[arms.slower]
like = "pta"
seeds = [0]
change = { schedule = { learning_rate = 1e-4 } }

[arms.soup]
average = ["pta", "slower"]
seeds = [0]
"""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One drawn set under two names: half of its people in each."""
    folder = tmp_path_factory.mktemp("drawn")
    index = synthesize(folder, subjects=16, per_subject=2, seed=3, size=96)
    halves = {subject: place % 2 for place, (_, subject) in enumerate(index.subjects)}
    Index(replace(sample, dataset="left" if halves[sample.subject] else "kept") for sample in index).write_csv(
        folder / "two.csv"
    )
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    plan = tmp_path_factory.mktemp("plan") / "drawn.toml"
    plan.write_text(PLAN)
    return read_study(plan)


@pytest.fixture(scope="module")
def whole(study: Study, drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the study has run to its end; not to be changed."""
    folder = tmp_path_factory.mktemp("whole")
    said = run(study, drawn, folder)
    assert [line for line in said if line.endswith(" done")] == [
        "stock-left-0 done", "stock-left-1 done", "pta-left-0 done",
    ]  # fmt: skip
    return folder


def materials(drawn: Path, tmp_path: Path) -> Materials:
    return Materials(
        Index.read_csv(drawn / "two.csv"),
        open_pictures(drawn / "synthetic.tar"),
        tmp_path / "runs",
        accelerator="cpu",
    )


def run(study: Study, drawn: Path, tmp_path: Path) -> list[str]:
    said: list[str] = []

    def report(cell: Cell, what: str) -> None:
        said.append(f"{cell.name} {what}")

    run_study(LivenessWork(study, materials(drawn, tmp_path)), tmp_path / "results", report=report)
    return said


def test_a_study_runs_once_and_becomes_a_table(study: Study, drawn: Path, whole: Path) -> None:
    assert all(line.endswith("done before") for line in run(study, drawn, whole))
    record = json.loads((whole / "results/drawn/pta-left-0.json").read_text())
    assert set(record["configurations"]) == {"HHH", "LLL"}
    assert record["training"]["learnt_from"] == ["kept"]
    low, high = record["configurations"]["LLL"]["datasets"]["left"]["auc"][1:]
    assert 0 <= low <= high <= 1
    with gzip.open(whole / "results/drawn/pta-left-0.csv.gz", "rt") as text:
        assert text.readline().startswith("path,label")
    text = render_study(study, whole / "results", None, Path("drawn.toml"))
    assert "3 of 3 cells are done" in " ".join(text.split())
    assert "| stock | No PTA | 2 |" in text
    assert "## Difference from `stock`" in text
    assert text.count("| pta | LLL |") == 3  # its data set, the mean, the difference


def test_kept_scores_give_the_record_again(study: Study, whole: Path) -> None:
    cell = Cell("pta", ("left",), 0)
    path = scores_path(study.name, cell, None, whole / "results")
    assert path is not None
    record = json.loads((whole / f"results/drawn/{cell.name}.json").read_text())["configurations"]["HHH"]
    rates = pad_rates(read_scores(path).configurations["HHH"].trials(), record["threshold"]["value"])
    assert rates.auc is not None
    assert rates.bpcer is not None
    assert record["all"]["auc"][0] == pytest.approx(rates.auc.value, abs=1e-5)
    assert record["all"]["bpcer"][0] == pytest.approx(rates.bpcer.value, abs=1e-5)


def test_a_changed_plan_runs_anew_and_only_what_changed(drawn: Path, whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    changed = PLAN.replace("seeds = [0]\nchange = {", "seeds = [0]\nchange = { dropout = 0.1,")
    (tmp_path / "drawn.toml").write_text(changed)
    said = run(read_study(tmp_path / "drawn.toml"), drawn, tmp_path)
    assert "pta-left-0 its plan has changed: anew" in said
    assert "stock-left-0 done before" in said


def test_an_average_of_arms_trains_nothing_and_waits_for_them(drawn: Path, whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    (tmp_path / "drawn.toml").write_text(PLAN + SOUP)
    study = read_study(tmp_path / "drawn.toml")
    work = LivenessWork(study, materials(drawn, tmp_path))
    with pytest.raises(InputError, match=r"slower-left-0.*run that arm first"):
        run_study(work, tmp_path / "results", arms=["soup"])
    said = run(study, drawn, tmp_path)
    assert [line for line in said if line.endswith(" done")] == ["slower-left-0 done", "soup-left-0 done"]
    parts = [load_tensors(tmp_path / f"runs/drawn/{name}-left-0/model.safetensors") for name in ("pta", "slower")]
    mean, record = load_tensors(tmp_path / "runs/drawn/soup-left-0/model.safetensors")
    weights = next(name for name, tensor in mean.items() if tensor.ndim == 4)
    assert torch.allclose(mean[weights], (parts[0][0][weights] + parts[1][0][weights]) / 2)
    assert [part["recipe"]["schedule"]["learning_rate"] for part in record["average_of"]] == [
        part[1]["recipe"]["schedule"]["learning_rate"] for part in parts
    ]
    changed = (PLAN + SOUP).replace("1e-4", "2e-4")
    (tmp_path / "drawn.toml").write_text(changed)
    assert "soup-left-0 its plan has changed: anew" in run(read_study(tmp_path / "drawn.toml"), drawn, tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"arm": "pta"}'])
def test_a_broken_record_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "cell.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"cell\.json is not the record"):
        read_record(path)
    assert read_record(tmp_path / "none.json") is None


def test_a_cell_that_another_process_holds_is_left_to_it(
    study: Study, drawn: Path, whole: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    (tmp_path / "results/drawn/pta-left-0.json").unlink()
    folder = tmp_path / "runs/drawn/pta-left-0"
    with FileLock(folder / "lock"):
        said = run(study, drawn, tmp_path)
    assert "pta-left-0 another process is at it" in said
    assert not (tmp_path / "results/drawn/pta-left-0.json").exists()
    assert "pta-left-0 done" in run(study, drawn, tmp_path)


def test_a_killed_study_goes_on_and_ends_with_the_same_figures(drawn: Path, whole: Path, tmp_path: Path) -> None:
    (tmp_path / "drawn.toml").write_text(PLAN)
    command = [
        sys.executable, "-m", "ostiary.cli.app", "study", "run", str(tmp_path / "drawn.toml"),
        "--index", str(drawn / "two.csv"), "--images", str(drawn / "synthetic.tar"), "--accelerator", "cpu",
        "--runs", str(tmp_path / "runs"), "--results", str(tmp_path / "results"),
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    checkpoint = tmp_path / "runs/drawn/stock-left-0/checkpoint.safetensors"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert checkpoint.exists()
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    for name in ("stock-left-0", "pta-left-0"):
        records = [json.loads((folder / f"results/drawn/{name}.json").read_text()) for folder in (whole, tmp_path)]
        assert records[0]["configurations"] == records[1]["configurations"]
