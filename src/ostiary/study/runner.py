"""Run a study's cells: skip what is done, leave alone what another process is at, resume what was cut off.

Start it as often as there are cores or machines that share the folders: each takes the next free cell.
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal, Protocol

from filelock import FileLock, Timeout

from ostiary.errors import ConfigurationError
from ostiary.study.arms import Cell

State = Literal["done", "stale", "open"]
Progress = Callable[[], AbstractContextManager[Callable[[str, int, int], None]]]


class Work(Protocol):
    """A study with all that its cells need."""

    @property
    def name(self) -> str:
        """Folder of the records and of the runs."""

    @property
    def runs(self) -> Path:
        """Folder of checkpoints and scores, of all studies."""

    @property
    def keep_scores(self) -> bool:
        """Whether score files go to the results; otherwise they stay with the runs."""

    def cells(self) -> Iterator[Cell]:
        """Every cell, in the order in which they are to run."""

    def fingerprint(self, cell: Cell) -> str:
        """SHA-256 over all that decides a cell's figures; another one means: run again."""

    def run(self, cell: Cell, scores: Path, progress: Progress) -> dict[str, Any]:
        """Train (or go on training) and judge: scores to a file, figures as a record of plain JSON."""


def run_study(
    work: Work,
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
    folder = results / work.name
    folder.mkdir(parents=True, exist_ok=True)
    left = [cell for cell in work.cells() if not arms or cell.arm in arms]
    while left:
        # A cell that another process held may be free again after this one's work: that process may have died.
        held = [cell for cell in left if not _run_if_free(work, cell, folder, report, progress)]
        if len(held) == len(left):
            break
        left = held
    return len(left)


def _run_if_free(
    work: Work, cell: Cell, folder: Path, report: Callable[[Cell, str], None], progress: Progress
) -> bool:
    """Run a cell unless it is done; False if another process holds it."""
    run = work.runs / work.name / cell.name
    run.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(run / "lock", blocking=False):
            state = state_of(work, cell, folder.parent)
            if state == "done":
                report(cell, "done before")
                return True
            if state == "stale":
                report(cell, "its plan has changed: anew")
                _forget(run)
            else:
                report(cell, "begins")
            _run(work, cell, folder, run, progress)
            report(cell, "done")
    except Timeout:
        report(cell, "another process is at it")
        return False
    return True


def state_of(work: Work, cell: Cell, results: Path) -> State:
    """Whether the cell's record is there and of this plan; a run of another plan is stale too."""
    wanted = work.fingerprint(cell)
    record = read_record(results / work.name / f"{cell.name}.json")
    if record is not None:
        return "done" if record["fingerprint"] == wanted else "stale"
    begun = work.runs / work.name / cell.name / "fingerprint"
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
        record["fingerprint"], record["study"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigurationError(
            f"{path} is not the record of a cell; remove it, and the cell runs again."
        ) from None
    return record


def scores_path(name: str, cell: Cell, runs: Path | None, results: Path) -> Path | None:
    """Where the score file of a cell of the study ``name`` lies: with the results, the runs, or nowhere (None)."""
    places = [results / name / f"{cell.name}.csv.gz"]
    if runs is not None:
        places.append(runs / name / cell.name / "scores.csv")
    return next((place for place in places if place.exists()), None)


def _run(work: Work, cell: Cell, folder: Path, run: Path, progress: Progress) -> None:
    (run / "fingerprint").write_text(work.fingerprint(cell))
    scores = run / "scores.csv"
    record = work.run(cell, scores, progress)
    if work.keep_scores:
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
