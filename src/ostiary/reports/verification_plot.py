"""The detection error trade-off of an embedder: both errors on logarithmic axes, where rare errors can be seen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ostiary.metrics import curve as curves
from ostiary.metrics.verification_trials import Comparisons
from ostiary.reports.plots import COLOURS, GREY, figure
from ostiary.reports.verification_report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME = "det.png"


def draw_det(views: Mapping[str, Comparisons], report: Report, folder: Path) -> list[str]:
    """FNMR against FMR of each view in one figure, and dots at the readings of ``report``; names of the files.

    Args:
        views: comparisons of the same pairs by name; both classes must be there, else nothing is drawn.
        report: whose ``readings`` are marked: those of the last view.
        folder: where the figure goes.

    """
    drawn = {name: comparisons for name, comparisons in views.items() if comparisons.both_classes}
    names: list[str] = []
    if drawn:
        with figure(folder / NAME, names, (6.8, 6.2)) as axes:
            _draw(axes, drawn, report)
    return names


def _draw(axes: Axes, views: Mapping[str, Comparisons], report: Report) -> None:
    some = next(iter(views.values()))
    counts = {"mated": int(some.same.sum()), "non-mated": int((~some.same).sum())}
    least = 0.5 / max(counts.values())  # an error of none is drawn on the edge
    for colour, (name, comparisons) in zip(COLOURS, views.items(), strict=False):
        trials = comparisons.as_trials()
        found, eer = curves.curve(trials), curves.equal_error(trials)[0]
        fmr, fnmr = (np.clip(errors, least, 1) for errors in (found.apcer, found.bpcer))
        label = f"{name}  (EER {100 * eer:.2f} %)"
        axes.plot(100 * fmr, 100 * fnmr, color=colour, lw=1.8, drawstyle="steps-post", label=label)
    for name, value in report["fnmr_at_fmr"].items():
        if value is not None:
            at = 100 * max(report["readings"][name]["fmr"], least), 100 * max(value, least)
            axes.plot(*at, "o", ms=7, color="black", mec="white", zorder=4, clip_on=False)
            axes.annotate(f"FMR <= {name}", at, (8, 6), textcoords="offset points", fontsize=9)
    limits = (100 * least, 100.0)
    axes.plot(limits, limits, color=GREY, lw=0.8, ls=":")
    axes.set(xscale="log", yscale="log", xlim=limits, ylim=limits, aspect="equal")
    ticks = [tick for tick in _TICKS if limits[0] <= tick]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xlabel(f"two people taken for one (%): FMR, of {counts['non-mated']:,} pairs")
    axes.set_ylabel(f"one person taken for two (%): FNMR, of {counts['mated']:,} pairs")
    axes.set_title(f"Detection error trade-off, {report['header']['data']}")
    axes.legend(facecolor="white", edgecolor="none", framealpha=0.9, loc="upper right")


_TICKS = (0.001, 0.01, 0.1, 1, 10, 100)
