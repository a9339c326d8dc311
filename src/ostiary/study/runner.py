"""Run a study's cells: skip what is done, leave alone what another process is at, resume what was cut off.

Start it as often as there are cores or machines that share the folders: each takes the next free cell.
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable, Collection
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from ostiary.errors import ConfigurationError
from ostiary.study.cell import Materials, Progress, fingerprint, run_cell
from ostiary.study.plan import Cell, Study

State = Literal["done", "stale", "open"]


def run_study(
    study: Study,
    materials: Materials,
    results: Path,
    *,
    arms: Collection[str] = (),
    report: Callable[[Cell, str], None] = lambda cell, what: None,
    progress: Progress = lambda: nullcontext(lambda what, done, total: None),
) -> int:
    """Run every cell that has no valid record in ``results`` yet; returns how many were left to other processes.

    Args:
        results: folder of the records; those of the study go to ``results/NAME``.
        arms: only these; all by default.
        report: told of each cell what happens to it.
        progress: bars for the reading of pictures.

    """
    folder = results / study.name
    folder.mkdir(parents=True, exist_ok=True)
    left = [cell for cell in study.cells() if not arms or cell.arm in arms]
    while left:
        # A cell that another process held may be free again after this one's work: that process may have died.
        held = [cell for cell in left if not _run_if_free(study, cell, materials, folder, report, progress)]
        if len(held) == len(left):
            break
        left = held
    return len(left)


def _run_if_free(
    study: Study,
    cell: Cell,
    materials: Materials,
    folder: Path,
    report: Callable[[Cell, str], None],
    progress: Progress,
) -> bool:
    """Run a cell unless it is done; False if another process holds it."""
    run = materials.runs / study.name / cell.name
    run.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(run / "lock", blocking=False):
            state = state_of(study, cell, materials, folder.parent)
            if state == "done":
                report(cell, "done before")
                return True
            if state == "stale":
                report(cell, "its plan has changed: anew")
                _forget(run)
            else:
                report(cell, "begins")
            _run(study, cell, materials, folder, run, progress)
            report(cell, "done")
    except Timeout:
        report(cell, "another process is at it")
        return False
    return True


def state_of(study: Study, cell: Cell, materials: Materials, results: Path) -> State:
    """Whether the cell's record is there and of this plan; a run of another plan is stale too."""
    wanted = fingerprint(study, cell, materials.index)
    record = read_record(results / study.name / f"{cell.name}.json")
    if record is not None:
        return "done" if record["fingerprint"] == wanted else "stale"
    begun = materials.runs / study.name / cell.name / "fingerprint"
    return "stale" if begun.exists() and begun.read_text() != wanted else "open"


def read_record(path: Path) -> dict[str, Any] | None:
    """A cell's record; None if there is none.

    Raises:
        ConfigurationError: the file is no record.

    """
    if not path.exists():
        return None
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        record["fingerprint"], record["configurations"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigurationError(
            f"{path} is not the record of a cell; remove it, and the cell runs again."
        ) from None
    return record


def scores_path(study: Study, cell: Cell, runs: Path | None, results: Path) -> Path | None:
    """Where the cell's score file lies: with the results, or else with the runs; None if in neither."""
    places = [results / study.name / f"{cell.name}.csv.gz"]
    if runs is not None:
        places.append(runs / study.name / cell.name / "scores.csv")
    return next((place for place in places if place.exists()), None)


def _run(study: Study, cell: Cell, materials: Materials, folder: Path, run: Path, progress: Progress) -> None:
    (run / "fingerprint").write_text(fingerprint(study, cell, materials.index))
    scores = run / "scores.csv"
    record = run_cell(study, cell, materials, scores, progress)
    if study.keep_scores:
        _compress(scores, folder / f"{cell.name}.csv.gz")
    partial = folder / f"{cell.name}.json.partial"
    partial.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / f"{cell.name}.json")  # last: the record says that the cell is done


def _compress(source: Path, target: Path) -> None:
    partial = target.with_name(f"{target.name}.partial")
    # No name and no time inside: the same scores give the same bytes.
    with partial.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
        packed.write(source.read_bytes())
    partial.replace(target)


def _forget(run: Path) -> None:
    """Remove a run of another plan, so that training does not go on from its checkpoint."""
    for path in run.iterdir():
        if path.name != "lock":
            path.unlink() if path.is_file() else shutil.rmtree(path)
