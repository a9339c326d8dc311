"""What a run writes about itself: steps.csv, epochs.csv, curves.png, and a progress bar."""

from __future__ import annotations

import csv
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

STEP_COLUMNS = ("step", "epoch", "word", "loss", "learning_rate", "pictures_per_second", "waiting")


class Journal:
    """Log of one run, kept by its first process alone; rows after a resumed checkpoint are dropped."""

    def __init__(self, folder: Path, *, steps: int, done: int, active: bool) -> None:
        self.folder = folder
        self._active = active
        self._rows = _rows_before(folder / "steps.csv", "step", done) if active else []
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:.0f} pictures/s, waits {task.fields[waiting]:.1%}"),
            TimeRemainingColumn(),
            TextColumn("loss {task.fields[loss]:.3f}"),
            console=Console(stderr=True),
            disable=not active,
        )
        self._bar = self._progress.add_task("training", total=steps, completed=done, rate=0, waiting=0, loss=0)

    def __enter__(self) -> Journal:
        if self._active:
            self._file = (self.folder / "steps.csv").open("w", newline="")
            self._writer = csv.DictWriter(self._file, STEP_COLUMNS)
            self._writer.writeheader()
            self._writer.writerows(self._rows)
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._active:
            self._progress.stop()
            self._file.close()

    def step(self, row: dict[str, Any]) -> None:
        """One step: loss, configuration word, learning rate, pictures a second, share of time waiting."""
        if not self._active:
            return
        self._rows.append(row)
        self._writer.writerow(row)
        self._file.flush()
        self._progress.update(
            self._bar,
            completed=row["step"] + 1,
            rate=row["pictures_per_second"],
            waiting=row["waiting"],
            loss=row["loss"],
        )

    def epoch(self, history: list[dict[str, Any]]) -> None:
        """All epochs so far: written whole, with the curves."""
        if not self._active:
            return
        columns = list(dict.fromkeys(name for row in history for name in row))
        with (self.folder / "epochs.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(history)
        draw_curves(self._rows, history, self.folder / "curves.png")
        last = ", ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in history[-1].items()
        )
        self._progress.console.print(last, highlight=False)


def draw_curves(steps: list[dict[str, Any]], history: list[dict[str, Any]], path: Path) -> None:
    """Loss by step (smoothed over an epoch's worth) and development figures by epoch, as one PNG."""
    import numpy as np
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    loss = np.array([float(row["loss"]) for row in steps])
    left.plot(loss, color="0.8", linewidth=0.6, label="each step")
    span = max(1, len(loss) // 40)
    if len(loss) > span:
        left.plot(
            np.arange(span - 1, len(loss)),
            np.convolve(loss, np.ones(span) / span, "valid"),
            label=f"mean of {span}",
        )
    left.set(xlabel="step", ylabel="training loss")
    left.legend()
    for name in history[-1]:
        points = [(row["epoch"], row[name]) for row in history if isinstance(row.get(name), float)]
        if name.startswith("development") and points:
            right.plot(
                *zip(*points, strict=True), marker="o", markersize=3, label=name.removeprefix("development_")
            )
    right.set(xlabel="epoch", title="development")
    right.xaxis.get_major_locator().set_params(integer=True)
    if right.get_legend_handles_labels()[0]:
        right.legend(fontsize="small")
    figure.savefig(path, dpi=110)


def _rows_before(path: Path, column: str, limit: int) -> list[dict[str, Any]]:
    if not path.exists() or not limit:
        return []
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if int(row[column]) < limit]
